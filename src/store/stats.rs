//! Statistics of a store.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use crate::{Error, EventStore, FORMAT_VERSION, metrics::Metrics};

/// Statistics of a store.
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
    /// The position of the last event, which is also the number of events.
    pub head: u64,
    /// The number of streams.
    pub streams: u64,
    /// The unique id of this store.
    #[serde(serialize_with = "as_text")]
    pub store_id: Uuid,
    /// The version of the store's file format.
    pub format_version: u32,
    /// The disk space that the journal takes, in bytes.
    pub journal_bytes: u64,
    /// The disk space that the trees take, in bytes.
    pub trees_bytes: u64,
    /// The disk space that the snapshots take, in bytes.
    pub snapshots_bytes: u64,
    /// The approximate memory that the tail takes, in bytes: the newest events, and an index of
    /// those that are not yet in the trees.
    pub tail_bytes: u64,
    /// Damaged files and directories that were set aside, as paths within the store's directory.
    pub set_aside: Vec<String>,
    /// Whether a process has the store open for writing: this process, or, for a
    /// [`Reader`](crate::Reader), another one.
    pub is_written: bool,
    /// The id of that process, if known.
    pub writer: Option<u32>,
}

fn as_text<S: serde::Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl EventStore {
    /// Returns statistics of the store. The streams are counted one by one, a few microseconds
    /// each.
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
    /// Counters and measurements since the store was opened. The call takes a few microseconds and
    /// delays nothing. Measuring costs about a thousandth of a durable append.
    ///
    /// # Examples
    /// See [`Metrics`].
    pub fn metrics(&self) -> Metrics {
        self.storage().metrics()
    }

    /// Every event type with the number of its events, in byte order of the types. Use it to
    /// inspect a store, or to find a handler for a type that no event has. It reads all events, a
    /// few million per second.
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
        for event in self.read_all().as_recorded() {
            let event = event?;
            match counts.get_mut(event.event_type()) {
                Some(count) => *count += 1,
                None => drop(counts.insert(event.event_type().to_owned(), 1)),
            }
        }
        Ok(counts.into_iter().collect())
    }
}
