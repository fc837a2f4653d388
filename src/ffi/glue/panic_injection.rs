//! Injects a panic into the next call, for tests.

use std::sync::atomic::{AtomicU32, Ordering};

static DUE: AtomicU32 = AtomicU32::new(0);

/// Makes the next call panic: 1 when it starts, 2 when it uses a handle; 0 cancels that. Returns
/// what was pending before, so that a test can check whether the panic has happened.
///
/// cbindgen:ignore
///
/// # Safety
/// No requirements.
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

#[expect(clippy::panic, reason = "its purpose is to panic")]
fn panic_if(place: u32) {
    if DUE.compare_exchange(place, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        panic!("injected by a test");
    }
}
