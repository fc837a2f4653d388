//! A subscription as a `Stream`: a task waits where a thread would.
//!
//! What there is to deliver is read when the task is polled, some KiB at a time, from memory or
//! from the system's cache as a rule. Nothing waits: the next append wakes the task. Where another
//! process appends, a thread watches for it.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    thread,
};

use futures_core::{FusedStream, Stream};

use crate::{Error, EventStore, RecordedEvent, Subscription, storage::Changes};

/// Keeps the thread going that watches a store which another process writes.
#[derive(Debug)]
pub(super) struct Watch {
    _is_wanted: Arc<()>,
}

impl Watch {
    fn start(store: &EventStore, changes: Changes) -> Result<Watch, Error> {
        let is_wanted = Arc::new(());
        let (store, wanted) = (store.clone(), Arc::downgrade(&is_wanted));
        // What comes after this is announced, or seen by the look that follows.
        let head = store.storage().head();
        let builder = thread::Builder::new().name("annals-watch".to_owned());
        match builder.spawn(move || watch(&store, head, &changes, &wanted)) {
            Ok(_) => Ok(Watch { _is_wanted: is_wanted }),
            Err(source) => {
                Err(Error::internal(format!("no thread to watch the store could start: {source}")))
            }
        }
    }
}

/// Announces what another process appends, for as long as anybody wants to know.
fn watch(store: &EventStore, mut head: u64, changes: &Changes, wanted: &Weak<()>) {
    while wanted.strong_count() > 0 {
        // A failure is reported by the read of the task that is woken.
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
    /// A number that no other subscription has while this one is there.
    fn waiter(&self) -> usize {
        Arc::as_ptr(&self.is_cancelled).addr()
    }

    /// Waits for an announcement; false when there is something to look at already.
    fn is_waiting(&mut self, context: &Context<'_>) -> Result<bool, Error> {
        self.store.arrivals().wake_at_next(self.waiter(), context.waker());
        if self.watch.is_none()
            && let Some(changes) = self.store.storage().changes()
        {
            self.watch = Some(Watch::start(&self.store, changes)?);
        }
        if self.watch.is_some() {
            self.store.look()?;
        }
        Ok(!self.is_due())
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<Option<RecordedEvent>, Error>> {
        self.check_once()?;
        loop {
            if self.is_cancelled() {
                return Poll::Ready(Ok(None));
            }
            if let Some(event) = self.read()? {
                return Poll::Ready(Ok(Some(event)));
            }
            if self.is_waiting(context)? {
                return Poll::Pending;
            }
            self.store.storage().check_open()?;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // In a forked child another thread may hold the lock for ever.
        if !self.store.storage().is_forked() {
            self.store.arrivals().forget(self.waiter());
        }
    }
}

/// The events as a subscription delivers them; the stream ends where the iterator does.
///
/// A poll reads the next events from the store if there are any, which takes as long as a read of
/// some KiB, and never waits: an append, a cancel or the close of the store wakes the task. With a
/// [`Reader`](crate::Reader) a thread for each subscription watches for what another process
/// appends.
///
/// Both traits have a method `next`: write `StreamExt::next(&mut events)`, or hand the subscription
/// to something that takes streams.
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
