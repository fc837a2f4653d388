//! Reading: the tail first, then the trees, so that nothing is missed while events move from one to
//! the other.

use std::{
    ops::Bound,
    sync::{Arc, PoisonError},
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{Reason, record::Record},
    event::RecordedEvent,
    storage::{Storage, TailRecord, files, trees::Trees},
};

/// A decoded record is kept up to this size.
const KEPT_BYTES_MAX: usize = 64 << 10;

impl Storage {
    /// Up to `limit` records from the one that holds `position` on, or back; at least one. Whether
    /// this is a forked child is for the caller to ask, now and then: it costs a system call.
    pub(crate) fn records(
        &self,
        position: u64,
        backward: bool,
        limit: usize,
    ) -> Result<Vec<Record>, Error> {
        self.check_not_closed()?;
        let records = match self.tail.records(position, backward, limit) {
            Some(found) => found
                .into_iter()
                .map(|record| self.decoded(record))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|reason| Error::corrupted("a record in memory", Some(position), reason))?,
            None => self.or_journal(
                self.with_trees(|trees| trees.records(position, backward, limit)),
                || self.records_in_journal(position, backward, limit),
            )?,
        };
        match records.first().and_then(|record| record.event_at(position)) {
            Some(_) => Ok(records),
            None => {
                Err(Error::corrupted("the directory trees", Some(position), "no record holds it"))
            }
        }
    }

    /// Decodes a record of the tail. The last one is kept, because those who follow every append
    /// all ask for it.
    fn decoded(&self, record: TailRecord) -> Result<Record, Reason> {
        let last = || self.last_decoded.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |last: &&Record| Arc::ptr_eq(last.bytes(), &record.bytes);
        if let Some(last) = last().as_ref().filter(is_it) {
            return Ok(last.clone());
        }
        let decoded = Record::decode_trusted(record.bytes)?;
        if decoded.bytes().len() <= KEPT_BYTES_MAX {
            *last() = Some(decoded.clone());
        }
        Ok(decoded)
    }

    /// The event at a position that is published.
    pub(crate) fn event_at(&self, position: u64) -> Result<RecordedEvent, Error> {
        let records = self.records(position, false, 1)?;
        let found = records.first().and_then(|record| record.event_at(position));
        found.ok_or_else(|| {
            Error::corrupted("the directory trees", Some(position), "no record holds it")
        })
    }

    /// How many events of a stream lie at or below `head`.
    pub(crate) fn stream_version(&self, stream: &str, head: u64) -> Result<u64, Error> {
        self.check_open()?;
        match self.tail.stream(stream, head) {
            Some((first_version, count)) if count > 0 => Ok(first_version - 1 + count),
            // The stream may have had its last event at or below `head` long before the tail.
            _ => self.or_journal(
                self.with_trees_or(0, |trees| trees.stream_version(stream, head)),
                || self.stream_version_in_journal(stream, head),
            ),
        }
    }

    /// Up to `limit` positions of a stream from `version` on, or back; at least one for a version
    /// that is published.
    pub(crate) fn positions(
        &self,
        stream: &str,
        version: u64,
        backward: bool,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        self.check_open()?;
        let found = self.tail.positions(stream, version, backward, limit);
        if !found.is_empty() {
            return Ok(found);
        }
        self.or_journal(
            self.with_trees_or(found, |trees| trees.positions(stream, version, backward, limit)),
            || self.positions_in_journal(stream, version, backward),
        )
    }

    /// Where the event with this id lies.
    pub(crate) fn position_of(&self, id: Uuid) -> Result<Option<u64>, Error> {
        self.check_open()?;
        match self.tail.position_of(id) {
            Some(position) => Ok(Some(position)),
            None => self
                .or_journal(self.with_trees_or(None, |trees| trees.position_of(id)), || {
                    self.position_of_in_journal(id)
                }),
        }
    }

    /// Up to `limit` streams behind `after`, in byte order, with their versions at `head`.
    pub(crate) fn streams(
        &self,
        after: Bound<&str>,
        head: u64,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, u64)>, Error> {
        self.check_open()?;
        let mut found = self.tail.streams(after, head, limit);
        let in_trees = self.or_journal(
            self.with_trees_or(Vec::new(), |trees| trees.streams(after, head, limit)),
            || self.streams_in_journal(after, head, limit),
        )?;
        // The sort is stable, so that of two entries for a stream the tail's, which is complete,
        // comes first.
        found.extend(in_trees);
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.dedup_by(|(later, _), (kept, _)| later == kept);
        found.truncate(limit);
        Ok(found)
    }

    /// Bytes on the disk of the journal and of the trees, and about how many in memory the tail
    /// takes.
    pub(crate) fn sizes(&self) -> Result<(u64, u64, u64), Error> {
        self.check_open()?;
        let below = |name: &str| match self.directory() {
            None => Ok(0),
            Some(store) => {
                let path = store.join(name);
                files::bytes_below(&path).map_err(|source| Error::io("measure", &path, source))
            }
        };
        Ok((below("journal")?, below("trees")?, self.tail.bytes() as u64))
    }

    /// Calls `read` with the open trees.
    fn with_trees<T>(&self, read: impl FnOnce(&Trees) -> Result<T, Error>) -> Result<T, Error> {
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        match trees.as_ref() {
            Some(trees) => read(trees),
            None => Err(self.check_writable().err().unwrap_or(Error::Closed)),
        }
    }

    /// As [`with_trees`](Self::with_trees); without trees, in memory, the answer is `without`.
    pub(super) fn with_trees_or<T>(
        &self,
        without: T,
        read: impl FnOnce(&Trees) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.home.is_none() { Ok(without) } else { self.with_trees(read) }
    }
}
