//! What a store holds, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use crate::{Error, EventStore, FORMAT_VERSION, metrics::Metrics};

/// The numbers of a store.
///
/// # Examples
/// ```
/// let store = annals::EventStore::in_memory()?;
/// assert_eq!(store.stats()?.streams, 0);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// The position of the last event, which is the number of events.
    pub head: u64,
    /// The number of streams.
    pub streams: u64,
    /// The id of this store, which no other store has.
    #[serde(serialize_with = "as_text")]
    pub store_id: Uuid,
    /// The version of the format that it is written in.
    pub format_version: u32,
    /// Bytes on the disk that the journal takes.
    pub journal_bytes: u64,
    /// Bytes on the disk that the trees take.
    pub trees_bytes: u64,
    /// Bytes on the disk that the snapshots take.
    pub snapshots_bytes: u64,
    /// About how many bytes of memory the tail takes: the newest events, and an index of those
    /// that wait for the trees.
    pub tail_bytes: u64,
    /// Damaged files and directories that were set aside: their paths in the store's directory.
    pub set_aside: Vec<String>,
    /// Whether a process has the store open for writing: this one, or another one beside a
    /// [`Reader`](crate::Reader).
    pub is_written: bool,
    /// The id of that process, where it is known.
    pub writer: Option<u32>,
}

fn as_text<S: serde::Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl EventStore {
    /// Counts and measures the store. The streams are counted one by one, some microseconds each.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Corrupted`], [`Error::Io`].
    pub fn stats(&self) -> Result<Stats, Error> {
        let storage = self.storage();
        self.look()?;
        let writer = storage.writer();
        let sizes = storage.sizes()?;
        let mut streams = 0;
        for stream in self.streams() {
            stream?;
            streams += 1;
        }
        Ok(Stats {
            head: self.head()?,
            streams,
            store_id: storage.store_id(),
            format_version: FORMAT_VERSION,
            journal_bytes: sizes.journal,
            trees_bytes: sizes.trees,
            snapshots_bytes: sizes.snapshots,
            tail_bytes: sizes.tail,
            set_aside: storage.set_aside()?,
            is_written: writer.is_some(),
            writer: writer.and_then(|writer| writer.process),
        })
    }
    /// What the store has done since it was opened, counted and measured. Asking takes some
    /// microseconds and holds nothing up. To measure costs about a thousandth of a durable append.
    ///
    /// # Examples
    /// See [`Metrics`].
    pub fn metrics(&self) -> Metrics {
        self.storage().metrics()
    }

    /// Every event type with the number of its events, in byte order of the types: to look at a
    /// store, and to find a handler whose type no event has. It reads all events, a few million a
    /// second.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Corrupted`], [`Error::Io`].
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, Handlers, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// for event_type in ["Opened", "Deposited", "Deposited"] {
    ///     store.append("account-1", ExpectedVersion::Any, [NewEvent::json(event_type, &1)?])?;
    /// }
    /// let known = store.event_types()?;
    /// assert_eq!(known, [("Deposited".to_owned(), 2), ("Opened".to_owned(), 1)]);
    ///
    /// let handlers = Handlers::new().when("Deposit", |_: &mut u64, _| Ok(()));
    /// let misspelt = |handled: &&str| known.iter().all(|(name, _)| name != handled);
    /// assert_eq!(handlers.event_types().into_iter().find(misspelt), Some("Deposit"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event_types(&self) -> Result<Vec<(String, u64)>, Error> {
        let mut counts = BTreeMap::<String, u64>::new();
        for event in self.read_all() {
            let event = event?;
            match counts.get_mut(event.event_type()) {
                Some(count) => *count += 1,
                None => drop(counts.insert(event.event_type().to_owned(), 1)),
            }
        }
        Ok(counts.into_iter().collect())
    }
}
