//! Subscriptions: all past events, then new ones, without gaps or repeats.
//!
//! A subscription is pulled and reads from the store: a slow reader neither holds up a writer nor
//! accumulates memory. The signal that wakes it carries no events.

#[cfg(feature = "async")]
mod stream;

use std::{
    fmt,
    iter::FusedIterator,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    Error, EventStore,
    event::{Query, RecordedEvent},
    storage::Changes,
    store::{Arrivals, Events, Filter},
};

/// How many positions a query searches between two checks for a cancel.
const SEARCHED_AT_ONCE: u64 = 50_000;

/// Events as they arrive: an iterator over `Result<RecordedEvent, Error>` that waits where a read
/// would end. Before its first event it is also a builder that selects the events.
///
/// It ends only when it is [cancelled](CancelHandle), and after an error. Only one thread at a time
/// can read it; it can move between threads. It keeps the store open, as every clone of the handle
/// does. It uses no more memory than a read, however far it lags.
///
/// It stores no progress: a consumer that continues after a restart saves a
/// [checkpoint](EventStore::save_checkpoint) and subscribes after it. Events are then delivered at
/// least once.
///
/// # Errors
/// The items have the same errors as those of [`Events`]; [`Error::Closed`] when the store is
/// closed, also during a wait.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annals::{EventStore, ExpectedVersion, NewEvent};
///
/// let store = EventStore::in_memory()?;
/// store.append("order-7", ExpectedVersion::Any, [NewEvent::json("OrderPlaced", &1)?])?;
/// let mut orders = store.subscribe(store.checkpoint("mailer")? + 1)?.stream_prefix("order-");
/// while let Some(event) = orders.next_timeout(Duration::from_millis(1))? {
///     println!("mail about {}", event.stream_id());
/// }
/// // Also past events that were filtered out.
/// store.save_checkpoint("mailer", orders.position())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a subscription reads nothing until it is asked"]
pub struct Subscription {
    store: EventStore,
    /// The stream to read; `None` for all streams.
    stream: Option<String>,
    filter: Filter,
    is_checked: bool,
    /// The last position that was delivered or passed over.
    position: u64,
    /// The current read, which ends at the head at the time when it was started.
    events: Option<Events>,
    /// For a query: the search ends here.
    search_end: u64,
    is_cancelled: Arc<AtomicBool>,
    has_failed: bool,
    /// Reports what another process writes, from the first wait on. Kept, because the system takes
    /// milliseconds to remove a watch.
    changes: Option<Changes>,
    /// Wakes a task that waits for another process to write.
    #[cfg(feature = "async")]
    watch: Option<stream::Watch>,
}

/// Ends a [`Subscription`] from any thread, even while it waits. All clones end the same
/// subscription. A handle does not keep the store open.
///
/// # Examples
/// ```
/// let store = annals::EventStore::in_memory()?;
/// let mut events = store.subscribe(1)?;
/// let handle = events.cancel_handle();
/// let reader = std::thread::spawn(move || events.next().is_none());
/// handle.cancel();
/// assert!(reader.join().expect("the reader ends"));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct CancelHandle {
    arrivals: Arc<Arrivals>,
    is_cancelled: Arc<AtomicBool>,
}

impl CancelHandle {
    /// Ends the subscription: it delivers no further events. The call never waits and may be
    /// repeated.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
        self.arrivals.announce();
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_cancelled = self.is_cancelled.load(Ordering::SeqCst);
        f.debug_struct("CancelHandle").field("is_cancelled", &is_cancelled).finish_non_exhaustive()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("position", &self.position)
            .field("filter", &self.filter)
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl EventStore {
    /// Subscribes to all events from `position` on, inclusive; 0 and 1 both mean the beginning. If
    /// `position` is past the head, the subscription waits for that event.
    ///
    /// # Errors
    /// [`Error::Closed`].
    ///
    /// # Examples
    /// See [`Subscription`].
    pub fn subscribe(&self, position: u64) -> Result<Subscription, Error> {
        self.storage().check_open()?;
        Ok(Subscription {
            store: self.clone(),
            stream: None,
            filter: Filter::default(),
            is_checked: false,
            position: position.saturating_sub(1),
            events: None,
            search_end: 0,
            is_cancelled: Arc::default(),
            has_failed: false,
            changes: None,
            #[cfg(feature = "async")]
            watch: None,
        })
    }
}

impl Subscription {
    /// Delivers only events of these types. An empty list filters nothing.
    pub fn event_types(
        mut self,
        types: impl IntoIterator<Item = impl Into<String>>,
    ) -> Subscription {
        self.filter.event_types = types.into_iter().map(Into::into).collect();
        self.is_checked = false;
        self
    }

    /// Delivers only events of streams whose ids start with this text: `order-1` also matches
    /// `order-10`.
    pub fn stream_prefix(mut self, prefix: impl Into<String>) -> Subscription {
        self.filter.stream_prefix = Some(prefix.into());
        self.is_checked = false;
        self
    }

    /// Delivers only events of exactly this stream, and reads no others. Cannot be combined with
    /// [`stream_prefix`](Self::stream_prefix).
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    ///
    /// let store = EventStore::in_memory()?;
    /// for stream in ["order-1", "order-10", "order-1"] {
    ///     store.append(stream, ExpectedVersion::Any, [NewEvent::json("ItemAdded", &1)?])?;
    /// }
    /// let mut order = store.subscribe(1)?.stream("order-1");
    /// assert_eq!(order.next_timeout(Duration::ZERO)?.map(|event| event.position()), Some(1));
    /// assert_eq!(order.next_timeout(Duration::ZERO)?.map(|event| event.position()), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(mut self, stream: impl Into<String>) -> Subscription {
        self.stream = Some(stream.into());
        self.is_checked = false;
        self
    }

    /// Delivers only events that match a query. Cannot be combined with other filters.
    pub fn query(mut self, query: &Query) -> Subscription {
        self.filter.query = Some(query.clone());
        self.is_checked = false;
        self
    }

    /// The last position that the subscription has passed: from where it started, every event up to
    /// it was delivered or did not match the filters. At first it is the position before the start.
    /// A consumer saves this position as its checkpoint once it has processed what it received. A
    /// subscription that started past the head is ahead of every event, and
    /// [`save_checkpoint`](EventStore::save_checkpoint) refuses its position.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns a handle that ends the subscription from another thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        let arrivals = Arc::clone(self.store.arrivals());
        CancelHandle { arrivals, is_cancelled: Arc::clone(&self.is_cancelled) }
    }

    /// Whether the subscription was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }

    /// Returns the next event, or `None` if none arrives within `timeout` or the subscription was
    /// cancelled. A timeout of zero does not wait. The timeout limits only the wait: a search
    /// through stored events that do not match the filters takes as long as it takes, and only a
    /// cancel ends it.
    ///
    /// # Errors
    /// The same errors as the items. Unlike the iterator, this method can be called again after an
    /// error: it then retries the same event.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<RecordedEvent>, Error> {
        // A deadline too late for an `Instant` means no deadline.
        self.next_until(Instant::now().checked_add(timeout))
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<RecordedEvent>, Error> {
        self.check_once()?;
        loop {
            if self.is_cancelled() {
                return Ok(None);
            }
            match self.read(u64::MAX) {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => {
                    self.events = None;
                    return Err(error);
                }
            }
            if self.is_cancelled() {
                return Ok(None);
            }
            // Another look follows, so that nothing written before the watch is missed.
            if self.changes.is_none() {
                self.changes = self.store.storage().changes();
            }
            let is_due = || self.is_due();
            let has_come = match &self.changes {
                Some(changes) => self.wait_for_writer(changes, deadline)?,
                None => self.store.arrivals().wait(deadline, is_due),
            };
            if !has_come {
                return Ok(None);
            }
            self.store.storage().check_open()?;
        }
    }

    fn check_once(&mut self) -> Result<(), Error> {
        if !self.is_checked {
            self.check()?;
            self.is_checked = true;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        match &self.stream {
            // A read of the stream has the same rules.
            Some(_) => self.reading().check()?,
            None => self.filter.check_form()?,
        }
        self.filter.check_length()
    }

    /// A read of the events available now, from the next position on.
    fn reading(&self) -> Events {
        let start = self.position.saturating_add(1);
        let events = match &self.stream {
            None => self.store.read_all(),
            // A read of a stream refuses a prefix, so the prefix must be passed on here.
            Some(stream) => match &self.filter.stream_prefix {
                None => self.store.read_stream(stream),
                Some(prefix) => self.store.read_stream(stream).stream_prefix(prefix),
            },
        };
        // An upcaster that fails concerns only the events that pass the filters.
        let events = events.as_recorded().from_position(start);
        match &self.filter.query {
            // A search does not check for a cancel, so it is done in parts.
            Some(query) => events.query(query).until_position(self.search_end()),
            None => events,
        }
    }

    /// Where the next part of a search ends at the latest.
    fn search_end(&self) -> u64 {
        self.position.saturating_add(SEARCHED_AT_ONCE)
    }

    /// Whether there may be something to deliver or report.
    fn is_due(&self) -> bool {
        let storage = self.store.storage();
        storage.head() > self.position || self.is_cancelled() || storage.check_not_closed().is_err()
    }

    /// Looks for what another process has written. Damage counts once everything before it has been
    /// passed.
    fn has_come(&self) -> Result<bool, Error> {
        let storage = self.store.storage();
        storage.refresh()?;
        match self.is_due() {
            true => Ok(true),
            false => storage.damage_after_head().map_or(Ok(false), Err),
        }
    }

    /// Waits until another process writes; returns false once the deadline has passed.
    fn wait_for_writer(&self, changes: &Changes, deadline: Option<Instant>) -> Result<bool, Error> {
        loop {
            if self.has_come()? {
                return Ok(true);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            changes.wait(left);
        }
    }

    /// Continues to read up to the current head, unless cancelled. Passes over at most this many
    /// events; if that is why it ends, `events` stays.
    fn read(&mut self, passed_max: u64) -> Result<Option<RecordedEvent>, Error> {
        if self.events.is_none() {
            self.search_end = self.search_end();
            self.events = Some(self.reading());
        }
        let Some(events) = &mut self.events else { return Ok(None) };
        let mut end = events.head();
        if self.filter.query.is_some() {
            end = end.min(self.search_end);
        }
        let mut passed = 0;
        for event in events.by_ref() {
            let event = event?;
            let position = event.position();
            if self.filter.passes(&event) {
                // After an upcaster that fails, the next call tries the event again.
                let event = self.store.upcasters().apply(event)?;
                self.position = position;
                return Ok(Some(event));
            }
            self.position = position;
            passed += 1;
            if passed == passed_max || self.is_cancelled.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        self.events = None;
        // Events that did not match, or belong to another stream, were passed over before the
        // filters saw them.
        self.position = self.position.max(end);
        Ok(None)
    }
}

impl Iterator for Subscription {
    type Item = Result<RecordedEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let next = self.next_until(None).transpose();
        self.has_failed = matches!(next, Some(Err(_)));
        next
    }
}

impl FusedIterator for Subscription {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]
mod tests {
    use std::time::Duration;

    use crate::{EventStore, Reader};

    #[test]
    fn a_reader_keeps_its_watch() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let store = EventStore::open(&path).unwrap();
        let mut own = store.subscribe(1).unwrap();
        assert!(own.next_timeout(Duration::from_millis(1)).unwrap().is_none());
        assert!(own.changes.is_none());
        let mut events = Reader::open(&path).unwrap().subscribe(1).unwrap();
        assert!(events.next_timeout(Duration::from_millis(1)).unwrap().is_none());
        assert!(events.changes.is_some());
    }
}
