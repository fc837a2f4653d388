//! Reading: what is read, events, and the list of streams.

mod iter;
mod options;
mod streams;

pub use {iter::*, options::*, streams::*};
