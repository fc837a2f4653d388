//! Subscriptions: stored events, then new ones as they are appended.

use std::{ptr, sync::Arc, time::Duration};

use crate::ffi::{
    error::annals_error,
    event::{annals_event, annals_string},
    glue::{
        arguments::Out,
        fault::{Details, Fault, Outcome},
        guard::{self, ErrorOut},
        handle::{self, Opaque, SharedStore},
    },
    read::annals_read_options,
    status::{ANNALS_DONE, ANNALS_OK, ANNALS_TIMEOUT, annals_status},
    store::annals_store,
};
use crate::sync::Mutex;
use crate::{CancelHandle, RecordedEvent, Subscription, sync};

/// A subscription: it delivers stored events and then new ones as they are appended, without gaps
/// or repeats. It reads from the store, so a slow reader delays no writer and uses little memory.
#[derive(Debug)]
pub struct annals_subscription {
    _private: [u8; 0],
}

/// Calls share the handle, so that a cancel reaches a call that waits.
#[derive(Debug)]
pub(in crate::ffi) struct Subscribed {
    store: Arc<SharedStore>,
    cancel: CancelHandle,
    reader: Mutex<Reader>,
}

#[derive(Debug)]
struct Reader {
    events: Subscription,
    /// How many more events may be delivered, if there is a limit.
    left: Option<u64>,
    held: Option<RecordedEvent>,
    tags: Box<[annals_string]>,
    view: Option<Box<annals_event>>,
}

// SAFETY: the view points into the heap memory of `held` and `tags`, which moves with the reader.
unsafe impl Send for Reader {}

impl Opaque for annals_subscription {
    type State = Subscribed;
    const KIND: u32 = 8;
    const NAME: &'static str = "annals_subscription";

    fn store(state: &Subscribed) -> Option<&SharedStore> {
        Some(&state.store)
    }
}

impl Reader {
    fn advance(&mut self, timeout_ms: i64) -> Outcome {
        self.view = None;
        self.held = None;
        if self.left == Some(0) {
            return Ok(ANNALS_DONE);
        }
        // A negative value waits forever, and so does a deadline too far in the future.
        let timeout = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        match self.events.next_timeout(timeout)? {
            Some(event) => {
                self.left = self.left.map(|left| left.saturating_sub(1));
                let event = self.held.insert(event);
                self.tags = annals_event::tags_of(event);
                self.view = Some(Box::new(annals_event::of(event, &self.tags)));
                Ok(ANNALS_OK)
            }
            None if self.events.is_cancelled() => Ok(ANNALS_DONE),
            None => Ok(ANNALS_TIMEOUT),
        }
    }
}

/// Subscribes to all events from a position on. The store remembers nothing about a subscription:
/// to continue after a restart, a consumer saves a checkpoint and subscribes from the position
/// after it.
///
/// @param store The store.
/// @param from_position The position of the first event, inclusive; 0 and 1 both mean the
/// beginning. A position past the head waits for that event.
/// @param options Event types, a stream prefix, a query and a limit, which are copied; NULL for all
/// events. Any other option is ANNALS_E_INVALID_ARGUMENT.
/// @param out Receives the subscription.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the caller frees the subscription with annals_subscription_free, before or after the
/// store is closed. Threads: thread-safe. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_subscribe(
    store: *const annals_store,
    from_position: u64,
    options: *const annals_read_options,
    out: *mut *mut annals_subscription,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: the caller upholds this function's contract.
        let store = unsafe { handle::shared(store) }?;
        let mut events = store.events.subscribe(from_position)?;
        let mut left = None;
        if !options.is_null() {
            // SAFETY: the caller upholds this function's contract.
            let options = unsafe { handle::shared(options) }?;
            (events, left) = options.apply_to_subscription(events)?;
        }
        let cancel = events.cancel_handle();
        let reader =
            Mutex::new(Reader { events, left, held: None, tags: Box::default(), view: None });
        out.set(handle::make(Subscribed { store: Arc::clone(&store), cancel, reader })?);
        Ok(ANNALS_OK)
    })
}

/// Returns the next event, and waits for it if necessary.
///
/// @param subscription The subscription.
/// @param timeout_ms How long to wait at most, in milliseconds. 0 does not wait; a negative value
/// waits forever. The time to skip stored events that the filters reject does not count.
/// @param out_event Receives a view of the event, which is valid until the next call of this
/// function on the subscription or until it is freed; NULL unless the result is ANNALS_OK.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_TIMEOUT; ANNALS_DONE if the subscription was cancelled or has reached
/// its limit; ANNALS_E_CLOSED, also if the store is closed during the wait; ANNALS_E_CORRUPT,
/// ANNALS_E_IO, or ANNALS_E_CALLBACK if an upcaster failed: the next call tries the same event
/// again; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Ownership: the subscription owns the view. Threads: any, one call at a time. Blocking: waits,
/// and may read files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_subscription_next(
    subscription: *mut annals_subscription,
    timeout_ms: i64,
    out_event: *mut *const annals_event,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (event, err) = unsafe { (Out::cleared(out_event, ptr::null()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        event.required("out_event")?;
        // SAFETY: the caller upholds this function's contract.
        let subscribed = unsafe { handle::shared(subscription.cast_const()) }?;
        let reader = sync::try_lock(&subscribed.reader);
        let mut reader = reader.ok_or_else(|| Details::busy(annals_subscription::NAME))?;
        let status = reader.advance(timeout_ms)?;
        if let Some(view) = &reader.view {
            event.set(ptr::from_ref(&**view));
        }
        Ok(status)
    })
}

/// Cancels a subscription: it delivers no more events, and a waiting call returns ANNALS_DONE. This
/// call never waits, and may be repeated.
///
/// @param subscription The subscription. NULL is a no-op.
///
/// Threads: thread-safe, also while annals_subscription_next runs, but not while
/// annals_subscription_free runs. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `subscription` is NULL or a subscription that is not freed during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_subscription_cancel(subscription: *const annals_subscription) {
    guard::value((), || {
        // SAFETY: the caller upholds this function's contract.
        let subscribed = unsafe { handle::shared(subscription) }?;
        subscribed.cancel.cancel();
        Ok::<(), Fault>(())
    });
}

/// Cancels and frees a subscription, and frees the view obtained from it. If another thread still
/// waits in annals_subscription_next, that call returns ANNALS_DONE.
///
/// @param subscription The subscription. NULL is a no-op.
///
/// Threads: any; no other thread may be using the subscription, except to wait. Blocking: never.
/// Since: 0.1.0
///
/// # Safety
/// `subscription` is NULL or a subscription, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_subscription_free(subscription: *mut annals_subscription) {
    guard::value((), || {
        let end = |subscribed: &Subscribed| {
            subscribed.store.check_not_forked()?;
            subscribed.cancel.cancel();
            Ok(())
        };
        // SAFETY: the caller upholds this function's contract; no call has exclusive access.
        unsafe { handle::peek(subscription.cast_const(), end) }
    });
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(subscription) };
}
