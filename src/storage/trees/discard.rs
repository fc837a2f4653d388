//! Removes what an unfinished drain staged.
//!
//! Ids and checkpoints stay: the journal holds the same information, and the next drain writes them
//! again.

use std::{collections::BTreeSet, ops::RangeBounds, sync::Arc};

use crate::{
    Error,
    codec::{key, saved::Checkpoint},
    storage::trees::{Trees, guarded, list::RunPlace, pace::Pace},
};

/// Keys that are collected at a time.
const KEYS: usize = 256;

/// There is a beat at least after this many streams or tags, whether or not anything was removed.
const STREAMS_PER_BEAT: usize = 256;

impl Trees {
    /// Whether nothing was ever staged. A discard that was killed may have left only tags.
    pub(crate) fn is_blank(&self) -> Result<bool, Error> {
        let trees = [&self.streams, &self.parts, &self.events, &self.tags];
        guarded(|| Ok(trees.into_iter().all(sled::Tree::is_empty)))
    }

    /// Removes what is staged above `head`. `streams` are the streams with events above it, each
    /// with the version of the first such event; `tags` are the tags of these events.
    pub(crate) fn discard_above<'s>(
        &self,
        head: u64,
        streams: impl IntoIterator<Item = (&'s str, u64)>,
        tags: &BTreeSet<Arc<str>>,
        beat: impl FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut pace = Pace::new(self, beat);
        let above = head.saturating_add(1);
        remove_range(&mut pace, &self.events, key::position(above)..)?;
        remove_range(&mut pace, &self.parts, key::part(above, 0)..)?;
        for (number, (stream, first_version)) in streams.into_iter().enumerate() {
            let range = key::run(stream, first_version)..=key::run(stream, u64::MAX);
            remove_range(&mut pace, &self.streams, range)?;
            if number % STREAMS_PER_BEAT == 0 {
                pace.beat()?;
            }
        }
        for (number, tag) in tags.iter().enumerate() {
            let range = key::run(tag, above)..=key::run(tag, u64::MAX);
            remove_range(&mut pace, &self.tags, range)?;
            if number % STREAMS_PER_BEAT == 0 {
                pace.beat()?;
            }
        }
        pace.sync()
    }
}

impl Trees {
    /// Removes everything that is staged above `head`, in all trees, and sets checkpoints above it
    /// back to it. This reads the trees completely: it is for a log that was cut off, after which
    /// it is unknown what was staged.
    pub(crate) fn discard_staged(&self, head: u64) -> Result<(), Error> {
        let mut pace = Pace::new(self, || Ok(()));
        let above = head.saturating_add(1);
        remove_range(&mut pace, &self.events, key::position(above)..)?;
        remove_range(&mut pace, &self.parts, key::part(above, 0)..)?;
        // A run that cannot be read is reported when a read needs it.
        let staged = |entry: Result<RunPlace, Error>| {
            entry.ok().filter(|run| run.first_position.is_none_or(|first| first > head))
        };
        let runs: Vec<RunPlace> = self.run_places().filter_map(staged).collect();
        for run in runs {
            pace.remove(&self.streams, &run.key)?;
        }
        let is_staged = |key: &sled::IVec| key::parse_run(key).is_none_or(|(_, at)| at > head);
        let keys = guarded(|| {
            let keys = self.tags.iter().keys();
            keys.filter(|key| key.as_ref().is_ok_and(is_staged)).collect::<Result<Vec<_>, _>>()
        })?;
        for key in &keys {
            pace.remove(&self.tags, key)?;
        }
        let ids: Vec<_> = self.ids().flatten().filter(|(_, position)| *position > head).collect();
        for (id, _) in ids {
            pace.remove(&self.ids, id.as_bytes())?;
        }
        let checkpoints: Vec<_> =
            self.checkpoints().flatten().filter(|(_, position)| *position > head).collect();
        for (name, _) in checkpoints {
            let checkpoint = Checkpoint { name: Arc::clone(&name), position: head };
            let value =
                checkpoint.encode(&self.checksum).map_err(|reason| self.damaged(&reason))?;
            pace.insert(&self.checkpoints, name.as_bytes(), value)?;
        }
        pace.sync()
    }
}

fn remove_range<'a, K: AsRef<[u8]> + Clone>(
    pace: &mut Pace<'a, impl FnMut() -> Result<(), Error>>,
    tree: &'a sled::Tree,
    range: impl RangeBounds<K> + Clone,
) -> Result<(), Error> {
    loop {
        let keys: Vec<sled::IVec> =
            guarded(|| tree.range(range.clone()).keys().take(KEYS).collect())?;
        for key in &keys {
            pace.remove(tree, key)?;
        }
        if keys.len() < KEYS {
            return Ok(());
        }
    }
}
