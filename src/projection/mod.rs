//! Projections: state that handlers derive from the events, in position order.
//!
//! A [`Projection`] is pulled: it catches up on request. A [`LiveProjection`] is brought up to date
//! inside every append. Both keep the state, the position and the saved snapshots under one name;
//! [`EventStore::reconstruct_state`](crate::EventStore::reconstruct_state) derives an earlier state
//! of one stream.

mod engine;
mod gate;
mod handlers;
mod live;
mod load;
mod pull;
mod reconstruct;
mod restore;
mod undo;
mod up_to;
mod update;

pub use handlers::{HandlerError, Handlers};
pub use live::{LiveProjection, LiveState};
pub use load::Loaded;
pub use pull::{LiveError, Projection};
pub use restore::Restored;
pub use up_to::UpTo;
pub use update::UpdateError;
