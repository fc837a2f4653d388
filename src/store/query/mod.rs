//! Queries: finding events by stream, type and tags.

mod found;
mod pages;
mod postings;
mod search;

pub use found::Found;
pub(crate) use search::Search;
