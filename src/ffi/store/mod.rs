//! A store: its options, the handle, and what it keeps beside events.

mod checkpoint;
mod metrics;
mod object;
mod options;
mod upcast;

pub use {checkpoint::*, metrics::*, object::*, options::*, upcast::*};
