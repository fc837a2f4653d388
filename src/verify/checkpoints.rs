//! Compares the checkpoints of both copies.
//!
//! A checkpoint never goes back. So while a store is in use, what the trees had before the journal
//! was read cannot be later than what the journal has, and what they have afterwards cannot be
//! earlier than what they had drained of it.

use std::{collections::BTreeMap, sync::Arc};

use crate::codec::saved::Checkpoint;

/// The checkpoints in the journal.
#[derive(Debug, Default)]
pub(super) struct OfJournal(BTreeMap<Arc<str>, Latest>);

/// The latest positions of one checkpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    all: u64,
    /// Of the frames that the trees have.
    drained: u64,
}

impl OfJournal {
    pub(super) fn add(&mut self, saved: Checkpoint, is_drained: bool) {
        let latest = self.0.entry(saved.name).or_default();
        latest.all = latest.all.max(saved.position);
        if is_drained {
            latest.drained = latest.drained.max(saved.position);
        }
    }

    /// The names, positions and differences to what the trees had before the journal was read, and
    /// what they have now.
    pub(super) fn differences(
        &self,
        before: &[Checkpoint],
        now: &[Checkpoint],
    ) -> Vec<(Arc<str>, u64, String)> {
        let mut found = Vec::new();
        for Checkpoint { name, position: in_trees } in before {
            let all = self.0.get(name).map_or(0, |latest| latest.all);
            if *in_trees > all {
                let message = format!("the trees have it at {in_trees}, the journal at {all}");
                found.push((Arc::clone(name), *in_trees, message));
            }
        }
        let now: BTreeMap<&str, u64> =
            now.iter().map(|saved| (&*saved.name, saved.position)).collect();
        for (name, Latest { drained, .. }) in &self.0 {
            let in_trees = now.get(&**name).copied().unwrap_or(0);
            if in_trees < *drained {
                let message = format!("the trees have it at {in_trees}, the journal at {drained}");
                found.push((Arc::clone(name), *drained, message));
            }
        }
        found
    }
}
