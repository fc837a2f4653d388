//! The C ABI: what `include/annals.h` declares. Rust programs use the crate's root instead.
//!
//! The header is made from this module and documents every function for C; its conventions stand at
//! its top. Each function is a frame from `glue` around a call of the public Rust API:
//!
//! ```text
//! clear *err and the outs -> guard (catch a panic) -> handle (kind, gate, fork) -> arguments
//!     -> the Rust API -> outs, or an error object
//! ```
//!
//! This is the only place with `unsafe` code. A new function is a new block in the file of its
//! subject, and a line in `tests/abi/annals.symbols`.

#![allow(
    unsafe_code,
    non_camel_case_types,
    reason = "pointers from C are what this is about, and the types have their names of C"
)]
#![deny(unsafe_op_in_unsafe_fn, clippy::arithmetic_side_effects)]

mod append;
mod batch;
mod derived;
mod error;
mod event;
mod glue;
mod healing;
mod metrics;
mod ndjson;
mod options;
mod projection;
mod read;
mod status;
mod store;
mod verify;
mod version;

#[cfg(feature = "panic-injection")]
pub use glue::panic_injection::annals_test_panic;
pub use {
    append::*, batch::*, derived::*, error::*, event::*, healing::*, metrics::*, ndjson::*,
    options::*, projection::*, read::*, status::*, store::*, verify::*, version::*,
};
