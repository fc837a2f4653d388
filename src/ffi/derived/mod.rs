//! What consumers derive from the events, and what they save.

mod callback;
mod checkpoint;
mod reconstruct;
mod snapshot;
mod subscription;

pub(in crate::ffi) use callback::Callback;
pub use {
    callback::{annals_destroy_fn, annals_event_fn},
    checkpoint::*,
    reconstruct::*,
    snapshot::*,
    subscription::*,
};
