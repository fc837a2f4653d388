//! Reading: read options, queries, events, subscriptions, and the list of streams.

mod bounds;
mod by_id;
mod iter;
mod options;
mod query;
mod streams;
mod subscription;

pub use {bounds::*, by_id::*, iter::*, options::*, query::*, streams::*, subscription::*};
