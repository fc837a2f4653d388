//! What consumers derive from events, and what they save.

mod callback;
mod checkpoint;
mod reconstruct;
mod snapshot;
mod subscription;
mod upcast;

pub(in crate::ffi) use {callback::Callback, upcast::Steps};
pub use {
    callback::{annals_destroy_fn, annals_event_fn},
    checkpoint::*,
    reconstruct::*,
    snapshot::*,
    subscription::*,
    upcast::{annals_options_add_upcaster, annals_upcast_fn},
};
