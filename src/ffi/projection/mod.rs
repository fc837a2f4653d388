//! Projections: handlers over all events in order, with a position. Their state belongs to the
//! caller.

mod object;
mod reconstruct;
mod run;
mod setup;
mod snapshot;
mod table;

pub use {object::*, reconstruct::*, run::*, setup::*, snapshot::*};
