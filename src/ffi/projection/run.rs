//! Running a projection: catching up, and following every append.

use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::Out,
        fault::{Details, Fault},
        guard::{self, ErrorOut},
        handle::{self, Opaque},
    },
    projection::object::{Projected, annals_projection},
    status::{ANNALS_DONE, ANNALS_OK, annals_status},
};
use crate::{Error, LiveError, Projection};

/// Where a live projection resumes.
#[derive(Clone, Copy)]
enum Start {
    /// At the event that failed.
    AtFailure,
    /// After the event that failed.
    AfterFailure,
}

impl Projected {
    /// Catches up while the projection is not live.
    fn pull(&self, pulled: &mut Projection<()>) -> Result<(u64, annals_status), Fault> {
        self.table.go_on();
        let before = pulled.position();
        let outcome = pulled.catch_up_until(|| self.table.is_over());
        self.table.note_position(pulled.position());
        let failure = outcome.err().map(Fault::from);
        self.note_failure(failure.clone());
        match failure {
            Some(failure) => Err(failure),
            None => Ok((pulled.position().saturating_sub(before), self.status())),
        }
    }

    /// Resumes a live projection: at the event at which it stopped, or after the one that failed.
    fn resume(&self, start: Start) -> Result<(u64, annals_status), Fault> {
        let Some(live) = self.live.get() else {
            return Err(Details::busy(annals_projection::NAME));
        };
        let (before, had_stopped) = (live.position(), self.table.has_stopped());
        self.table.go_on();
        // After a stop, the next event has not been passed to a callback, so it has not failed.
        let outcome = match start {
            Start::AfterFailure if !had_stopped => live.resume_after(),
            _ => live.resume(),
        };
        match outcome {
            // Nothing was done, so the projection is still stopped.
            Err(refusal) if matches!(&*refusal, Error::Busy { .. } | Error::Closed) => {
                if had_stopped {
                    self.table.stop();
                }
                Err(Fault::from(&*refusal))
            }
            Ok(position) => Ok((position.saturating_sub(before), self.status())),
            // The next event was not passed to a callback, because of a stop.
            Err(_) if self.table.has_stopped() => {
                Ok((live.position().saturating_sub(before), ANNALS_DONE))
            }
            Err(failure) => Err(Fault::from(&*failure)),
        }
    }

    fn status(&self) -> annals_status {
        if self.table.has_stopped() { ANNALS_DONE } else { ANNALS_OK }
    }
}

/// Passes all events up to the current head to the callbacks. Events that the callbacks append are
/// left to the next call. A live projection that has stopped resumes where it stopped.
///
/// @param projection The projection.
/// @param out_processed Receives by how many events the projection advanced, including events
/// without a callback. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE if a callback stopped it: the next call resumes after that event;
/// ANNALS_E_CALLBACK if a callback or an upcaster failed: the next call resumes at that event;
/// ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CLOSED; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY if another call on the projection is running, or if it is live and a callback of a
/// live projection makes this call; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_catch_up(
    projection: *mut annals_projection,
    out_processed: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (processed, err) = unsafe { (Out::cleared(out_processed, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        let mut pulled = projected.alone()?;
        let (count, status) = match pulled.as_mut() {
            Some(pulled) => projected.pull(pulled)?,
            None => projected.resume(Start::AtFailure)?,
        };
        processed.set(count);
        Ok(status)
    })
}

/// Catches up, and from then on makes the projection follow every append: when an append returns,
/// on any thread, the projection is up to date. If it is already live and has stopped, it resumes
/// where it stopped.
///
/// A callback that fails stops its own projection only: the append succeeds, and other projections
/// continue. annals_projection_state returns the error. A callback that returns a positive value
/// stops its projection after that event. A callback may always append to its own store. It may
/// append to another store only if no callback there appends to this store; otherwise the two may
/// wait for each other.
///
/// @param projection The projection.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE if a callback stopped it: the next call of this function resumes
/// after that event, whether or not the projection was live by then; ANNALS_E_READ_ONLY if the
/// store is a reader, which sees no appends: call annals_projection_catch_up instead; otherwise as
/// annals_projection_catch_up.
///
/// Threads: any, one call at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_live(
    projection: *mut annals_projection,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        if projected.store.events.is_reader() {
            return Err(Details::never_live());
        }
        let mut place = projected.alone()?;
        let Some(pulled) = place.as_mut() else { return Ok(projected.resume(Start::AtFailure)?.1) };
        let (_, status) = projected.pull(pulled)?;
        // A callback may have freed the projection.
        let goes_live = status == ANNALS_OK && !projected.table.is_over();
        let Some(pulled) = place.take_if(|_| goes_live) else { return Ok(status) };
        match pulled.live() {
            Ok(live) => {
                // Nothing else sets it: this call holds the lock.
                drop(projected.live.set(live));
                Ok(projected.status())
            }
            Err(LiveError { error, projection }) => {
                projected.table.note_position(projection.position());
                *place = Some(*projection);
                if projected.table.has_stopped() {
                    return Ok(ANNALS_DONE);
                }
                let failure = Fault::from(error);
                projected.note_failure(Some(failure.clone()));
                Err(failure)
            }
        }
    })
}

/// Resumes a live projection after the event at which a callback failed: the callback does not
/// receive that event again, and the position moves past it. If no callback failed, nothing is
/// skipped, and the function does what annals_projection_live does.
///
/// A projection that starts again from an earlier snapshot, or from the beginning, receives the
/// event again.
///
/// @param projection The projection, which must be live.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE if a callback stopped it after a later event; ANNALS_E_CALLBACK
/// if a callback failed at a later event; ANNALS_E_CORRUPT or ANNALS_E_IO if it was not a callback
/// that stopped it; ANNALS_E_CLOSED; ANNALS_E_INVALID_ARGUMENT, also if the projection is not live;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY if another call on the projection is running or a callback of a
/// live projection makes this call; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any, one call at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_resume_after(
    projection: *mut annals_projection,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        if projected.alone()?.is_some() {
            return Err(Details::invalid("projection", "it is not live"));
        }
        Ok(projected.resume(Start::AfterFailure)?.1)
    })
}
