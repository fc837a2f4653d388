//! What pulled and live projections share: a state, its position, and how events change them.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, EventStore,
    event::{RecordedEvent, SnapshotKey},
    projection::{
        HandlerError, Handlers,
        undo::{self, Undo},
    },
    snapshot::SaveOutcome,
};

#[derive(Debug)]
pub(super) struct Engine<S> {
    pub(super) store: EventStore,
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) state: S,
    pub(super) position: u64,
    handlers: Handlers<S>,
    /// The JSON of the state at position 0, or the reason why there is none that can be read back.
    initial: Result<Vec<u8>, String>,
    undo: Undo,
    /// The position of an event that is not passed to any handler; 0 if there is none.
    pub(super) left_out: u64,
    pub(super) snapshots: Snapshotting,
}

/// When snapshots are saved automatically.
#[derive(Debug, Default)]
pub(super) struct Snapshotting {
    /// The number of events between two snapshots; 0 disables them.
    pub(super) every: u64,
    /// The position of the last snapshot, whether saved, loaded or only attempted.
    last: u64,
    pub(super) outcome: SaveOutcome,
}

impl<S: Serialize + DeserializeOwned> Engine<S> {
    pub(super) fn new(
        name: String,
        store: &EventStore,
        state: S,
        handlers: Handlers<S>,
    ) -> Engine<S> {
        let json = serde_json::to_vec(&state).map_err(|error| error.to_string());
        let initial = json.and_then(|json| match undo::read::<S>(&json) {
            Ok(_) => Ok(json),
            Err(error) => {
                Err(format!("the initial state cannot be read back from its JSON: {error}"))
            }
        });
        Engine {
            store: store.clone(),
            name,
            version: 0,
            state,
            position: 0,
            handlers,
            initial,
            undo: Undo::default(),
            left_out: 0,
            snapshots: Snapshotting::default(),
        }
    }

    pub(super) fn key(&self) -> SnapshotKey {
        SnapshotKey::of_projection(self.name.as_str(), self.version)
    }

    /// Processes up to `limit` events, until `is_over`, and returns how many it processed. After an
    /// error, state and position are as they were before the event that caused it.
    pub(super) fn advance(&mut self, limit: u64, is_over: impl Fn() -> bool) -> Result<u64, Error> {
        self.store.storage().check_open()?;
        self.follow(limit, is_over)
    }

    pub(super) fn handle<H>(&mut self, event_type: String, handler: H)
    where
        H: Fn(&mut S, &RecordedEvent) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        // To undo to a kept state, the handlers that have made the state since are run again.
        self.undo.forget();
        self.handlers.set(event_type, handler);
    }

    /// Like [`advance`](Self::advance), after an append by this same thread.
    pub(super) fn follow(&mut self, limit: u64, is_over: impl Fn() -> bool) -> Result<u64, Error> {
        if let Err(reason) = &self.initial {
            return Err(Error::invalid("state", reason));
        }
        let mut count = 0;
        let events = self.store.read_all().at_home().as_recorded();
        let events = events.from_position(self.position + 1);
        for event in events.limit(limit) {
            if is_over() {
                break;
            }
            self.apply(event?)?;
            count += 1;
            self.save_if_due();
        }
        Ok(count)
    }

    fn apply(&mut self, event: RecordedEvent) -> Result<(), Error> {
        let position = event.position();
        // An event is left out only after it has failed, so the state kept for undo is later than
        // the event, and no replay meets it again.
        let is_left_out = position == self.left_out;
        if !is_left_out && self.handlers.handles(event.event_type()) {
            self.undo.keep(&self.state, self.position).map_err(|reason| {
                Error::invalid("state", format!("at position {}: {reason}", self.position))
            })?;
            if let Err(error) = self.handlers.run(&mut self.state, event, self.store.upcasters()) {
                self.restore();
                return Err(error);
            }
            self.undo.note_handled();
        }
        self.position = position;
        Ok(())
    }

    /// Restores the state as it was at `self.position`. If the handlers in between fail as well,
    /// state and position become those that were kept.
    fn restore(&mut self) {
        let due = self.position;
        let Some((state, position)) = self.undo.restore() else {
            // The kept state cannot be read, but it can be derived from the events again.
            return self.reset();
        };
        self.state = state;
        self.position = position;
        if self.replay(due).is_err()
            && let Some((state, position)) = self.undo.restore()
        {
            self.state = state;
            self.position = position;
        }
        self.undo.forget();
        self.snapshots.last = self.snapshots.last.min(self.position);
    }

    fn replay(&mut self, last: u64) -> Result<(), Error> {
        let count = last - self.position;
        let events = self.store.read_all().as_recorded().from_position(self.position + 1);
        for event in events.limit(count) {
            let event = event?;
            let position = event.position();
            self.handlers.run(&mut self.state, event, self.store.upcasters())?;
            self.position = position;
        }
        Ok(())
    }

    pub(super) fn reset(&mut self) {
        if let Ok(json) = &self.initial
            && let Ok(state) = undo::read(json)
        {
            self.set(state, 0);
        }
    }

    pub(super) fn set(&mut self, state: S, position: u64) {
        self.state = state;
        self.position = position;
        self.undo.forget();
        self.snapshots.last = position;
    }

    /// The state as a snapshot holds it.
    pub(super) fn snapshot(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(&self.state).map_err(|error| {
            Error::invalid("state", format!("it cannot be written as JSON: {error}"))
        })
    }

    /// A snapshot must not hold up the projection, whether or not it can be saved: it is only a
    /// cache.
    fn save_if_due(&mut self) {
        let Snapshotting { every, last, .. } = self.snapshots;
        if every == 0 || self.position - last < every {
            return;
        }
        let (key, position, outcome) = (self.key(), self.position, &self.snapshots.outcome);
        let queued = self
            .snapshot()
            .and_then(|bytes| self.store.save_snapshot_later(key, position, &bytes, outcome));
        if let Err(failure) = queued {
            outcome.note(Some(failure));
        }
        self.snapshots.last = self.position;
    }

    /// Notes that a snapshot was saved on request.
    pub(super) fn note_saved(&mut self, position: u64) {
        self.snapshots.last = position;
        self.snapshots.outcome.note(None);
    }
}
