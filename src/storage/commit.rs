//! Commits a group: wait for room, then write to the journal, the tail, and the head that readers
//! see.

use std::sync::Arc;

use crate::{
    Error,
    codec::{
        frame::{FrameKind, ItemKind},
        head::LogEnd,
        pack,
        record::{self, EventToEncode},
        saved::Checkpoint,
    },
    defect::{self, Defect},
    storage::{
        Storage,
        disk::{Disk, Patience, Room},
        drain,
        journal::{NewFrame, WrittenFrame},
        tail::{FrameSource, TailEntry, TailFrame, TailRecord},
    },
};

/// Bytes of an item before its content: the length and the kind.
const ITEM_HEADER_BYTES: u64 = 5;

/// An encoded record of consecutive events.
#[derive(Clone, Debug)]
struct Record {
    first_position: u64,
    count: u64,
    bytes: Arc<[u8]>,
}

/// Everything that is written as one frame: after a crash, either all of it exists or nothing.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    records: Vec<Record>,
    /// One entry for each event of the records.
    entries: Vec<TailEntry<'a>>,
    checkpoints: Vec<Checkpoint>,
}

impl Record {
    fn of(events: &[EventToEncode<'_>]) -> Record {
        let size = events.iter().map(EventToEncode::encoded_bytes_max).sum();
        let mut bytes = Vec::with_capacity(size);
        record::encode(events, &mut bytes);
        let first_position = events.first().map_or(0, |event| event.position);
        Record { first_position, count: events.len() as u64, bytes: Arc::from(bytes) }
    }
}

impl<'a> Frame<'a> {
    /// Encodes consecutive events.
    pub(crate) fn of(events: &[EventToEncode<'a>], checkpoints: Vec<Checkpoint>) -> Frame<'a> {
        let entry = |event: &EventToEncode<'a>| TailEntry {
            stream: event.stream,
            version: event.version,
            position: event.position,
            id: event.id,
            tags: event.tags,
        };
        Frame {
            records: pack::cut(events).map(Record::of).collect(),
            entries: events.iter().map(entry).collect(),
            checkpoints,
        }
    }
}

impl Storage {
    /// Waits until the tail has room. This happens before a group is numbered, so that a refusal
    /// leaves no trace.
    pub(crate) fn wait_for_room(&self) -> Result<(), Error> {
        let Some(disk) = self.disk() else { return Ok(()) };
        let mut patience = Patience::default();
        while drain::is_tail_full(&self.tail, self.options.tail_bytes) {
            self.health.check_writable()?;
            match disk.signals.wait_for_room(&mut patience) {
                Room::LookAgain => {}
                Room::NoSpace => {
                    let what = "the trees, which must take in earlier events first".to_owned();
                    return Err(Error::NoSpace { what, source: None });
                }
                Room::Hung => {
                    // The thread has ended because the store was closed meanwhile.
                    self.health.check_not_closed()?;
                    // The thread would have synced it. A failure poisons the store anyway.
                    let _ = disk.sync_journal(&self.health);
                    return Err(self.poison(drain::hung("moving events into the trees")));
                }
            }
        }
        Ok(())
    }

    /// Writes a frame as durably as promised, and publishes it. After an error nothing of it is
    /// published; unless the error is `Poisoned`, nothing of it was written either.
    pub(crate) fn commit(&self, frame: Frame<'_>) -> Result<(), Error> {
        let count: u64 = frame.records.iter().map(|record| record.count).sum();
        let head = self.head() + count;
        let show = || self.show(head);
        match self.disk() {
            None => {
                let end = LogEnd { position: head, ..LogEnd::default() };
                self.tail.push_and_show(in_tail(frame, end, None), show);
            }
            Some(disk) => {
                if defect::has(Defect::ShownEarly) {
                    show();
                }
                let written = self.write(disk, &frame, count)?;
                self.tail.push_and_show(in_tail(frame, written.end, Some(&written)), show);
            }
        }
        self.meters.written.add(count);
        if let Some(disk) = self.disk()
            && drain::is_due(&self.tail, self.options.tail_bytes)
        {
            disk.signals.request_drain();
        }
        Ok(())
    }

    fn write(&self, disk: &Disk, frame: &Frame<'_>, count: u64) -> Result<WrittenFrame, Error> {
        let refused = |reason: String| Error::invalid("events", reason);
        let encoded = frame.checkpoints.iter().map(|one| one.encode(&self.checksum));
        let encoded = encoded.collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let records = frame.records.iter().map(|record| (ItemKind::Record, &*record.bytes));
        let checkpoints = encoded.iter().map(|bytes| (ItemKind::Checkpoint, &**bytes));
        let new = NewFrame {
            kind: if count > 0 { FrameKind::Events } else { FrameKind::Checkpoints },
            count: u32::try_from(count).map_err(|_| refused("there are too many".to_owned()))?,
            items: records.chain(checkpoints).collect(),
        };
        let written = disk.write(&new, &self.health);
        if matches!(written, Err(Error::NoSpace { .. })) {
            // Sealing files may free space.
            disk.signals.request_drain();
        }
        written
    }
}

/// Converts the frame to the form that the tail keeps.
fn in_tail<'a>(frame: Frame<'a>, end: LogEnd, written: Option<&WrittenFrame>) -> TailFrame<'a> {
    let mut offset = written.map_or(0, |written| written.payload_offset);
    let record = |Record { first_position, bytes, .. }: Record| {
        offset += ITEM_HEADER_BYTES;
        let record = match written {
            Some(_) => TailRecord::in_file(first_position, offset, bytes),
            None => TailRecord { first_position, offset, bytes, sum: 0 },
        };
        offset += record.bytes.len() as u64;
        record
    };
    let source = written.map(|written| FrameSource {
        key: written.key,
        file: Arc::clone(&written.file),
        end_offset: written.end_offset,
    });
    TailFrame {
        end,
        source,
        records: frame.records.into_iter().map(record).collect(),
        entries: frame.entries,
        checkpoints: frame.checkpoints,
    }
}
