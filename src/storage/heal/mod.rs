//! Healing: restores what one copy has lost from the other.
//!
//! * `rebuild`: trees from the journal, when an open finds that they cannot be used.
//! * `rewrite`: files of the journal from the trees, for a repair.
//! * `site`: what a repair does to the directory of a store that is not open. `stray`: frames that
//!   a repair would cut off.

mod rebuild;
mod rewrite;
mod site;
mod stray;

pub(crate) use rebuild::Healing;
pub(crate) use rebuild::{Rebuild, Steps};
pub(in crate::storage) use rewrite::{Gap, Piece, chain};
pub(crate) use site::{CopiedSite, Site};
