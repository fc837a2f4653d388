//! The frames of a journal file, checked and split into units: the smallest parts of a block.
//!
//! No frame is read as a whole: the checksum of a payload is computed item by item, so a frame is
//! known to be sound only at its end. After an error, a caller must discard everything from the
//! file.

use crate::{
    Error,
    codec::{
        checksum::{Checksum, PartialChecksum},
        frame::{self, END, FIRST_FRAME_OFFSET, FrameHeader, FrameKind, HEADER_BYTES},
        sealed::{RAW_BYTES_MAX, SealedHeader, parts::ITEM_LENGTH_BYTES},
    },
    storage::journal::bytes::FrameBytes,
};

/// How much of the source is read at once.
const AHEAD_BYTES: usize = 256 << 10;

/// The bytes at the end of each payload, besides its items.
const FINAL_BYTES: u64 = 1;

/// A part of the frames.
#[derive(Debug)]
pub(super) struct Unit<'a> {
    pub(super) kind: UnitKind,
    pub(super) bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnitKind {
    /// The header of a frame. `first_item` is the size of its first item; 0 if it has none.
    Header { first_item: usize },
    /// An item with its length. `lead` is how many bytes of the payload are left, including this
    /// item.
    Item { lead: u32 },
    /// What follows the items of a frame; `next_position` is the position of the next event.
    End { next_position: u64 },
}

/// A frame whose units have not all been taken.
#[derive(Debug)]
struct OpenFrame {
    header: FrameHeader,
    /// Bytes of the payload that are left.
    left: u64,
    sum: PartialChecksum,
}

/// Returns the units of a journal file one by one.
pub(super) struct Units<'a> {
    ahead: ReadAhead<'a>,
    checksum: &'a Checksum,
    expected: SealedHeader,
    offset: u64,
    next_position: u64,
    next_frame: u64,
    prev_checksum: u32,
    open: Option<OpenFrame>,
}

impl<'a> Units<'a> {
    pub(super) fn new(
        source: &'a dyn FrameBytes,
        expected: SealedHeader,
        checksum: &'a Checksum,
    ) -> Units<'a> {
        Units {
            ahead: ReadAhead { source, bytes: Vec::new(), start: 0 },
            checksum,
            expected,
            offset: FIRST_FRAME_OFFSET,
            next_position: expected.first_position,
            next_frame: expected.first_frame,
            prev_checksum: expected.prev_checksum,
            open: None,
        }
    }

    /// The position of the next event.
    pub(super) fn next_position(&self) -> u64 {
        self.next_position
    }

    /// The number of the next frame.
    pub(super) fn next_frame(&self) -> u64 {
        self.next_frame
    }

    /// The `prev_checksum` of the next frame.
    pub(super) fn prev_checksum(&self) -> u32 {
        self.prev_checksum
    }

    /// The next unit; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Unit<'_>>, Error> {
        let left = self.open.as_ref().map(|open| open.left);
        match left {
            None if self.offset == self.ahead.source.end() => Ok(None),
            None => self.header().map(Some),
            Some(FINAL_BYTES) => self.end_of_frame().map(Some),
            Some(left) => self.item(left).map(Some),
        }
    }

    fn header(&mut self) -> Result<Unit<'_>, Error> {
        let bytes = self.ahead.get(self.offset, HEADER_BYTES)?;
        let header = FrameHeader::decode(bytes, self.checksum)
            .ok_or_else(|| self.damaged("the checksum of a frame header does not match"))?;
        if let Some(reason) = self.wrong_place(&header) {
            return Err(self.damaged(reason));
        }
        let at = self.offset;
        let payload = at + HEADER_BYTES as u64;
        self.offset = payload;
        if header.kind == FrameKind::Continued {
            let bytes = self.ahead.get(at, HEADER_BYTES)?;
            return Ok(Unit { kind: UnitKind::Header { first_item: 0 }, bytes });
        }
        let left = u64::from(header.payload_len);
        self.open = Some(OpenFrame { header, left, sum: self.checksum.start() });
        let first_item = match left {
            FINAL_BYTES => 0,
            left => self.item_bytes(payload, left)?,
        };
        let bytes = self.ahead.get(at, HEADER_BYTES)?;
        Ok(Unit { kind: UnitKind::Header { first_item }, bytes })
    }

    /// The reason why a frame must not start here, if there is one.
    fn wrong_place(&self, header: &FrameHeader) -> Option<&'static str> {
        let end = self.offset.checked_add(header.frame_bytes());
        if header.store_id != self.expected.store_id
            || header.first_position != self.next_position
            || header.number != self.next_frame
            || header.prev_checksum != self.prev_checksum
        {
            return Some("a frame is out of place");
        }
        if end.is_none_or(|end| end > self.ahead.source.end()) {
            return Some("a frame is cut off");
        }
        let is_sound = match header.kind {
            FrameKind::Continued => end == Some(self.ahead.source.end()) && header.payload_len == 0,
            FrameKind::Events | FrameKind::Checkpoints => header.payload_len > 0,
        };
        let holds_events = header.kind == FrameKind::Events;
        let is_sound = is_sound && holds_events == (header.count > 0);
        (!is_sound).then_some("the header of a frame contradicts itself")
    }

    /// The size of the item at `offset`, in a payload with `left` bytes left.
    fn item_bytes(&mut self, offset: u64, left: u64) -> Result<usize, Error> {
        let room = left.saturating_sub(FINAL_BYTES);
        if room <= ITEM_LENGTH_BYTES as u64 {
            return Err(self.damaged("the list of items of a frame is malformed"));
        }
        let length = self.ahead.get(offset, ITEM_LENGTH_BYTES)?;
        let bytes = u64::from(frame::item_length(length)) + ITEM_LENGTH_BYTES as u64;
        // The frame's header and its final bytes may be in the same block.
        let limit = u64::from(RAW_BYTES_MAX) - 2 * HEADER_BYTES as u64;
        let bytes = usize::try_from(bytes).ok().filter(|_| bytes <= room.min(limit));
        bytes.ok_or_else(|| self.damaged("an item of a frame is past its end or its limit"))
    }

    fn item(&mut self, left: u64) -> Result<Unit<'_>, Error> {
        let (at, len) = (self.offset, self.item_bytes(self.offset, left)?);
        self.offset += len as u64;
        let bytes = self.ahead.get(at, len)?;
        if let Some(open) = &mut self.open {
            open.left -= len as u64;
            open.sum.update(bytes);
        }
        let lead = u32::try_from(left).unwrap_or(u32::MAX);
        Ok(Unit { kind: UnitKind::Item { lead }, bytes })
    }

    fn end_of_frame(&mut self) -> Result<Unit<'_>, Error> {
        let at = self.offset;
        let end = (at + FINAL_BYTES).next_multiple_of(HEADER_BYTES as u64);
        let len = usize::try_from(end - at).unwrap_or(HEADER_BYTES);
        let Some(OpenFrame { header, sum, .. }) = self.open.take() else {
            return Err(self.damaged("a frame is not open"));
        };
        let bytes = self.ahead.get(at, len)?;
        let is_sound = sum.and(bytes.get(..1).unwrap_or_default()).finish()
            == header.payload_checksum
            && bytes.first() == Some(&END);
        if !is_sound {
            return Err(self.damaged("the checksum of a frame does not match"));
        }
        self.offset = end;
        self.next_position = header.last_position().saturating_add(1);
        self.next_frame = self.next_frame.saturating_add(1);
        self.prev_checksum = header.checksum;
        let bytes = self.ahead.get(at, len)?;
        Ok(Unit { kind: UnitKind::End { next_position: self.next_position }, bytes })
    }

    /// Makes the error for damage at this place of the file.
    pub(super) fn damaged(&self, reason: impl Into<String>) -> Error {
        let place = self.ahead.source.path().display().to_string();
        Error::corrupted(place, Some(self.next_position), reason)
    }
}

/// The bytes of a source, some of them read ahead.
struct ReadAhead<'a> {
    source: &'a dyn FrameBytes,
    bytes: Vec<u8>,
    start: u64,
}

impl ReadAhead<'_> {
    fn get(&mut self, offset: u64, len: usize) -> Result<&[u8], Error> {
        let held = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let held = held.filter(|at| at.checked_add(len).is_some_and(|end| end <= self.bytes.len()));
        let at = match held {
            Some(at) => at,
            None => {
                let left = self.source.end().saturating_sub(offset);
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                self.bytes.clear();
                self.bytes.resize(left.min(AHEAD_BYTES).max(len), 0);
                self.bytes.shrink_to(AHEAD_BYTES);
                self.start = offset;
                self.source.read_at(offset, &mut self.bytes)?;
                0
            }
        };
        Ok(self.bytes.get(at..at + len).unwrap_or_default())
    }
}
