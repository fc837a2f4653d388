//! Gathers events into the units of one durable append.

use std::mem;

use uuid::Uuid;

use crate::{ExpectedVersion, NewEvent, store::Unit};

/// Events in one batch: enough that the sync of a batch costs little per event, and few enough that
/// a fault or a crash loses little work.
pub(super) const BATCH_EVENTS_MAX: u64 = 4_096;
/// Bytes in one batch, unless a single event is larger: far below the limit for an append.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Consecutive events of one stream share a unit, so that the order of events is kept.
#[derive(Debug, Default)]
pub(super) struct Batch {
    units: Vec<Unit>,
    /// The line of each event that has an id.
    lines: Vec<(Uuid, u64)>,
    events: u64,
    bytes: usize,
}

impl Batch {
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Whether the batch must be written before `event` can be added.
    pub(super) fn is_full_for(&self, stream: &str, event: &NewEvent) -> bool {
        let bytes = self.bytes + event.counted_bytes(stream);
        self.events >= BATCH_EVENTS_MAX || (self.events > 0 && bytes > BATCH_BYTES_MAX)
    }

    /// Adds the event from a line.
    pub(super) fn push(&mut self, stream: &str, event: NewEvent, line: u64) {
        self.lines.extend(event.id.map(|id| (id, line)));
        self.events += 1;
        self.bytes += event.counted_bytes(stream);
        match self.units.last_mut() {
            Some(unit) if unit.stream == stream => unit.events.push(event),
            _ => self.units.push(Unit::to(stream, ExpectedVersion::Any, [event])),
        }
    }

    /// Returns the units and the line of each event id, and leaves an empty batch.
    pub(super) fn take(&mut self) -> (Vec<Unit>, Vec<(Uuid, u64)>) {
        let batch = mem::take(self);
        (batch.units, batch.lines)
    }
}
