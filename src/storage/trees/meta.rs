//! The tree `meta`: format, store id, head, dictionary, and the facts of the sealed journal files.

use std::convert::Infallible;

use sled::{
    Transactional,
    transaction::{ConflictableTransactionError, TransactionError},
};
use uuid::Uuid;

use crate::{
    Error,
    codec::{
        FORMAT_VERSION,
        meta::{self, Head},
        sealed::SealedFacts,
        stored::Dictionary,
    },
    storage::trees::{Trees, error_of, guarded},
};

/// The number of the first dictionary, which so far is the only one.
const DICTIONARY: u32 = 1;

/// The facts of a sealed journal file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedEntry {
    pub(crate) first_position: u64,
    pub(crate) file_number: u32,
    /// The facts as the journal encoded them.
    pub(crate) facts: Vec<u8>,
}

impl Trees {
    /// The first transaction of sled in a process waits for all readers: run it while there are
    /// none.
    pub(super) fn upgrade_lock(&self) -> Result<(), Error> {
        self.transact(None, None)
    }

    pub(super) fn write_identity(&self, store_id: Uuid) -> Result<(), Error> {
        guarded(|| {
            self.meta.insert(meta::STORE_ID, store_id.as_bytes())?;
            self.meta.insert(meta::FORMAT, &FORMAT_VERSION.to_le_bytes())
        })?;
        self.move_head(Head::default(), None)
    }

    /// Format version and store id.
    pub(super) fn identity(&self) -> Result<(u32, Uuid), Error> {
        let format = self.meta_value(meta::FORMAT)?;
        let store_id = self.meta_value(meta::STORE_ID)?;
        Ok((u32::from_le_bytes(format), Uuid::from_bytes(store_id)))
    }

    fn meta_value<const N: usize>(&self, key: &[u8]) -> Result<[u8; N], Error> {
        let value = guarded(|| self.meta.get(key))?;
        let value = value.and_then(|value| <[u8; N]>::try_from(value.as_ref()).ok());
        let name = String::from_utf8_lossy(key);
        value.ok_or_else(|| self.damaged(&format!("the entry {name:?} is missing or malformed")))
    }

    /// Where the trees end.
    pub(crate) fn head(&self) -> Result<Head, Error> {
        let value = guarded(|| self.meta.get(meta::HEAD))?;
        let value = value.ok_or_else(|| self.damaged("the head is missing"))?;
        Head::decode(&value, &self.checksum)
            .map_err(|reason| self.damaged(&format!("the head: {reason}")))
    }

    /// Moves the head, in one transaction with the last chunk of positions.
    pub(super) fn move_head(
        &self,
        head: Head,
        chunk: Option<([u8; 8], sled::IVec)>,
    ) -> Result<(), Error> {
        let head = head.encode(&self.checksum).map_err(|reason| self.damaged(&reason))?;
        self.transact(Some(head.into()), chunk)
    }

    fn transact(
        &self,
        head: Option<sled::IVec>,
        chunk: Option<([u8; 8], sled::IVec)>,
    ) -> Result<(), Error> {
        let run = || {
            (&self.events, &self.meta).transaction(|(events, meta)| {
                if let Some((key, value)) = &chunk {
                    events.insert(key, value.clone())?;
                }
                if let Some(head) = &head {
                    meta.insert(meta::HEAD, head.clone())?;
                }
                Ok::<(), ConflictableTransactionError<Infallible>>(())
            })
        };
        guarded(|| match run() {
            Ok(()) => Ok(Ok(())),
            Err(TransactionError::Storage(error)) => Ok(Err(error_of(error))),
            Err(TransactionError::Abort(never)) => match never {},
        })?
    }

    /// Reads the dictionary, if one was trained.
    pub(super) fn load_dictionary(&self) -> Result<(), Error> {
        let key = meta::dictionary_key(DICTIONARY);
        let Some(value) = guarded(|| self.meta.get(&key))? else { return Ok(()) };
        let bytes = meta::decode_checked(&key, &value, &self.checksum)
            .map_err(|reason| self.damaged(&format!("the dictionary: {reason}")))?;
        self.keep_dictionary(bytes.to_vec());
        Ok(())
    }

    /// Stores the dictionary durably, before any value uses it.
    pub(super) fn store_dictionary(&self, bytes: Vec<u8>) -> Result<(), Error> {
        let key = meta::dictionary_key(DICTIONARY);
        self.insert_meta(&key, &bytes)?;
        self.keep_dictionary(bytes);
        Ok(())
    }

    fn keep_dictionary(&self, bytes: Vec<u8>) {
        // It is set only once: by the open, or by the first window with enough data to train it on.
        let _ = self.dictionary.set(Dictionary { number: DICTIONARY, bytes });
    }

    /// Notes the facts of a sealed journal file durably, as the journal encoded them.
    pub(crate) fn note_sealed(
        &self,
        first_position: u64,
        file_number: u32,
        facts: &[u8],
    ) -> Result<(), Error> {
        self.insert_meta(&meta::sealed_key(first_position, file_number), facts)
    }

    /// Like [`note_sealed`](Self::note_sealed), but for trees that are not durable yet.
    pub(crate) fn put_sealed(
        &self,
        first_position: u64,
        file_number: u32,
        facts: &SealedFacts,
    ) -> Result<(), Error> {
        let mut encoded = Vec::new();
        facts.encode(&mut encoded).map_err(|reason| self.damaged(&reason))?;
        self.put_meta(&meta::sealed_key(first_position, file_number), &encoded)
    }

    /// Forgets the facts of sealed files that start at these positions.
    pub(crate) fn forget_sealed(&self, is_gone: impl Fn(u64, u32) -> bool) -> Result<(), Error> {
        let known: Vec<SealedEntry> = self.sealed_facts().flatten().collect();
        for entry in known.iter().filter(|entry| is_gone(entry.first_position, entry.file_number)) {
            let key = meta::sealed_key(entry.first_position, entry.file_number);
            guarded(|| {
                self.meta.remove(&key)?;
                self.meta.contains_key(&key)
            })?;
        }
        Ok(())
    }

    fn insert_meta(&self, key: &[u8], body: &[u8]) -> Result<(), Error> {
        self.put_meta(key, body)?;
        self.sync()
    }

    fn put_meta(&self, key: &[u8], body: &[u8]) -> Result<(), Error> {
        let value = meta::encode_checked(key, body, &self.checksum);
        guarded(|| {
            self.meta.insert(key, value)?;
            self.meta.contains_key(key)
        })?;
        Ok(())
    }

    /// The facts of all sealed journal files in the order of their positions. A damaged entry is an
    /// `Err` item.
    pub(crate) fn sealed_facts(&self) -> impl Iterator<Item = Result<SealedEntry, Error>> {
        let mut entries = self.meta.scan_prefix(meta::sealed_prefix());
        std::iter::from_fn(move || guarded(|| entries.next().transpose()).transpose()).map(
            move |entry| {
                let (key, value) = entry?;
                let damaged = |position, reason: String| {
                    Error::corrupted("the facts of a sealed journal file", position, reason)
                };
                let (first_position, file_number) = meta::parse_sealed_key(&key)
                    .ok_or_else(|| damaged(None, "their key is malformed".to_owned()))?;
                let facts = meta::decode_checked(&key, &value, &self.checksum)
                    .map_err(|reason| damaged(Some(first_position), reason))?;
                Ok(SealedEntry { first_position, file_number, facts: facts.to_vec() })
            },
        )
    }

    pub(super) fn damaged(&self, reason: &str) -> Error {
        Error::corrupted(self.directory.display().to_string(), None, reason)
    }

    /// Makes everything written so far durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.flush()?;
        self.sync_data()
    }

    /// Passes what sled logged to the system, and returns its size in bytes.
    pub(super) fn flush(&self) -> Result<u64, Error> {
        guarded(|| self.db.flush()).map(|bytes| bytes as u64)
    }

    pub(super) fn sync_data(&self) -> Result<(), Error> {
        self.data.sync_data().map_err(|source| Error::io("sync", self.directory.join("db"), source))
    }
}
