//! Writing the trees: the steps of a checkpoint, called by its thread alone.

use std::{convert::Infallible, sync::Arc};

use sled::{
    Transactional,
    transaction::{ConflictableTransactionError, TransactionError},
};
use uuid::Uuid;

use crate::{
    Error,
    codec::{
        FORMAT_VERSION, key,
        run::Run,
        split::{PART_BYTES, Stub, WHOLE_BYTES_MAX},
    },
    storage::trees::{Trees, error_of, guarded},
};

const FORMAT: &str = "format";
const HEAD: &str = "head";
const STORE_ID: &str = "store_id";
const REMOVED: &str = "removed";

/// Bytes of log between two syncs, about. No more than one of sled's segments may be logged between
/// two syncs, or its recovery can miss one.
const LOGGED_BYTES: usize = 2 << 20;

/// Bytes of keys and values between two syncs: at first, and as what sled has logged for them
/// demands.
const STEP_BYTES: usize = 256 << 10;
const STEP_BYTES_MIN: usize = 64 << 10;
const STEP_BYTES_MAX: usize = 1 << 20;

/// What an entry is counted with, besides its bytes. A small one costs sled some 300 bytes of log,
/// or some kilobytes where it splits a leaf, because the parent is logged then as well.
const ENTRY_BYTES: usize = 1 << 10;

/// A transaction holds readers up, so it stays at about a millisecond.
const TRANSACTION_RECORDS: usize = 64;
const TRANSACTION_BYTES: usize = 256 << 10;

/// A stream's positions in a window, with the version of the first.
pub(crate) type StreamEntries = (Arc<str>, u64, Vec<u64>);

/// Where the trees end: the last position that they serve, and the checksum of the journal's frame
/// that ends there, which ties the two copies to one history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) position: u64,
    pub(crate) chain: u32,
}

/// One record on its way into `events`.
struct Entry {
    key: [u8; 8],
    value: sled::IVec,
}

impl Trees {
    /// sled's first transaction in a process waits for all readers; it is run while there are none.
    pub(super) fn upgrade_lock(&self) -> Result<(), Error> {
        self.commit(&[], None)
    }

    pub(super) fn write_identity(&self, store_id: Uuid) -> Result<(), Error> {
        guarded(|| {
            self.meta.insert(STORE_ID, store_id.as_bytes())?;
            self.meta.insert(FORMAT, &FORMAT_VERSION.to_le_bytes())
        })?;
        self.commit(&[], Some(Head::default()))
    }

    /// Format version and store id.
    pub(super) fn identity(&self) -> Result<(u32, Uuid), Error> {
        let format = self.meta_value(FORMAT)?;
        let store_id = self.meta_value(STORE_ID)?;
        Ok((u32::from_le_bytes(format), Uuid::from_bytes(store_id)))
    }

    /// Where the trees end.
    pub(crate) fn head(&self) -> Result<Head, Error> {
        let value: [u8; 16] = self.meta_value(HEAD)?;
        let (head, sum) = value.split_last_chunk::<4>().unwrap_or((&value, &[0; 4]));
        if self.checksum.of(head) != u32::from_le_bytes(*sum) {
            return Err(self.damaged("the checksum of the head does not fit"));
        }
        let (position, chain) = head.split_last_chunk::<4>().unwrap_or((head, &[0; 4]));
        Ok(Head {
            position: u64::from_le_bytes(position.try_into().unwrap_or_default()),
            chain: u32::from_le_bytes(*chain),
        })
    }

    /// The position up to which journal files were removed once the trees had them.
    pub(crate) fn removed(&self) -> Result<u64, Error> {
        match guarded(|| self.meta.get(REMOVED))? {
            None => Ok(0),
            Some(_) => self.meta_value(REMOVED).map(u64::from_le_bytes),
        }
    }

    /// Notes durably that journal files are about to be removed.
    pub(crate) fn set_removed(&self, position: u64) -> Result<(), Error> {
        guarded(|| self.meta.insert(REMOVED, &position.to_le_bytes()))?;
        self.sync().map(drop)
    }

    fn meta_value<const N: usize>(&self, name: &str) -> Result<[u8; N], Error> {
        let value = guarded(|| self.meta.get(name))?;
        let value = value.and_then(|value| <[u8; N]>::try_from(value.as_ref()).ok());
        value.ok_or_else(|| self.damaged(&format!("the entry {name:?} is missing or malformed")))
    }

    pub(super) fn damaged(&self, reason: &str) -> Error {
        Error::corrupted(self.directory.display().to_string(), None, reason)
    }

    /// Makes everything written so far durable, and returns how many bytes sled has logged for it.
    pub(crate) fn sync(&self) -> Result<usize, Error> {
        let logged = guarded(|| self.db.flush())?;
        let synced = self.data.sync_data();
        synced.map_err(|source| Error::io("sync", self.directory.join("db"), source))?;
        Ok(logged)
    }

    /// One transaction: some records and, where given, the head.
    fn commit(&self, records: &[Entry], head: Option<Head>) -> Result<(), Error> {
        let head = head.map(|Head { position, chain }| {
            let head = [position.to_le_bytes().as_slice(), &chain.to_le_bytes()].concat();
            let sum = self.checksum.of(&head);
            sled::IVec::from([head.as_slice(), &sum.to_le_bytes()].concat())
        });
        let run = || {
            (&self.events, &self.meta).transaction(|(events, meta)| {
                for Entry { key, value } in records {
                    events.insert(key, value.clone())?;
                }
                if let Some(head) = &head {
                    meta.insert(HEAD, head.clone())?;
                }
                Ok::<(), ConflictableTransactionError<Infallible>>(())
            })
        };
        committed(run)?;
        records.iter().try_for_each(|Entry { key, .. }| tidy(&self.events, key))
    }
}

/// Looks for a key that was inserted or removed. sled splits a leaf that is too full, and merges
/// one that is too empty, at its next visit: were that a reader's, nobody would sync what sled logs
/// for it.
fn tidy(tree: &sled::Tree, key: &[u8]) -> Result<(), Error> {
    guarded(|| tree.get(key)).map(drop)
}

/// Runs a transaction that never aborts.
fn committed(
    transaction: impl FnOnce() -> Result<(), TransactionError<Infallible>>,
) -> Result<(), Error> {
    guarded(|| match transaction() {
        Ok(()) => Ok(Ok(())),
        Err(TransactionError::Storage(error)) => Ok(Err(error_of(error))),
        Err(TransactionError::Abort(never)) => match never {},
    })?
}

/// One checkpoint's writes. Everything is staged above the trees' head until [`finish`] moves it.
///
/// [`finish`]: Staging::finish
pub(crate) struct Staging<'a, B> {
    pub(super) trees: &'a Trees,
    /// Called between steps, so that other work of the thread is not held up.
    beat: B,
    /// Bytes of keys and values that are not synced.
    unsynced: usize,
    /// How many of them may be.
    step: usize,
    batch: Vec<Entry>,
    batch_bytes: usize,
}

impl<'a, B: FnMut() -> Result<(), Error>> Staging<'a, B> {
    pub(crate) fn new(trees: &'a Trees, beat: B) -> Self {
        let (unsynced, step) = (0, STEP_BYTES);
        Staging { trees, beat, unsynced, step, batch: Vec::new(), batch_bytes: 0 }
    }

    /// Removes what a checkpoint that did not finish staged above `head`. `streams` are those with
    /// events above it, with the first such version.
    pub(crate) fn discard_above(
        &mut self,
        head: u64,
        streams: &[StreamEntries],
    ) -> Result<(), Error> {
        let trees = self.trees;
        self.remove_all(&trees.events, trees.events.range(key::record(head + 1)..))?;
        self.remove_all(&trees.parts, trees.parts.range(key::part(head + 1, 0)..))?;
        for (stream, first_version, _) in streams {
            let range = key::run(stream, *first_version)..=key::run(stream, u64::MAX);
            self.remove_all(&trees.streams, trees.streams.range(range))?;
        }
        self.restart_steps();
        Ok(())
    }

    fn remove_all(&mut self, tree: &sled::Tree, mut entries: sled::Iter) -> Result<(), Error> {
        while let Some((key, value)) = guarded(|| entries.next().transpose())? {
            self.remove(tree, &key, value.len())?;
        }
        Ok(())
    }

    /// Removes an entry whose value has `len` bytes.
    pub(super) fn remove(
        &mut self,
        tree: &sled::Tree,
        key: &[u8],
        len: usize,
    ) -> Result<(), Error> {
        guarded(|| tree.remove(key))?;
        tidy(tree, key)?;
        // A leaf is rewritten with what else is in it.
        self.logged(key.len() + len + ENTRY_BYTES)
    }

    /// Stages the runs of one stream; streams come in byte order, so that keys come in key order,
    /// which is what sled is fast at.
    pub(crate) fn stream(&mut self, entries: &StreamEntries) -> Result<(), Error> {
        let (stream, first_version, positions) = entries;
        let mut open: Option<(u64, Run)> = None;
        for (version, &position) in (*first_version..).zip(positions) {
            if let Some((_, run)) = &mut open
                && run.push(position)
            {
                continue;
            }
            if let Some((first, run)) = open.replace((version, Run::new(position))) {
                self.run(stream, first, &run)?;
            }
        }
        match open {
            Some((first, run)) => self.run(stream, first, &run),
            None => Ok(()),
        }
    }

    fn run(&mut self, stream: &str, first_version: u64, run: &Run) -> Result<(), Error> {
        let value = run.encode().map_err(|reason| self.trees.damaged(&reason))?;
        let key = key::run(stream, first_version);
        self.put(&self.trees.streams, &key, &value)
    }

    /// Stages event ids.
    pub(crate) fn ids(&mut self, ids: &mut [(Uuid, u64)]) -> Result<(), Error> {
        self.restart_steps();
        ids.sort_unstable();
        for (id, position) in ids {
            self.put(&self.trees.ids, id.as_bytes(), &position.to_be_bytes())?;
        }
        Ok(())
    }

    /// Adds a record; records come in position order.
    pub(crate) fn record(&mut self, position: u64, record: &[u8]) -> Result<(), Error> {
        let is_full = self.batch_bytes + record.len() > TRANSACTION_BYTES;
        if self.batch.len() == TRANSACTION_RECORDS || (is_full && !self.batch.is_empty()) {
            self.trees.commit(&self.batch, None)?;
            (self.beat)()?;
            let bytes = std::mem::take(&mut self.batch_bytes);
            self.batch.clear();
            self.logged(bytes)?;
        }
        let value = match record.len() <= WHOLE_BYTES_MAX {
            true => sled::IVec::from(record),
            false => self.parts(position, record)?,
        };
        self.batch_bytes += value.len() + ENTRY_BYTES;
        self.batch.push(Entry { key: key::record(position), value });
        Ok(())
    }

    /// Stages the parts of a large record and returns the stub that stands for it.
    fn parts(&mut self, position: u64, record: &[u8]) -> Result<sled::IVec, Error> {
        let stub = Stub::for_record(record)
            .ok_or_else(|| self.trees.damaged("a record is past 4 GiB, which no limit allows"))?;
        for (number, part) in (0..).zip(record.chunks(PART_BYTES)) {
            self.put(&self.trees.parts, &key::part(position, number), part)?;
        }
        Ok(stub.encode(position, &self.trees.checksum).into())
    }

    /// Moves the head, in one transaction with the last records, once all else is durable, and
    /// returns with that durable too.
    pub(crate) fn finish(mut self, head: Head) -> Result<(), Error> {
        (self.beat)()?;
        self.trees.commit(&self.batch, Some(head))?;
        self.trees.sync().map(drop)
    }

    /// Inserts entries in one transaction.
    pub(super) fn insert_all(
        &mut self,
        tree: &sled::Tree,
        entries: &[(Vec<u8>, sled::IVec)],
    ) -> Result<(), Error> {
        let insert = |tree: &sled::transaction::TransactionalTree| {
            for (key, value) in entries {
                tree.insert(key.as_slice(), value.clone())?;
            }
            Ok(())
        };
        committed(|| tree.transaction(insert))?;
        entries.iter().try_for_each(|(key, _)| tidy(tree, key))?;
        let bytes = entries.iter().map(|(key, value)| key.len() + value.len() + ENTRY_BYTES);
        self.logged(bytes.sum())
    }

    pub(super) fn put(&mut self, tree: &sled::Tree, key: &[u8], value: &[u8]) -> Result<(), Error> {
        guarded(|| tree.insert(key, value))?;
        tidy(tree, key)?;
        self.logged(key.len() + value.len() + ENTRY_BYTES)
    }

    /// What the steps before have logged says nothing about what comes next.
    fn restart_steps(&mut self) {
        self.step = self.step.min(STEP_BYTES);
    }

    pub(super) fn logged(&mut self, bytes: usize) -> Result<(), Error> {
        self.unsynced += bytes;
        if self.unsynced < self.step {
            return Ok(());
        }
        self.unsynced = 0;
        (self.beat)()?;
        let logged = self.trees.sync()?;
        let fitting = self.step.saturating_mul(LOGGED_BYTES) / logged.max(1);
        let step_max = STEP_BYTES_MAX.min(self.step * 2);
        self.step = fitting.clamp(STEP_BYTES_MIN, step_max);
        (self.beat)()
    }
}
