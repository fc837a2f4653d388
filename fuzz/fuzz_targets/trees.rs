//! Values of the trees.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| annals_fuzz::call(annals::fuzzing::trees, data));
