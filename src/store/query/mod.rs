//! Queries: events by what they are, whatever their streams are.

mod found;
mod pages;
mod postings;
mod search;

pub use found::Found;
pub(crate) use search::Search;
