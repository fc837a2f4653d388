//! The layout of the trees: their keys and their values.

pub(crate) mod dictionary;
pub(crate) mod key;
pub(crate) mod meta;
pub(crate) mod places;
pub(crate) mod run;
pub(crate) mod stored;
pub(crate) mod tagged;
#[cfg(test)]
#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at what should not be"
)]
mod tests;
