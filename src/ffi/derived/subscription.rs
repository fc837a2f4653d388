//! Events as they come.

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

/// Events as they come: history, and then what is appended, without a gap or a repeat. It reads
/// from the store, so that a slow reader holds up no writer and takes no memory.
#[derive(Debug)]
pub struct annals_subscription {
    _private: [u8; 0],
}

/// Calls share the handle, so that a cancel reaches one that waits.
#[derive(Debug)]
pub(in crate::ffi) struct Subscribed {
    store: Arc<SharedStore>,
    cancel: CancelHandle,
    reader: Mutex<Reader>,
}

#[derive(Debug)]
struct Reader {
    events: Subscription,
    /// How many further events are delivered, if that is limited.
    left: Option<u64>,
    held: Option<RecordedEvent>,
    tags: Box<[annals_string]>,
    view: Option<Box<annals_event>>,
}

// SAFETY: the view points into `held` and `tags`, whose memory moves with it and shares its bytes.
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
        // Below 0 it waits forever; a deadline past the end of time is none.
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

/// Subscribes to all events from a position on. A subscription remembers nothing: a consumer that
/// goes on after a restart saves a checkpoint, and subscribes after it.
///
/// @param store The store.
/// @param from_position The position of the first event, inclusive; 0 and 1 are the beginning. One
/// past the head waits for that event.
/// @param options Event types, a stream prefix and a limit, which are copied, or NULL for all
/// events. A direction, a version or a position in it is refused.
/// @param out Receives the subscription.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the caller frees the subscription with annals_subscription_free, before or after the
/// store is closed. Threads: any number at once. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_subscribe(
    store: *const annals_store,
    from_position: u64,
    options: *const annals_read_options,
    out: *mut *mut annals_subscription,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: as promised to this function.
        let store = unsafe { handle::shared(store) }?;
        let mut events = store.events.subscribe(from_position)?;
        let mut left = None;
        if !options.is_null() {
            // SAFETY: as promised to this function.
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

/// Takes the next event, and waits for it if need be.
///
/// @param subscription The subscription.
/// @param timeout_ms How long to wait at most, in milliseconds; 0 does not wait, below 0 waits for
/// ever. Passing over stored events that do not pass the filters is not waiting.
/// @param out_event Receives a view of the event, valid until the next call of this function on the
/// subscription or its free; NULL with any other result than ANNALS_OK.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_TIMEOUT; ANNALS_DONE when it was cancelled, or its limit is reached;
/// ANNALS_E_CLOSED, also while it waits; ANNALS_E_CORRUPT and ANNALS_E_IO, after which a repeated
/// call tries the same event again; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY;
/// ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the view belongs to the subscription. Threads: any, one at a time. Blocking: waits,
/// and may read files. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_subscription_next(
    subscription: *mut annals_subscription,
    timeout_ms: i64,
    out_event: *mut *const annals_event,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (event, err) = unsafe { (Out::cleared(out_event, ptr::null()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        event.required("out_event")?;
        // SAFETY: as promised to this function.
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

/// Ends a subscription: it delivers nothing more, and a call that waits returns ANNALS_DONE. It
/// never waits, and may be repeated.
///
/// @param subscription The subscription, or NULL, which is nothing to do.
///
/// Threads: any number at once, also while annals_subscription_next runs; only not with
/// annals_subscription_free. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `subscription` is NULL or a subscription that is not freed meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_subscription_cancel(subscription: *const annals_subscription) {
    guard::value((), || {
        // SAFETY: as promised to this function.
        let subscribed = unsafe { handle::shared(subscription) }?;
        subscribed.cancel.cancel();
        Ok::<(), Fault>(())
    });
}

/// Cancels and frees a subscription, and the view that was got from it.
///
/// @param subscription The subscription, or NULL, which is nothing to do.
///
/// Threads: any, with no other call on the same subscription. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `subscription` is NULL or a subscription, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_subscription_free(subscription: *mut annals_subscription) {
    // SAFETY: as promised to this function.
    unsafe { handle::free(subscription) };
}
