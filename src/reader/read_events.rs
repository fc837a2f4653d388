//! The read operations that a store and a reader share.

use std::{io::Write, path::Path};

use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    BackupOptions, BackupReport, Error, EventStore, Events, ExportOptions, ExportReport, Found,
    Handlers, Loaded, Query, Reader, RecordedEvent, Report, Snapshot, SnapshotKey, Snapshots,
    Stats, Streams, Subscription, UpTo,
};

/// The read operations of a store that is open for writing and of a [`Reader`], so that a handler,
/// an export or a query can be written once for both. The trait is sealed: other crates cannot
/// implement it.
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
    /// Like [`EventStore::head`].
    ///
    /// # Errors
    /// Same as for [`EventStore::head`].
    fn head(&self) -> Result<u64, Error>;

    /// Like [`EventStore::stream_version`].
    ///
    /// # Errors
    /// Same as for [`EventStore::stream_version`].
    fn stream_version(&self, stream: &str) -> Result<u64, Error>;

    /// Like [`EventStore::event_by_id`].
    ///
    /// # Errors
    /// Same as for [`EventStore::event_by_id`].
    fn event_by_id(&self, id: Uuid) -> Result<Option<RecordedEvent>, Error>;

    /// Like [`EventStore::read_all`].
    fn read_all(&self) -> Events;

    /// Like [`EventStore::read_stream`].
    fn read_stream(&self, stream: &str) -> Events;

    /// Like [`EventStore::query`].
    fn query(&self, query: &Query) -> Found;

    /// Like [`EventStore::streams`].
    fn streams(&self) -> Streams;

    /// Like [`EventStore::event_types`].
    ///
    /// # Errors
    /// Same as for [`EventStore::event_types`].
    fn event_types(&self) -> Result<Vec<(String, u64)>, Error>;

    /// Like [`EventStore::subscribe`].
    ///
    /// # Errors
    /// Same as for [`EventStore::subscribe`].
    fn subscribe(&self, position: u64) -> Result<Subscription, Error>;

    /// Like [`EventStore::checkpoint`].
    ///
    /// # Errors
    /// Same as for [`EventStore::checkpoint`].
    fn checkpoint(&self, name: &str) -> Result<u64, Error>;

    /// Like [`EventStore::checkpoints`].
    ///
    /// # Errors
    /// Same as for [`EventStore::checkpoints`].
    fn checkpoints(&self) -> Result<Vec<(String, u64)>, Error>;

    /// Like [`EventStore::load_snapshot`].
    ///
    /// # Errors
    /// Same as for [`EventStore::load_snapshot`].
    fn load_snapshot(&self, key: impl Into<SnapshotKey>) -> Result<Option<Snapshot>, Error>;

    /// Like [`EventStore::snapshots`].
    fn snapshots(&self) -> Snapshots;

    /// Like [`EventStore::reconstruct_state`].
    ///
    /// # Errors
    /// Same as for [`EventStore::reconstruct_state`].
    fn reconstruct_state<S>(
        &self,
        stream: &str,
        state: S,
        handlers: &Handlers<S>,
        up_to: UpTo,
    ) -> Result<S, Error>;

    /// Like [`EventStore::load`].
    ///
    /// # Errors
    /// Same as for [`EventStore::load`].
    fn load<S>(&self, stream: &str, initial: S, handlers: &Handlers<S>)
    -> Result<Loaded<S>, Error>;

    /// Like [`EventStore::load_from`].
    ///
    /// # Errors
    /// Same as for [`EventStore::load_from`].
    fn load_from<S: DeserializeOwned>(
        &self,
        key: impl Into<SnapshotKey>,
        stream: &str,
        initial: S,
        handlers: &Handlers<S>,
    ) -> Result<Loaded<S>, Error>;

    /// Like [`EventStore::export_ndjson`].
    ///
    /// # Errors
    /// Same as for [`EventStore::export_ndjson`].
    fn export_ndjson(
        &self,
        writer: impl Write,
        options: &ExportOptions,
    ) -> Result<ExportReport, Error>;

    /// Like [`EventStore::export_ndjson_file`].
    ///
    /// # Errors
    /// Same as for [`EventStore::export_ndjson_file`].
    fn export_ndjson_file(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<ExportReport, Error>;

    /// Like [`EventStore::stats`].
    ///
    /// # Errors
    /// Same as for [`EventStore::stats`].
    fn stats(&self) -> Result<Stats, Error>;

    /// Like [`EventStore::verify`].
    ///
    /// # Errors
    /// Same as for [`EventStore::verify`].
    fn verify(&self) -> Result<Report, Error>;

    /// Like [`EventStore::backup`].
    ///
    /// # Errors
    /// Same as for [`EventStore::backup`].
    fn backup(&self, directory: impl AsRef<Path>) -> Result<(), Error>;

    /// Like [`EventStore::backup_with`].
    ///
    /// # Errors
    /// Same as for [`EventStore::backup_with`].
    fn backup_with(
        &self,
        directory: impl AsRef<Path>,
        options: &BackupOptions,
    ) -> Result<BackupReport, Error>;
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

            fn checkpoints(&self) -> Result<Vec<(String, u64)>, Error> {
                <$type>::checkpoints(self)
            }

            fn load_snapshot(
                &self,
                key: impl Into<SnapshotKey>,
            ) -> Result<Option<Snapshot>, Error> {
                <$type>::load_snapshot(self, key)
            }

            fn snapshots(&self) -> Snapshots {
                <$type>::snapshots(self)
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

            fn export_ndjson(
                &self,
                writer: impl Write,
                options: &ExportOptions,
            ) -> Result<ExportReport, Error> {
                <$type>::export_ndjson(self, writer, options)
            }

            fn export_ndjson_file(
                &self,
                path: impl AsRef<Path>,
                options: &ExportOptions,
            ) -> Result<ExportReport, Error> {
                <$type>::export_ndjson_file(self, path, options)
            }

            fn stats(&self) -> Result<Stats, Error> {
                <$type>::stats(self)
            }

            fn verify(&self) -> Result<Report, Error> {
                <$type>::verify(self)
            }

            fn backup(&self, directory: impl AsRef<Path>) -> Result<(), Error> {
                <$type>::backup(self, directory)
            }

            fn backup_with(
                &self,
                directory: impl AsRef<Path>,
                options: &BackupOptions,
            ) -> Result<BackupReport, Error> {
                <$type>::backup_with(self, directory, options)
            }
        }
    };
}

read_events!(EventStore);
read_events!(Reader);
