//! Several streams, conditions and checkpoints as one atomic unit.

mod object;
mod ticket;

pub use {object::*, ticket::*};
