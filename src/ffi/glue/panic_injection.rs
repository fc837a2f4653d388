//! For the tests: a panic inside the next call, where they want it.

use std::sync::atomic::{AtomicU32, Ordering};

static DUE: AtomicU32 = AtomicU32::new(0);

/// Makes the next call panic: with 1 as it begins, with 2 once it uses a handle; 0 calls it off.
/// Returns what was due before, so that a test sees whether it has come to pass.
///
/// cbindgen:ignore
///
/// # Safety
/// None needed; it is a function of C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_test_panic(place: u32) -> u32 {
    DUE.swap(place, Ordering::SeqCst)
}

pub(super) fn at_entry() {
    panic_if(1);
}

pub(super) fn in_use() {
    panic_if(2);
}

#[expect(clippy::panic, reason = "that is what it is for")]
fn panic_if(place: u32) {
    if DUE.compare_exchange(place, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        panic!("as the test wants it");
    }
}
