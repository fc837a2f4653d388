//! The streams of the sealed files. Each file lists its own in order; the lists are merged.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use super::source::Source;
use crate::{Error, storage::journal::SealedFiles};

/// The streams up to a name, with their versions where a single file shows them.
struct Part {
    streams: BTreeMap<String, Option<u64>>,
    /// The last name, if more may follow.
    end: Option<String>,
}

impl SealedFiles {
    /// Up to `limit` streams after `after`, in byte order, with their versions at `head`.
    pub(super) fn list_streams(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, u64)>, Error> {
        let mut found = Vec::new();
        let mut add = |name: &str, version: Option<u64>| {
            let version = version.map_or_else(|| self.stream_version(name, head), Ok)?;
            if version > 0 {
                found.push((Arc::from(name), version));
            }
            Ok::<usize, Error>(found.len())
        };
        let mut after = match after {
            Bound::Unbounded => None,
            Bound::Excluded(name) => Some(name.to_owned()),
            Bound::Included(name) => {
                if add(name, None)? >= limit {
                    return Ok(found);
                }
                Some(name.to_owned())
            }
        };
        loop {
            let Part { streams, end } = self.part(after.as_deref(), head, limit)?;
            for (name, version) in streams {
                if add(&name, version)? >= limit {
                    return Ok(found);
                }
            }
            match end {
                // A part can consist of streams that start past the head.
                Some(end) => after = Some(end),
                None => return Ok(found),
            }
        }
    }

    /// Merges up to `limit` streams of each file, up to the name that all files have reached:
    ///
    /// ```text
    ///           after                  end
    /// file 1      |  b  c        f  g  |             its limit
    /// file 2      |     c  d        g  |  h  k       (dropped, read again)
    /// ```
    fn part(&self, after: Option<&str>, head: u64, limit: usize) -> Result<Part, Error> {
        let mut part = Part { streams: BTreeMap::new(), end: None };
        for file in self.newest_first() {
            let file = file?;
            let facts = file.facts();
            if facts.first_position > head {
                continue;
            }
            let listed = file.streams(after, limit)?;
            if let Some(last) = listed.last().filter(|_| listed.len() == limit)
                && part.end.as_ref().is_none_or(|end| last.id < *end)
            {
                part.end = Some(last.id.clone());
            }
            // The newest file with a stream has its version, unless the file goes past the head.
            let is_whole = facts.last_position <= head;
            for stream in listed {
                let version = is_whole.then(|| stream.first_version - 1 + stream.count);
                part.streams.entry(stream.id).or_insert(version);
            }
        }
        if let Some(end) = &part.end {
            part.streams.retain(|name, _| name <= end);
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use crate::{EventStore, ExpectedVersion, NewEvent, Options};

    use super::*;

    #[test]
    fn a_list_keeps_to_its_limit() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("store");
        let store = Options::new().journal_bytes(64 << 10).open(&path)?;
        let names = ["a", "b", "c", "d"];
        for name in names {
            let event = NewEvent::binary("T", vec![7; 100_000])?;
            store.append(name, ExpectedVersion::Any, [event])?;
        }
        store.close()?;
        let reader = EventStore::open_reading(&path)?;
        let disk = reader.storage().disk().ok_or("a store on the disk")?;
        let all = disk.sealed.list_streams(Bound::Unbounded, 4, 9)?;
        let count = all.len();
        assert!(count > 1, "the first files are sealed");
        for (index, name) in names.iter().enumerate().take(count) {
            for limit in 1..=count {
                let found = disk.sealed.list_streams(Bound::Included(name), 4, limit)?;
                let due: Vec<_> = all.iter().skip(index).take(limit).cloned().collect();
                assert_eq!(found, due, "{name}, {limit}");
            }
        }
        Ok(())
    }
}
