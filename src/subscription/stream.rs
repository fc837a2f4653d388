//! A subscription as a `Stream`: a task waits where a thread would.
//!
//! A poll reads the available events, some KiB at a time, usually from memory or from the system's
//! cache. It never waits: the next append wakes the task. If another process appends, a thread
//! watches for it. A poll that passes over many events ends early and has the task polled again, so
//! that the other tasks of the executor get their turn.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    thread,
};

use futures_core::{FusedStream, Stream};

use crate::{Error, EventStore, RecordedEvent, Subscription, storage::Changes};

/// How many events that do not match the filters one poll passes over: reading them takes less than
/// a millisecond.
const PASSED_AT_ONCE: u64 = 1_024;

/// Keeps the thread alive that watches a store written by another process.
#[derive(Debug)]
pub(super) struct Watch {
    _is_wanted: Arc<()>,
}

impl Watch {
    fn start(store: &EventStore, changes: Changes) -> Result<Watch, Error> {
        let is_wanted = Arc::new(());
        let (store, wanted) = (store.clone(), Arc::downgrade(&is_wanted));
        // Anything after this is either announced or seen by the look that follows.
        let head = store.storage().head();
        let builder = thread::Builder::new().name("annals-watch".to_owned());
        match builder.spawn(move || watch(&store, head, &changes, &wanted)) {
            Ok(_) => Ok(Watch { _is_wanted: is_wanted }),
            Err(source) => {
                Err(Error::internal(format!("cannot start a thread to watch the store: {source}")))
            }
        }
    }
}

/// Announces what another process appends, until nobody needs it any more.
fn watch(store: &EventStore, mut head: u64, changes: &Changes, wanted: &Weak<()>) {
    while wanted.strong_count() > 0 {
        // A failure is reported when the woken task reads.
        let looked = store.look();
        let found = store.storage().head();
        if looked.is_err() || found != head {
            head = found;
            store.arrivals().announce();
        }
        changes.wait(None);
    }
}

impl Subscription {
    /// A number that no other subscription has during the lifetime of this one.
    fn waiter(&self) -> usize {
        Arc::as_ptr(&self.is_cancelled).addr()
    }

    /// Waits for an announcement; returns false if there is already something to look at.
    fn is_waiting(&mut self, context: &Context<'_>) -> Result<bool, Error> {
        self.store.arrivals().wake_at_next(self.waiter(), context.waker());
        if self.watch.is_none()
            && let Some(changes) = self.store.storage().changes()
        {
            self.watch = Some(Watch::start(&self.store, changes)?);
        }
        match self.watch {
            Some(_) => Ok(!self.has_come()?),
            None => Ok(!self.is_due()),
        }
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<Option<RecordedEvent>, Error>> {
        self.check_once()?;
        if self.is_cancelled() {
            return Poll::Ready(Ok(None));
        }
        if let Some(event) = self.read(PASSED_AT_ONCE)? {
            return Poll::Ready(Ok(Some(event)));
        }
        if self.events.is_none() && self.is_waiting(context)? {
            return Poll::Pending;
        }
        self.store.storage().check_open()?;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // In a forked child, another thread may hold the lock forever.
        if !self.store.storage().is_forked() {
            self.store.arrivals().forget(self.waiter());
        }
    }
}

/// The events that the subscription delivers; the stream ends where the iterator ends.
///
/// A poll reads the next events from the store if there are any, which takes as long as a read of
/// some KiB, and never waits: an append, a cancel or the close of the store wakes the task. Where
/// the filters leave out many events, a poll passes over about a thousand of them, or searches some
/// 50 000 positions for a query, which takes some milliseconds; then it has the task polled again.
/// With a [`Reader`](crate::Reader), each subscription has a thread that watches for appends by
/// another process.
///
/// Both traits have a method `next`: write `StreamExt::next(&mut events)`, or pass the subscription
/// to a function that takes streams.
///
/// # Examples
/// ```
/// use std::{future::poll_fn, pin::Pin};
/// use annals::{EventStore, RecordedEvent, Subscription};
/// use futures_core::Stream;
///
/// async fn first(mut events: Subscription) -> Option<RecordedEvent> {
///     let next = poll_fn(|context| Pin::new(&mut events).poll_next(context)).await;
///     next.and_then(Result::ok)
/// }
/// # let _ = first(EventStore::in_memory()?.subscribe(1)?);
/// # Ok::<(), annals::Error>(())
/// ```
impl Stream for Subscription {
    type Item = Result<RecordedEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let subscription = self.get_mut();
        if subscription.has_failed {
            return Poll::Ready(None);
        }
        let polled = subscription.poll(context).map(Result::transpose);
        subscription.has_failed = matches!(polled, Poll::Ready(Some(Err(_))));
        polled
    }
}

impl FusedStream for Subscription {
    fn is_terminated(&self) -> bool {
        self.has_failed || self.is_cancelled()
    }
}
