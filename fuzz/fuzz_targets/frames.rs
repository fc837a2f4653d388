//! Frames of a journal file, and their sealed form.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| annals_fuzz::call(annals::fuzzing::frames, data));
