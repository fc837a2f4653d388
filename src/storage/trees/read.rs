//! Reading the trees.

use std::{ops::Bound, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        key,
        record::{self, Record},
        run::Run,
        split::{self, Stub},
    },
    storage::trees::{Trees, guarded},
};

/// Bytes of records that one call returns, unless the first is larger.
const READ_BYTES: usize = 256 << 10;

impl Trees {
    /// Up to `limit` records from the one that holds `position` on, or back, and no more once they
    /// fill the buffer of a read. Empty when there is none.
    pub(crate) fn records(
        &self,
        position: u64,
        backward: bool,
        limit: usize,
    ) -> Result<Vec<Record>, Error> {
        let upto = self.events.range(..=key::record(position));
        let mut back = upto.rev();
        let Some((key, value)) = guarded(|| back.next().transpose())? else {
            return Ok(Vec::new());
        };
        let behind = (Bound::Excluded(key.clone()), Bound::Unbounded);
        let mut on = self.events.range::<sled::IVec, _>(behind);
        let mut records = vec![self.decode_record(&key, &value)?];
        let mut bytes = value.len();
        while records.len() < limit && bytes < READ_BYTES {
            let next = guarded(|| if backward { back.next() } else { on.next() }.transpose())?;
            let Some((key, value)) = next else { break };
            let record = self.decode_record(&key, &value)?;
            bytes += record.bytes().len();
            records.push(record);
        }
        Ok(records)
    }

    /// Decodes a value of `events`, whole or split.
    fn decode_record(&self, key: &[u8], value: &[u8]) -> Result<Record, Error> {
        let position = key::record_position(key);
        let damaged = |reason: String| Error::corrupted("a record in the trees", position, reason);
        let at = position.ok_or_else(|| damaged("its key is malformed".to_owned()))?;
        let bytes: Arc<[u8]> = match value.first() {
            Some(&record::KIND) => Arc::from(value),
            _ => {
                let stub = Stub::decode(value, at, &self.checksum).map_err(damaged)?;
                Arc::from(self.join_parts(at, stub)?)
            }
        };
        let record = Record::decode(bytes, &self.checksum).map_err(damaged)?;
        if record.first_position() != at {
            return Err(damaged(format!("it says it is for position {}", record.first_position())));
        }
        Ok(record)
    }

    fn join_parts(&self, position: u64, stub: Stub) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        for number in 0..stub.parts {
            match guarded(|| self.parts.get(key::part(position, number)))? {
                Some(part) => bytes.extend_from_slice(&part),
                None => {
                    let reason = format!("part {number} of {} is missing", stub.parts);
                    let place = "a split record in the trees";
                    return Err(Error::corrupted(place, Some(position), reason));
                }
            }
        }
        Ok(bytes)
    }

    /// How many events of a stream lie at or below `head`.
    pub(crate) fn stream_version(&self, stream: &str, head: u64) -> Result<u64, Error> {
        let range = key::run(stream, 0)..=key::run(stream, u64::MAX);
        let mut runs = self.streams.range(range).rev();
        while let Some(entry) = guarded(|| runs.next().transpose())? {
            let (_, first_version, run) = parse_run(&entry)?;
            if run.first_position() <= head {
                return Ok(first_version - 1 + run.count_through(head));
            }
        }
        Ok(0)
    }

    /// Up to `limit` positions of a stream from `version` on, or back.
    pub(crate) fn positions(
        &self,
        stream: &str,
        version: u64,
        backward: bool,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        let range = key::run(stream, 0)..=key::run(stream, version);
        let holder = guarded(|| self.streams.range(range).next_back().transpose())?;
        let Some(holder) = holder else { return Ok(Vec::new()) };
        let (_, first_version, run) = parse_run(&holder)?;
        let skip = version - first_version;
        if !backward {
            return Ok(run.positions_from(skip).take(limit).collect());
        }
        let keep = usize::try_from(skip.saturating_add(1)).unwrap_or(usize::MAX);
        let mut positions: Vec<u64> = run.positions_from(0).take(keep).collect();
        if positions.len() < keep {
            // The run ends before the version: there is none.
            return Ok(Vec::new());
        }
        positions.reverse();
        positions.truncate(limit);
        Ok(positions)
    }

    /// Up to `limit` streams behind `after`, in byte order, with their versions at `head`.
    pub(crate) fn streams(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, u64)>, Error> {
        let mut start = match after {
            Bound::Unbounded => Vec::new(),
            Bound::Included(id) => key::run(id, 0),
            Bound::Excluded(id) => key::run(id, u64::MAX),
        };
        let mut found = Vec::new();
        while found.len() < limit {
            let next = guarded(|| self.streams.range(start.clone()..).next().transpose())?;
            let Some(entry) = next else { break };
            let (stream, _, _) = parse_run(&entry)?;
            let version = self.stream_version(&stream, head)?;
            start = [key::run(&stream, u64::MAX).as_slice(), &[0]].concat();
            if version > 0 {
                found.push((stream, version));
            }
        }
        Ok(found)
    }

    /// Where the event with this id lies.
    pub(crate) fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        let value = guarded(|| self.ids.get(id.as_bytes()))?;
        let Some(value) = value else { return Ok(None) };
        match key::record_position(&value) {
            Some(position) => Ok(Some(position)),
            None => Err(Error::corrupted("the index of event ids", None, "an entry is malformed")),
        }
    }

    /// The last position in `events`, staged ones included.
    pub(crate) fn last_position(&self) -> Result<u64, Error> {
        let last = guarded(|| self.events.last())?;
        let Some((key, value)) = last else { return Ok(0) };
        Ok(self.decode_record(&key, &value)?.last_position())
    }

    /// The first position behind `position` at which a record starts.
    pub(crate) fn next_record(&self, position: u64) -> Result<Option<u64>, Error> {
        let behind = key::record(position.saturating_add(1));
        let next = guarded(|| self.events.range(behind..).next().transpose())?;
        Ok(next.and_then(|(key, _)| key::record_position(&key)))
    }

    /// Every event id with its position, for a check.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Result<(Uuid, u64), Error>> {
        let mut entries = self.ids.iter();
        std::iter::from_fn(move || {
            guarded(|| entries.next().transpose()).transpose().map(|entry| {
                let (key, value) = entry?;
                let id = Uuid::from_slice(&key).ok();
                id.zip(key::record_position(&value)).ok_or_else(|| {
                    Error::corrupted("the index of event ids", None, "an entry is malformed")
                })
            })
        })
    }
}

/// The most that a part holds; `split` cuts them so.
const _: () = assert!(split::PART_BYTES <= 64 << 10);

fn parse_run((key, value): &(sled::IVec, sled::IVec)) -> Result<(Arc<str>, u64, Run), Error> {
    let damaged = |reason: String| Error::corrupted("the index of streams", None, reason);
    let (stream, first_version) =
        key::parse_run(key).ok_or_else(|| damaged("a key is malformed".to_owned()))?;
    let run = Run::decode(value).map_err(|reason| damaged(format!("{stream:?}: {reason}")))?;
    if first_version == 0 {
        return Err(damaged(format!("{stream:?}: a run starts at version 0")));
    }
    Ok((Arc::from(stream), first_version, run))
}
