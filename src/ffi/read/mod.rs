//! Reading: read options, queries, events, and the list of streams.

mod bounds;
mod by_id;
mod iter;
mod options;
mod query;
mod streams;

pub use {bounds::*, by_id::*, iter::*, options::*, query::*, streams::*};
