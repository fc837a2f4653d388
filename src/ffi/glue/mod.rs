//! The building blocks of every exported function: handles, the guard, faults, and arguments.
//!
//! Invariants:
//! * Nothing unwinds into C: each export runs its body inside [`guard`].
//! * A handle is used only while its gate is held, so no two calls alias its state.
//! * Every pointer from C is checked in [`arguments`], [`sized`] or [`handle`] before it is read.

pub(super) mod arguments; // strings, byte slices, outputs
pub(super) mod callbacks; // which callbacks are running
pub(super) mod fault; //     the contents of an error object
pub(super) mod fork; //      detects a forked child of the process that opened a store
pub(super) mod guard; //     the wrapper around a body: panics, error objects
pub(super) mod handle; //    opaque objects: kind, gate, ownership
#[cfg(feature = "panic-injection")]
pub(super) mod panic_injection; // for tests
pub(super) mod sized; //     structs that start with their size
