//! What a store and a reader have in common.

use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    Error, EventStore, Events, Found, Handlers, Loaded, Query, Reader, RecordedEvent, SnapshotKey,
    Streams, Subscription, UpTo,
};

/// Reading, of a store that is open for writing or of a [`Reader`]: a handler, an export or a query
/// is written once for both. It cannot be implemented elsewhere.
///
/// # Examples
/// ```
/// use annals::{Error, EventStore, ReadEvents};
///
/// fn count(events: &impl ReadEvents) -> Result<usize, Error> {
///     events.read_all().try_fold(0, |count, event| event.map(|_| count + 1))
/// }
///
/// assert_eq!(count(&EventStore::in_memory()?)?, 0);
/// # Ok::<(), Error>(())
/// ```
pub trait ReadEvents: sealed::Sealed {
    /// As [`EventStore::head`].
    ///
    /// # Errors
    /// As for [`EventStore::head`].
    fn head(&self) -> Result<u64, Error>;

    /// As [`EventStore::stream_version`].
    ///
    /// # Errors
    /// As for [`EventStore::stream_version`].
    fn stream_version(&self, stream: &str) -> Result<u64, Error>;

    /// As [`EventStore::event_by_id`].
    ///
    /// # Errors
    /// As for [`EventStore::event_by_id`].
    fn event_by_id(&self, id: Uuid) -> Result<Option<RecordedEvent>, Error>;

    /// As [`EventStore::read_all`].
    fn read_all(&self) -> Events;

    /// As [`EventStore::read_stream`].
    fn read_stream(&self, stream: &str) -> Events;

    /// As [`EventStore::query`].
    fn query(&self, query: &Query) -> Found;

    /// As [`EventStore::streams`].
    fn streams(&self) -> Streams;

    /// As [`EventStore::event_types`].
    ///
    /// # Errors
    /// As for [`EventStore::event_types`].
    fn event_types(&self) -> Result<Vec<(String, u64)>, Error>;

    /// As [`EventStore::subscribe`].
    ///
    /// # Errors
    /// As for [`EventStore::subscribe`].
    fn subscribe(&self, position: u64) -> Result<Subscription, Error>;

    /// As [`EventStore::checkpoint`].
    ///
    /// # Errors
    /// As for [`EventStore::checkpoint`].
    fn checkpoint(&self, name: &str) -> Result<u64, Error>;

    /// As [`EventStore::reconstruct_state`].
    ///
    /// # Errors
    /// As for [`EventStore::reconstruct_state`].
    fn reconstruct_state<S>(
        &self,
        stream: &str,
        state: S,
        handlers: &Handlers<S>,
        up_to: UpTo,
    ) -> Result<S, Error>;

    /// As [`EventStore::load`].
    ///
    /// # Errors
    /// As for [`EventStore::load`].
    fn load<S>(&self, stream: &str, initial: S, handlers: &Handlers<S>)
    -> Result<Loaded<S>, Error>;

    /// As [`EventStore::load_from`].
    ///
    /// # Errors
    /// As for [`EventStore::load_from`].
    fn load_from<S: DeserializeOwned>(
        &self,
        key: impl Into<SnapshotKey>,
        stream: &str,
        initial: S,
        handlers: &Handlers<S>,
    ) -> Result<Loaded<S>, Error>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! read_events {
    ($type:ty) => {
        impl sealed::Sealed for $type {}

        impl ReadEvents for $type {
            fn head(&self) -> Result<u64, Error> {
                <$type>::head(self)
            }

            fn stream_version(&self, stream: &str) -> Result<u64, Error> {
                <$type>::stream_version(self, stream)
            }

            fn event_by_id(&self, id: Uuid) -> Result<Option<RecordedEvent>, Error> {
                <$type>::event_by_id(self, id)
            }

            fn read_all(&self) -> Events {
                <$type>::read_all(self)
            }

            fn read_stream(&self, stream: &str) -> Events {
                <$type>::read_stream(self, stream)
            }

            fn query(&self, query: &Query) -> Found {
                <$type>::query(self, query)
            }

            fn streams(&self) -> Streams {
                <$type>::streams(self)
            }

            fn event_types(&self) -> Result<Vec<(String, u64)>, Error> {
                <$type>::event_types(self)
            }

            fn subscribe(&self, position: u64) -> Result<Subscription, Error> {
                <$type>::subscribe(self, position)
            }

            fn checkpoint(&self, name: &str) -> Result<u64, Error> {
                <$type>::checkpoint(self, name)
            }

            fn reconstruct_state<S>(
                &self,
                stream: &str,
                state: S,
                handlers: &Handlers<S>,
                up_to: UpTo,
            ) -> Result<S, Error> {
                <$type>::reconstruct_state(self, stream, state, handlers, up_to)
            }

            fn load<S>(
                &self,
                stream: &str,
                initial: S,
                handlers: &Handlers<S>,
            ) -> Result<Loaded<S>, Error> {
                <$type>::load(self, stream, initial, handlers)
            }

            fn load_from<S: DeserializeOwned>(
                &self,
                key: impl Into<SnapshotKey>,
                stream: &str,
                initial: S,
                handlers: &Handlers<S>,
            ) -> Result<Loaded<S>, Error> {
                <$type>::load_from(self, key, stream, initial, handlers)
            }
        }
    };
}

read_events!(EventStore);
read_events!(Reader);
