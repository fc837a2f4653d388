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

/// Where a live projection goes on.
#[derive(Clone, Copy)]
enum Start {
    /// At the event that failed.
    AtFailure,
    /// At the one after it.
    AfterFailure,
}

impl Projected {
    /// Catches up while it is pulled.
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

    /// Goes on once it is live: at the event at which it has stopped, or after the one that failed.
    fn resume(&self, start: Start) -> Result<(u64, annals_status), Fault> {
        let Some(live) = self.live.get() else {
            return Err(Details::busy(annals_projection::NAME));
        };
        let (before, had_stopped) = (live.position(), self.table.has_stopped());
        self.table.go_on();
        // After a stop the event that is next has not been begun: it has not failed.
        let outcome = match start {
            Start::AfterFailure if !had_stopped => live.resume_after(),
            _ => live.resume(),
        };
        match outcome {
            // Nothing was done, so it stands where it stood.
            Err(refusal) if matches!(&*refusal, Error::Busy { .. } | Error::Closed) => {
                if had_stopped {
                    self.table.stop();
                }
                Err(Fault::from(&*refusal))
            }
            Ok(position) => Ok((position.saturating_sub(before), self.status())),
            // The next event was not begun, because of a stop.
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

/// Gives the callbacks every event up to the head of this moment. What they append comes with the
/// next call. A live projection goes on where it has stopped.
///
/// @param projection The projection.
/// @param out_processed Receives how many events it has got past, those without a callback
/// included. May be NULL.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_DONE when a callback stopped it: the next call goes on after that
/// event; ANNALS_E_CALLBACK when one failed: the next call goes on at that event; ANNALS_E_CORRUPT;
/// ANNALS_E_IO; ANNALS_E_CLOSED; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_MISUSE; ANNALS_E_BUSY while
/// another call on it runs, and for a live one in a callback of a live projection; ANNALS_E_FORKED;
/// ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_catch_up(
    projection: *mut annals_projection,
    out_processed: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (processed, err) = unsafe { (Out::cleared(out_processed, 0), ErrorOut::cleared(err)) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
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

/// Catches up, and makes the projection follow every append from then on: it is up to date when an
/// append returns, whichever thread appends. One that is live already goes on where it has stopped.
///
/// A callback that fails stops its own projection and changes nothing else: the append stands, and
/// other projections go on. annals_projection_state tells. One that returns a value above 0 stops
/// it after that event. A callback may append, to its own store without any further thought; to
/// another one only if no callback there appends to this one, or they may wait for each other.
///
/// @param projection The projection.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_DONE when a callback stopped it: this function goes on after that
/// event, whether it was live by then or not; as annals_projection_catch_up otherwise.
///
/// Threads: any, one at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_live(
    projection: *mut annals_projection,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        let mut place = projected.alone()?;
        let Some(pulled) = place.as_mut() else { return Ok(projected.resume(Start::AtFailure)?.1) };
        let (_, status) = projected.pull(pulled)?;
        let Some(pulled) = place.take_if(|_| status == ANNALS_OK) else { return Ok(status) };
        match pulled.live() {
            Ok(live) => {
                // Nobody else sets it: this call is alone.
                drop(projected.live.set(live));
                Ok(projected.status())
            }
            Err(LiveError { error, projection }) => {
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

/// Lets a live projection go on after the event at which a callback has failed: the callback is not
/// given that event again, and the position moves past it. Where no callback has failed nothing is
/// left out, and this does what annals_projection_live does.
///
/// A projection that starts again from an earlier snapshot, or from the beginning, meets the event
/// again.
///
/// @param projection The projection, which is live.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK; ANNALS_DONE when a callback stopped it after a later event;
/// ANNALS_E_CALLBACK when one failed at a later event; ANNALS_E_CORRUPT and ANNALS_E_IO: what
/// stopped it was not a callback; ANNALS_E_CLOSED; ANNALS_E_INVALID_ARGUMENT, also for one that is
/// not live; ANNALS_E_MISUSE; ANNALS_E_BUSY while another call on it runs, and in a callback of a
/// live projection; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any, one at a time. Blocking: may read files, and runs callbacks. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_projection_resume_after(
    projection: *mut annals_projection,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let err = unsafe { ErrorOut::cleared(err) };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let projected = unsafe { handle::shared(projection.cast_const()) }?;
        if projected.alone()?.is_some() {
            return Err(Details::invalid("projection", "it is not live"));
        }
        Ok(projected.resume(Start::AfterFailure)?.1)
    })
}
