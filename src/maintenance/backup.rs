//! Copying a store while it is in use.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Error, EventStore,
    codec::{page::Page, record::EventToEncode, saved::Checkpoint},
    storage::{Frame, Storage},
    store::Options,
};

impl EventStore {
    /// Copies the store to a new directory: every event up to the current head, checkpoints and
    /// snapshots. Appends and reads may go on meanwhile. The copy is a store with the same events
    /// at the same positions and with the same store id; it is opened like any other.
    ///
    /// Everything copied is checked. The directory appears under its name once it is complete and
    /// durable; until then it has a name beside it that starts with a dot and ends in
    /// `.unfinished`, and after an error it is removed. An empty directory with the name is
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
            .and_then(|()| put_checkpoints(&copy, checkpoints))
            .and_then(|()| self.copy_snapshots(&copy, head));
        let closed = copy.close();
        copied.and(closed)
    }

    fn copy_snapshots(&self, copy: &Storage, head: u64) -> Result<(), Error> {
        for snapshot in self.snapshots() {
            let snapshot = snapshot?;
            // An unusable snapshot is no loss.
            if snapshot.fault.is_some() || snapshot.position > head {
                continue;
            }
            if let Some(stored) = self.storage().snapshot(&snapshot.key, snapshot.position)? {
                copy.save_snapshot(&stored)?;
            }
        }
        Ok(())
    }
}

fn copy_events(source: &Storage, copy: &Storage, head: u64) -> Result<(), Error> {
    let (mut next, mut page) = (1, Page::default());
    while next <= head {
        page = source.page(next, page)?;
        // A page from the trees is one of a stream, and has gaps where other streams have events.
        let wanted: Vec<EventToEncode<'_>> = page
            .all_to_encode()
            .skip_while(|event| event.position < next)
            .zip(next..=head)
            .take_while(|(event, position)| event.position == *position)
            .map(|(event, _)| event)
            .collect();
        if wanted.is_empty() {
            return Err(Error::corrupted("a page of events", Some(next), "it lacks the event"));
        }
        put(copy, Frame::of(&wanted, Vec::new()))?;
        next += wanted.len() as u64;
    }
    Ok(())
}

fn put_checkpoints(copy: &Storage, checkpoints: Vec<Checkpoint>) -> Result<(), Error> {
    if checkpoints.is_empty() {
        return Ok(());
    }
    put(copy, Frame::of(&[], checkpoints))
}

fn put(copy: &Storage, frame: Frame<'_>) -> Result<(), Error> {
    copy.wait_for_room()?;
    copy.commit(frame)
}

/// Checks that the name is unused, or that of an empty directory.
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

/// A copy in the making; it is removed unless it is published.
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
