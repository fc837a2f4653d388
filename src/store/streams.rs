//! Listing the streams.

use std::{iter::FusedIterator, ops::Bound, sync::Arc, vec};

use crate::{Error, EventStore};

/// The number of streams fetched first. It doubles with each fetch: a search for the first few
/// stays cheap, and a long list does not start over too often.
const FETCH: usize = 128;
const FETCH_MAX: usize = 2_048;

/// A stream and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    stream_id: Arc<str>,
    version: u64,
}

impl StreamInfo {
    /// The id of the stream.
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// The number of events in the stream, which is also the version of the last one.
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// The streams of a store, in byte order of their ids: an iterator over
/// `Result<StreamInfo, Error>`.
///
/// It sees the store as of its creation, holds no lock, and takes a bounded amount of memory. It
/// ends after an error.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent};
///
/// let store = EventStore::in_memory()?;
/// for stream in ["order-2", "customer-1", "order-1"] {
///     store.append(stream, ExpectedVersion::Any, [NewEvent::json("Opened", &())?])?;
/// }
/// let orders: Result<Vec<_>, _> = store.streams().prefix("order-").collect();
/// let orders: Vec<_> = orders?;
/// assert_eq!(orders[0].stream_id(), "order-1");
/// assert_eq!(orders[1].version(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator reads nothing until it is asked"]
pub struct Streams {
    store: EventStore,
    head: u64,
    prefix: String,
    /// The stream that was fetched last.
    last: Option<Arc<str>>,
    fetched: vec::IntoIter<(Arc<str>, u64)>,
    fetch: usize,
    has_ended: bool,
    /// Why the head could not be determined.
    failure: Option<Error>,
}

impl EventStore {
    /// Returns the streams of the store, in byte order of their ids.
    ///
    /// # Errors
    /// An item is an error if an index is damaged ([`Error::Corrupted`]) or unreadable
    /// ([`Error::Io`]), after the store was closed ([`Error::Closed`]), and in a forked child
    /// ([`Error::Forked`]).
    pub fn streams(&self) -> Streams {
        let failure = self.look().err();
        Streams {
            failure,
            store: self.clone(),
            head: self.storage().head(),
            prefix: String::new(),
            last: None,
            fetched: Vec::new().into_iter(),
            fetch: FETCH,
            has_ended: false,
        }
    }
}

impl Streams {
    /// Returns only streams whose ids start with this text.
    pub fn prefix(mut self, prefix: impl AsRef<str>) -> Streams {
        prefix.as_ref().clone_into(&mut self.prefix);
        self
    }

    fn fetch(&mut self) -> Result<(), Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let after = match &self.last {
            Some(last) => Bound::Excluded(&**last),
            None if self.prefix.is_empty() => Bound::Unbounded,
            None => Bound::Included(self.prefix.as_str()),
        };
        let found = self.store.storage().streams(after, self.head, self.fetch)?;
        self.has_ended = found.len() < self.fetch;
        self.fetch = (2 * self.fetch).min(FETCH_MAX);
        self.last = found.last().map(|(id, _)| Arc::clone(id));
        self.fetched = found.into_iter();
        Ok(())
    }
}

impl Iterator for Streams {
    type Item = Result<StreamInfo, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(refused) = self.store.storage().check_open() {
            let is_over = self.has_ended && self.fetched.as_slice().is_empty();
            self.fetched = Vec::new().into_iter();
            self.has_ended = true;
            return (!is_over).then_some(Err(refused));
        }
        let is_due = self.fetched.as_slice().is_empty() && !self.has_ended;
        if is_due && let Err(error) = self.fetch() {
            self.has_ended = true;
            return Some(Err(error));
        }
        let (stream_id, version) = self.fetched.next()?;
        if !stream_id.starts_with(&self.prefix) {
            self.fetched = Vec::new().into_iter();
            self.has_ended = true;
            return None;
        }
        Some(Ok(StreamInfo { stream_id, version }))
    }
}

impl FusedIterator for Streams {}
