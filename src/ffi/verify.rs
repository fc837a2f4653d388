//! Checking a whole store.

use std::ffi::c_void;

use crate::Finding;
use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::Out,
        fault::{Details, Fault},
        guard::{self, ErrorOut},
        handle,
    },
    status::{ANNALS_DONE, ANNALS_OK, annals_status},
    store::annals_store,
};

/// Takes a finding of annals_verify: its message says what and where. The error object belongs to
/// the library and is valid until the callback returns.
///
/// It returns 0 to go on, a value above 0 to hear no more (annals_verify returns ANNALS_DONE), or
/// one below 0 to fail (it returns ANNALS_E_CALLBACK). It runs on the thread of the call, with no
/// lock held, and may use the store, except to close it. It must not throw or longjmp.
pub type annals_finding_fn = Option<
    unsafe extern "C-unwind" fn(user_data: *mut c_void, finding: *const annals_error) -> i32,
>;

/// Checks the whole store up to its last event and reports what is wrong; it changes nothing.
/// Checked are every checksum, every number, every index entry, and the two copies of every event
/// against each other. Appends and reads may go on meanwhile.
///
/// @param store The store.
/// @param finding Called for each finding, when the check is over; NULL just to count them.
/// @param user_data Handed to `finding`.
/// @param out_events Receives how many events were read and found intact. May be NULL.
/// @param out_findings Receives how many findings there are, at most 1000; 0 for an intact store.
/// May be NULL.
/// @param err Receives an error object on failure, unless NULL.
/// @return ANNALS_OK, with findings or without; ANNALS_DONE when `finding` asked to stop;
/// ANNALS_E_CALLBACK; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: any number at once. Blocking: reads every file, twice. Since: 0.1.0
///
/// # Safety
/// Every pointer is NULL or what its line above says.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_verify(
    store: *const annals_store,
    finding: annals_finding_fn,
    user_data: *mut c_void,
    out_events: *mut u64,
    out_findings: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: as promised to this function.
    let (events, findings, err) = unsafe {
        (Out::cleared(out_events, 0), Out::cleared(out_findings, 0), ErrorOut::cleared(err))
    };
    guard::call(err, || {
        // SAFETY: as promised to this function.
        let store = unsafe { handle::shared(store) }?;
        let report = store.events.verify()?;
        let mut status = ANNALS_OK;
        if let Some(finding) = finding {
            for found in &report.findings {
                let tell = |error: *const annals_error| {
                    // SAFETY: as promised to this function.
                    unsafe { finding(user_data, error) }
                };
                match lend(found, tell)? {
                    0 => {}
                    1.. => {
                        status = ANNALS_DONE;
                        break;
                    }
                    code => return Err(Details::callback("finding", code)),
                }
            }
        }
        events.set(report.events);
        findings.set(report.findings.len() as u64);
        Ok(status)
    })
}

/// Hands out a finding as an error object for the length of a call.
fn lend(finding: &Finding, tell: impl FnOnce(*const annals_error) -> i32) -> Result<i32, Fault> {
    let error = handle::make::<annals_error>(*Details::finding(finding))?;
    // SAFETY: the object was made just now.
    let lent = unsafe { handle::shared(error.cast_const()) }?;
    let code = tell(error);
    // SAFETY: the callback has returned, and may not use it any more. It may have freed it, which
    // comes true only as the loan ends.
    unsafe { handle::free(error) };
    drop(lent);
    Ok(code)
}
