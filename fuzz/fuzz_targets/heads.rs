//! The superblock, `HEAD`, and the header of a journal file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| annals_fuzz::call(annals::fuzzing::heads, data));
