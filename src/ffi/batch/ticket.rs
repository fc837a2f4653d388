//! Tickets: the outcomes of submitted batches.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::object::{first_position, status_of};
use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::Out,
        fault::Fault,
        guard::{self, ErrorOut},
        handle::{self, Opaque, Shared, SharedStore},
    },
    status::{ANNALS_TIMEOUT, annals_status},
    store::annals_store,
};
use crate::{Error, Ticket};

/// The outcome of a submitted batch. A ticket may outlive its batch and its store.
#[derive(Debug)]
pub struct annals_ticket {
    _private: [u8; 0],
}

#[derive(Debug)]
pub(in crate::ffi) struct Waited {
    store: Arc<SharedStore>,
    ticket: OnceLock<Ticket>,
}

impl Opaque for annals_ticket {
    type State = Waited;
    const KIND: u32 = 11;
    const NAME: &'static str = "annals_ticket";

    fn store(state: &Waited) -> Option<&SharedStore> {
        Some(&state.store)
    }
}

/// The handle of a ticket before its batch is submitted.
pub(super) struct Waiting(*mut annals_ticket);

impl Waiting {
    pub(super) fn prepare(store: &Shared<'_, annals_store>) -> Result<Waiting, Fault> {
        let store = Arc::clone(store);
        handle::make(Waited { store, ticket: OnceLock::new() }).map(Waiting)
    }

    /// Returns the handle, or frees it after an error.
    pub(super) fn fill(
        self,
        submitted: Result<Ticket, Error>,
    ) -> Result<*mut annals_ticket, Fault> {
        let filled = submitted.map_err(Fault::from).and_then(|ticket| {
            // SAFETY: the handle was just created, and nothing else uses it.
            let waited = unsafe { handle::shared(self.0) }?;
            // The cell is empty, so this cannot fail.
            let _ = waited.ticket.set(ticket);
            Ok(())
        });
        if filled.is_err() {
            // SAFETY: nothing else uses the handle.
            unsafe { handle::free(self.0) };
        }
        filled.map(|()| self.0)
    }
}

/// Waits for the outcome: returns what annals_batch_commit would have returned. A repeated call
/// returns the same again.
///
/// @param ticket The ticket.
/// @param timeout_ms How long to wait, in milliseconds. 0 does not wait; a negative value waits
/// without limit.
/// @param out_first_position_or_null Receives the position of the first event; 0 for a batch of
/// checkpoints only. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return As annals_batch_commit; ANNALS_TIMEOUT if the outcome is not known yet; ANNALS_E_BUSY
/// inside a callback of a live projection if the outcome may depend on that callback.
///
/// Threads: thread-safe. Blocking: up to the timeout. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_ticket_wait(
    ticket: *const annals_ticket,
    timeout_ms: i64,
    out_first_position_or_null: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (position, err) =
        unsafe { (Out::cleared(out_first_position_or_null, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let waited = unsafe { handle::shared(ticket) }?;
        let Some(ticket) = waited.ticket.get() else { return Ok(ANNALS_TIMEOUT) };
        let committed = match u64::try_from(timeout_ms) {
            Ok(timeout) => ticket.wait_timeout(Duration::from_millis(timeout))?,
            Err(_) => Some(ticket.wait()?),
        };
        let Some(committed) = committed else { return Ok(ANNALS_TIMEOUT) };
        position.set(first_position(&committed));
        Ok(status_of(&committed))
    })
}

/// Frees a ticket. This neither cancels the batch nor waits for it.
///
/// @param ticket The ticket. NULL is a no-op.
///
/// Threads: any; no other thread may be using the ticket. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `ticket` is NULL or comes from `annals_batch_submit`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_ticket_free(ticket: *mut annals_ticket) {
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(ticket) };
}
