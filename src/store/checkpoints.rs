//! Checkpoints: the positions that named consumers have reached.

use crate::{AppendError, Error, EventStore, event::name, store::Contents};

impl EventStore {
    /// The position that the consumer `name` saved last; 0 if it has saved none. All events up to
    /// and including this position have been handled.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::LimitExceeded`] if the name is invalid;
    /// [`Error::Corrupted`] if the stored checkpoint is damaged, [`Error::Io`], [`Error::Closed`].
    ///
    /// # Examples
    /// See [`save_checkpoint`](Self::save_checkpoint).
    pub fn checkpoint(&self, name: impl AsRef<str>) -> Result<u64, Error> {
        let name = name.as_ref();
        name::check("checkpoint name", name)?;
        self.look()?;
        self.storage().checkpoint_of(name)
    }

    /// The checkpoints of all consumers, in byte order of their names.
    ///
    /// # Errors
    /// [`Error::Corrupted`] if a stored checkpoint is damaged, [`Error::Io`], [`Error::Closed`].
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// store.append("order-7", ExpectedVersion::Any, [NewEvent::json("OrderPlaced", &1)?])?;
    /// store.save_checkpoint("mailer", 1)?;
    /// assert_eq!(store.checkpoints()?, [("mailer".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn checkpoints(&self) -> Result<Vec<(String, u64)>, Error> {
        self.look()?;
        let storage = self.storage();
        let names = storage.checkpoint_names()?.into_iter();
        names.map(|name| Ok((name.to_string(), storage.checkpoint_of(&name)?))).collect()
    }

    /// Saves the position that the consumer `name` has reached. The call returns once the
    /// checkpoint is as durable as an append would be. It shares writes and syncs with appends, and
    /// takes some 130 bytes of the journal, so a fast consumer should save after every batch rather
    /// than after every event.
    ///
    /// A checkpoint never goes back, and never gets ahead of the durable events. Saving the
    /// position that is already saved writes nothing. Names of checkpoints have a separate
    /// namespace.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `position` is below the saved one or past the head;
    /// [`Error::InvalidArgument`] and [`Error::LimitExceeded`] if the name is invalid;
    /// [`Error::Corrupted`] if the stored checkpoint is damaged; otherwise as for
    /// [`append`](Self::append): [`Error::NoSpace`], [`Error::Io`], [`Error::Poisoned`],
    /// [`Error::Closed`].
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// store.append("order-7", ExpectedVersion::Any, [NewEvent::json("OrderPlaced", &1)?])?;
    /// for event in store.read_all().from_position(store.checkpoint("mailer")? + 1) {
    ///     let event = event?; // send a mail
    ///     store.save_checkpoint("mailer", event.position())?;
    /// }
    /// assert_eq!(store.checkpoint("mailer")?, 1);
    /// assert!(store.save_checkpoint("mailer", 2).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_checkpoint(&self, name: impl AsRef<str>, position: u64) -> Result<(), Error> {
        let name = name.as_ref();
        self.storage().check_open()?;
        name::check("checkpoint name", name)?;
        self.storage().check_writable()?;
        match self.append_contents(Contents::of_checkpoint(name, position), None) {
            Ok(_) => Ok(()),
            Err(AppendError::Failed(error)) => Err(error),
            Err(other) => Err(Error::internal(other.to_string())),
        }
    }
}
