//! Verification of a whole store.

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

/// Receives a finding of annals_verify, annals_repair or annals_salvage: its message says what is
/// wrong and where. The library owns the error object; it is valid until the callback returns.
///
/// The callback returns 0 to continue, a positive value to stop (the call then returns
/// ANNALS_DONE), or a negative value to fail (the call then returns ANNALS_E_CALLBACK). It runs on
/// the thread of the call, with no lock held. It may use the store, but must not close it. It must
/// not throw or longjmp.
pub type annals_finding_fn = Option<
    unsafe extern "C-unwind" fn(user_data: *mut c_void, finding: *const annals_error) -> i32,
>;

/// Passes findings to a callback, and returns the resulting status.
///
/// # Safety
/// The callback is NULL or a function that accepts the user data.
pub(in crate::ffi) unsafe fn hand_over<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    finding: annals_finding_fn,
    user_data: *mut c_void,
) -> Outcome {
    let Some(finding) = finding else { return Ok(ANNALS_OK) };
    for found in findings {
        let lend = |error: *const annals_error| {
            // SAFETY: the caller upholds this function's contract.
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

/// Checks the whole store up to its last event and reports what is wrong. It changes nothing. It
/// checks every checksum, every number, every index entry, and compares the two copies of every
/// event. Appends and reads may continue meanwhile.
///
/// @param store The store.
/// @param finding Called at the end for each finding. NULL only counts them.
/// @param user_data Passed to `finding`.
/// @param out_events Receives the number of events that were read and found intact. May be NULL.
/// @param out_findings Receives the number of findings, at most 1000; 0 if the store is intact. May
/// be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK, with or without findings; ANNALS_DONE if `finding` asked to stop;
/// ANNALS_E_CALLBACK; ANNALS_E_IO; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_CLOSED;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Threads: thread-safe. Blocking: reads every file. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
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
    // SAFETY: the caller upholds this function's contract.
    let (events, findings, err) = unsafe {
        (Out::cleared(out_events, 0), Out::cleared(out_findings, 0), ErrorOut::cleared(err))
    };
    guard::call(err, || {
        // SAFETY: the caller upholds this function's contract.
        let store = unsafe { handle::shared(store) }?;
        let report = store.events.verify()?;
        let _running = store.in_callback();
        // SAFETY: the caller upholds this function's contract.
        let status = unsafe { hand_over(&report.findings, finding, user_data) }?;
        events.set(report.events);
        findings.set(report.findings.len() as u64);
        Ok(status)
    })
}
