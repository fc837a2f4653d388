//! The C ABI, declared in `include/annals.h`. Rust programs use the crate root instead.
//!
//! The header is generated from this module. It documents every function for C and starts with the
//! conventions. Each function wraps a call of the public Rust API in code from `glue`:
//!
//! ```text
//! clear *err and the outs -> guard (catch a panic) -> handle (kind, gate, fork) -> arguments
//!     -> the Rust API -> outs, or an error object
//! ```
//!
//! This is the only module with `unsafe` code. To add a function, add it to the file of its subject
//! and its name to `tests/abi/annals.symbols`.

#![allow(
    unsafe_code,
    non_camel_case_types,
    reason = "the functions take pointers from C, and the types are named as in C"
)]
#![deny(unsafe_op_in_unsafe_fn, clippy::arithmetic_side_effects)]

mod append;
mod batch;
mod callback;
mod error;
mod event;
mod expected;
mod glue;
mod maintenance;
mod ndjson;
mod projection;
mod read;
mod snapshot;
mod status;
mod store;
mod version;

#[cfg(feature = "panic-injection")]
pub use glue::panic_injection::annals_test_panic;
pub use {
    append::*, batch::*, callback::*, error::*, event::*, expected::*, maintenance::*, ndjson::*,
    projection::*, read::*, snapshot::*, status::*, store::*, version::*,
};
