//! Copying a store while it is in use.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Error, EventStore,
    codec::{
        record::{self, EventToEncode, Record},
        saved::Checkpoint,
    },
    event::RecordedEvent,
    storage::{Frame, Storage, TailEntry, TailRecord},
    store::Options,
};

/// Records fetched at once, and bytes of them written at once: an event may have many MiB.
const RECORDS: usize = 64;
const FRAME_BYTES: usize = 4 << 20;

impl EventStore {
    /// Copies the store to a new directory: every event up to the head of this moment, checkpoints
    /// and snapshots. Appends and reads may go on meanwhile. The copy is a store with the same
    /// events at the same positions, and with the same store id; it is opened as any other.
    ///
    /// What is copied is checked on the way. The directory appears under its name when it is
    /// complete and durable; until then it is beside it under a name that starts with a dot and
    /// ends in `.unfinished`, and after an error that is removed. An empty directory of the name is
    /// replaced; anything else is never overwritten.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a path without a name; [`Error::Io`] with `AlreadyExists`
    /// when something is there; [`Error::Corrupted`] when events cannot be read: a copy without
    /// them would hide that; [`Error::NoSpace`], [`Error::Io`]; [`Error::Closed`].
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let store = EventStore::open(directory.path().join("orders.annals"))?;
    /// store.append("order-7", ExpectedVersion::Any, [NewEvent::json("OrderPlaced", &1)?])?;
    /// let copy = directory.path().join("copy.annals");
    /// store.backup(&copy)?;
    /// assert_eq!(EventStore::open(&copy)?.head()?, 1);
    /// assert!(store.backup(&copy).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backup(&self, directory: impl AsRef<Path>) -> Result<(), Error> {
        let target = directory.as_ref();
        self.storage().check_open()?;
        check_free(target)?;
        let unfinished = Unfinished::beside(target)?;
        self.copy_to(&unfinished.path)?;
        unfinished.publish(target)
    }

    fn copy_to(&self, path: &Path) -> Result<(), Error> {
        let source = self.storage();
        // Before the head, so that none of them is past it.
        let mut checkpoints = Vec::new();
        for name in source.checkpoint_names()? {
            let position = source.checkpoint_of(&name)?;
            checkpoints.push(Checkpoint { name, position });
        }
        let head = source.head();
        let options = Options::new().storage_of_copy(source.store_id())?;
        let copy = Storage::open(path, options)?;
        let copied = copy_events(source, &copy, head)
            .and_then(|()| put(&copy, Frame::Checkpoints(checkpoints)))
            .and_then(|()| self.copy_snapshots(&copy, head));
        let closed = copy.close();
        copied.and(closed)
    }

    fn copy_snapshots(&self, copy: &Storage, head: u64) -> Result<(), Error> {
        for snapshot in self.snapshots() {
            let snapshot = snapshot?;
            // One that cannot be used is no loss.
            if snapshot.fault.is_some() || snapshot.position > head {
                continue;
            }
            if let Some(stored) = self.storage().snapshot(&snapshot.key, snapshot.position)? {
                put(copy, Frame::Snapshot(stored))?;
            }
        }
        Ok(())
    }
}

fn copy_events(source: &Storage, copy: &Storage, head: u64) -> Result<(), Error> {
    let mut next = 1;
    while next <= head {
        let records = source.records(next, false, RECORDS)?;
        let (mut kept, mut events, mut bytes) = (Vec::new(), Vec::new(), 0);
        for record in records.iter().take_while(|record| {
            let has_room = bytes == 0 || bytes + record.bytes().len() <= FRAME_BYTES;
            bytes += record.bytes().len();
            has_room
        }) {
            let wanted = record.events().filter(|e| (next..=head).contains(&e.position()));
            let wanted: Vec<RecordedEvent> = wanted.collect();
            let Some(last) = wanted.last().map(RecordedEvent::position) else { break };
            kept.push(copy_of(record, &wanted, copy)?);
            events.extend(wanted);
            next = last + 1;
        }
        let entries = events.iter().map(|event| TailEntry {
            stream: event.stream_id(),
            version: event.version(),
            position: event.position(),
            id: event.id(),
        });
        put(copy, Frame::Events { records: kept, entries: entries.collect() })?;
    }
    Ok(())
}

/// The record as it is, or what is wanted of it.
fn copy_of(record: &Record, wanted: &[RecordedEvent], copy: &Storage) -> Result<TailRecord, Error> {
    let first_position = wanted.first().map_or(0, RecordedEvent::position);
    let count = wanted.len() as u64;
    let is_whole = (first_position, count)
        == (record.first_position(), record.last_position() - record.first_position() + 1);
    let bytes = match is_whole {
        true => Arc::clone(record.bytes()),
        false => {
            let events: Vec<EventToEncode<'_>> = wanted.iter().map(EventToEncode::from).collect();
            let encoded = record::encode(first_position, &events, copy.checksum());
            Arc::from(encoded.map_err(|reason| Error::invalid("events", reason))?)
        }
    };
    Ok(TailRecord { first_position, count, bytes })
}

fn put(copy: &Storage, frame: Frame<'_>) -> Result<(), Error> {
    copy.wait_for_room()?;
    copy.commit(vec![frame]).map_err(|failure| failure.error)
}

/// Whether the name is free, or that of an empty directory.
fn check_free(target: &Path) -> Result<(), Error> {
    let taken = || {
        let reason = "it exists already, and nothing is overwritten";
        let source = io::Error::new(io::ErrorKind::AlreadyExists, reason);
        Error::Io { action: "create", path: target.to_owned(), source: Arc::new(source) }
    };
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::io("create", target, source)),
        Ok(metadata) if metadata.is_dir() => {
            let mut entries =
                fs::read_dir(target).map_err(|source| Error::io("create", target, source))?;
            if entries.next().is_none() { Ok(()) } else { Err(taken()) }
        }
        Ok(_) => Err(taken()),
    }
}

/// A copy that is being made; it is removed unless it is published.
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    fn beside(target: &Path) -> Result<Unfinished, Error> {
        let Some(name) = target.file_name() else {
            return Err(Error::invalid("path", "it has no name"));
        };
        let unique = Uuid::new_v4().simple();
        let name = format!(".{}.{unique}.unfinished", name.to_string_lossy());
        Ok(Unfinished { path: target.with_file_name(name) })
    }

    fn publish(self, target: &Path) -> Result<(), Error> {
        let renamed = fs::rename(&self.path, target);
        renamed.map_err(|source| Error::io("rename to", target, source))?;
        crate::storage::sync_parent(target)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already when it was published.
        let _ = fs::remove_dir_all(&self.path);
    }
}
