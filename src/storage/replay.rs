//! Puts frames of the journal back into the tail when a store is opened.

use std::sync::Arc;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{HEADER_BYTES, ItemKind},
        head::LogEnd,
        page::Page,
        saved::Checkpoint,
    },
    event::RecordedEvent,
    storage::{
        journal::{Frame, Replay, Source},
        tail::{FrameSource, Tail, TailEntry, TailFrame, TailRecord},
    },
};

/// Puts frames into a tail.
#[derive(Debug)]
pub(super) struct IntoTail<'a> {
    pub(super) tail: &'a Tail,
    pub(super) checksum: &'a Checksum,
}

impl Replay for IntoTail<'_> {
    fn frame(&mut self, frame: &Frame<'_>, file: Source<'_>) -> Result<(), Error> {
        let header = &frame.header;
        let damaged = |reason: String| {
            let place = file.path.display().to_string();
            Error::corrupted(place, Some(header.first_position), reason)
        };
        let (mut records, mut checkpoints, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = header.first_position;
        // Where the payload starts in the file.
        let payload_offset = frame.offset + HEADER_BYTES as u64;
        for item in &frame.items {
            let content = frame.payload.get(item.range.clone()).unwrap_or_default();
            match item.kind {
                ItemKind::Checkpoint => {
                    let decoded = Checkpoint::decode(content, self.checksum);
                    checkpoints.push(decoded.map_err(damaged)?);
                }
                ItemKind::Record => {
                    let bytes: Arc<[u8]> = Arc::from(content);
                    let page = Page::of_record(Arc::clone(&bytes));
                    let page = page.map_err(damaged)?;
                    let count = page.len() as u64;
                    if (page.first_position(), page.last_position()) != (next, next + count - 1) {
                        return Err(damaged(format!("position {next} is missing in it")));
                    }
                    let offset = payload_offset + item.range.start as u64;
                    records.push(TailRecord::in_file(next, offset, bytes));
                    next += count;
                    events.extend(page.events());
                }
            }
        }
        if next != header.last_position() + 1 {
            return Err(damaged(format!("its records end before position {next}")));
        }
        let end = LogEnd {
            position: header.last_position(),
            frame_number: header.number,
            prev_checksum: header.checksum,
        };
        let end_offset = frame.offset + header.frame_bytes();
        let source = FrameSource { key: file.key, file: Arc::clone(file.file), end_offset };
        let entries = events.iter().map(entry_of).collect();
        self.tail.push(TailFrame { end, source: Some(source), records, entries, checkpoints });
        Ok(())
    }

    fn forget(&mut self) {
        self.tail.clear();
    }
}

fn entry_of(event: &RecordedEvent) -> TailEntry<'_> {
    TailEntry {
        stream: event.stream_id(),
        version: event.version(),
        position: event.position(),
        id: event.id(),
        tags: event.tag_list(),
    }
}
