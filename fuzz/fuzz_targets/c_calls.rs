//! Sequences of C calls over handles.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| annals_fuzz::call(annals_fuzz::c_calls::run, data));
