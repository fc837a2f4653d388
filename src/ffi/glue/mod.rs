//! What every exported function is made of: handles, the guard, faults, and arguments.
//!
//! Invariants:
//! * Nothing unwinds into C: each export runs its body inside [`guard`].
//! * A handle is touched only while its gate is held, so that no two calls alias its state.
//! * Every pointer from C passes through [`arguments`] or [`handle`] before it is read.

pub(super) mod arguments; // strings, byte slices, and places for results
pub(super) mod fault; //     what goes into an error object
pub(super) mod fork; //      tells a forked child from the process that opened a store
pub(super) mod guard; //     the frame around a body: panics, error objects
pub(super) mod handle; //    opaque objects: kind, gate, ownership
#[cfg(feature = "panic-injection")]
pub(super) mod panic_injection; // for the tests
pub(super) mod sized; //     structs that start with their size
