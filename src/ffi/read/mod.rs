//! Reading: what is read, events, and the list of streams.

mod iter;
mod options;
mod query;
mod streams;

pub use {iter::*, options::*, query::*, streams::*};
