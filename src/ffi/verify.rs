//! Checking a whole store.

use std::ffi::c_void;

use crate::Finding;
use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::Out,
        fault::{Details, Outcome},
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

/// Hands findings to a callback, and returns how that ends.
///
/// # Safety
/// The callback is NULL or a function that takes the user data.
pub(in crate::ffi) unsafe fn hand_over<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    finding: annals_finding_fn,
    user_data: *mut c_void,
) -> Outcome {
    let Some(finding) = finding else { return Ok(ANNALS_OK) };
    for found in findings {
        let lend = |error: *const annals_error| {
            // SAFETY: as promised to this function.
            unsafe { finding(user_data, error) }
        };
        match handle::lend(*Details::finding(found), lend)? {
            0 => {}
            1.. => return Ok(ANNALS_DONE),
            code => return Err(Details::callback("finding", code)),
        }
    }
    Ok(ANNALS_OK)
}

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
        // SAFETY: as promised to this function.
        let status = unsafe { hand_over(&report.findings, finding, user_data) }?;
        events.set(report.events);
        findings.set(report.findings.len() as u64);
        Ok(status)
    })
}
