//! Walks the frames of one unsealed journal file, for recovery and checks. The walk also tells an
//! unfinished write from damage. (Sealing reads in smaller units: see `sealed::units`.)
//!
//! A frame that does not fit its checksum is the end of the log when it looks like an unfinished
//! write and no intact frame after it proves that it was durable. Everything else is damage. An
//! example: the writer wrote frames 6 and 7 in one go and lost power before their sync.
//!
//! ```text
//! | 5 | zeros | 7, unsynced 1 |    frame 7 knew that 6 was not durable: the log ends with 5
//! | 5 | zeros | 7, unsynced 0 |    frame 7 was written once 6 was durable: 6 is damaged
//! ```
//! While a torn frame's own header is intact, the search for later frames starts after its extent,
//! so that bytes of its events cannot pass for a frame.

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{self, FRAME_BYTES_MAX, FrameHeader, FrameKind, HEADER_BYTES, Item},
        head::LogEnd,
    },
    defect::{self, Defect},
    storage::journal::bytes::FrameBytes,
};

/// The most bytes read at once, and how many are read first. Each read takes twice as many as the
/// one before it: a reader that follows a writer starts a walk for nearly every frame, a recovery
/// reads whole files.
const READ_BYTES: usize = 256 << 10;
const FIRST_READ_BYTES: usize = 4 << 10;

/// A buffer larger than this is freed after use.
const KEPT_BYTES: usize = 8 << 20;

/// A frame whose checksums fit.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) header: FrameHeader,
    /// Where it starts in the file.
    pub(crate) offset: u64,
    pub(crate) payload: &'a [u8],
    pub(crate) items: Vec<Item>,
}

/// What is found at an offset of a file.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    Frame(Frame<'a>),
    /// The journal continues in another file.
    Continued,
    /// Nothing was written here, or a write was not finished.
    End,
    Damaged(String),
}

/// A walk over the frames of a file.
pub(crate) struct Walk<'a> {
    bytes: &'a dyn FrameBytes,
    store_id: Uuid,
    checksum: &'a Checksum,
    /// Where the next frame starts.
    offset: u64,
    /// The frame before it.
    last: LogEnd,
    window: Window,
}

/// The part of the file that is in memory.
struct Window {
    start: u64,
    buffer: Vec<u8>,
    /// How many bytes the next read takes.
    next: usize,
}

impl<'a> Walk<'a> {
    /// Starts at `offset`, after the frame `last`.
    pub(crate) fn new(
        bytes: &'a dyn FrameBytes,
        (store_id, checksum): (Uuid, &'a Checksum),
        offset: u64,
        last: LogEnd,
    ) -> Walk<'a> {
        Walk { bytes, store_id, checksum, offset, last, window: Window::new() }
    }

    /// Where the next frame starts.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The last frame that was found intact.
    pub(crate) fn last(&self) -> LogEnd {
        self.last
    }

    /// Continues at another place.
    pub(crate) fn resume(&mut self, offset: u64, last: LogEnd) {
        (self.offset, self.last) = (offset, last);
    }

    /// Looks at the next frame and moves past it when it is intact.
    pub(crate) fn step(&mut self) -> Result<Step<'_>, Error> {
        let Some(header) = self.header_at(self.offset)? else {
            return self.without_header();
        };
        let LogEnd { position, frame_number, prev_checksum } = self.last;
        let is_next = header.store_id == self.store_id
            && (header.first_position, header.number) == (position + 1, frame_number + 1)
            && (header.prev_checksum == prev_checksum || defect::has(Defect::ChainUnchecked))
            && (header.count > 0) == (header.kind == FrameKind::Events);
        if !is_next {
            let (number, found) = (header.number, header.first_position);
            let reason = format!("frame {number}, for position {found}, is out of place");
            return Ok(Step::Damaged(reason));
        }
        if header.kind == FrameKind::Continued {
            return Ok(Step::Continued);
        }
        let offset = self.offset;
        let end = offset.saturating_add(header.frame_bytes());
        if end > self.bytes.end() || header.frame_bytes() > FRAME_BYTES_MAX {
            return Ok(Step::Damaged("a frame is cut off".to_owned()));
        }
        let len = HEADER_BYTES + header.payload_len as usize;
        let bytes = self.window.load(self.bytes, offset, len)?;
        let payload = bytes.get(HEADER_BYTES..).unwrap_or_default();
        let is_sound = self.checksum.of(payload) == header.payload_checksum;
        if !is_sound && !defect::has(Defect::PayloadUnchecked) {
            if !frame::is_unfinished(&header, bytes, offset) {
                return Ok(Step::Damaged("the checksum of a frame does not match".to_owned()));
            }
            return self.unfinished(end, header.number);
        }
        let items = match frame::items(payload) {
            Ok(items) => items,
            Err(reason) => return Ok(Step::Damaged(reason)),
        };
        self.offset = end;
        self.last = LogEnd {
            position: header.last_position(),
            frame_number: header.number,
            prev_checksum: header.checksum,
        };
        // Borrow again, now that the walk is no longer changed.
        let payload = self.window.loaded(offset, len).get(HEADER_BYTES..).unwrap_or_default();
        Ok(Step::Frame(Frame { header, offset, payload, items }))
    }

    fn header_at(&mut self, offset: u64) -> Result<Option<FrameHeader>, Error> {
        if offset.saturating_add(HEADER_BYTES as u64) > self.bytes.end() {
            return Ok(None);
        }
        let bytes = self.window.load(self.bytes, offset, HEADER_BYTES)?;
        Ok(FrameHeader::decode(bytes, self.checksum))
    }

    /// Called where there is no intact header. A header is in one sector, so only a short write can
    /// cut it, and then only zeros follow.
    fn without_header(&mut self) -> Result<Step<'_>, Error> {
        let offset = self.offset;
        let left = self.bytes.end().saturating_sub(offset);
        if left < HEADER_BYTES as u64 {
            return Ok(match self.is_zero_from(offset)? {
                true => Step::End,
                false => Step::Damaged("it ends inside a frame".to_owned()),
            });
        }
        let header = self.window.load(self.bytes, offset, HEADER_BYTES)?;
        let (is_zero, is_cut) = (header.iter().all(|&byte| byte == 0), header.last() == Some(&0));
        let after = offset + HEADER_BYTES as u64;
        if is_zero || (is_cut && self.is_zero_from(after)?) {
            let missing = self.last.frame_number + 1;
            return self.unfinished(after, missing);
        }
        Ok(Step::Damaged("the checksum of a frame header does not match".to_owned()))
    }

    /// Called for a frame that looks like an unfinished write, with `missing` as its number. It is
    /// the end of the log, unless an intact frame from `from` on proves that the frame was durable.
    fn unfinished(&mut self, from: u64, missing: u64) -> Result<Step<'_>, Error> {
        let mut offset = from;
        if defect::has(Defect::TornFrameIsEnd) {
            return Ok(Step::End);
        }
        while offset.saturating_add(HEADER_BYTES as u64) <= self.bytes.end() {
            offset = self.skip_zeros(offset)?;
            if let Some(later) = self.header_at(offset)?
                && later.store_id == self.store_id
                && later.number > missing
                && later.durable_before() >= missing
            {
                let found = later.number;
                let reason = format!("frame {missing} is missing, and frame {found} follows it");
                return Ok(Step::Damaged(reason));
            }
            offset += HEADER_BYTES as u64;
        }
        Ok(Step::End)
    }

    /// The first multiple of a header's size from `offset` on where there are not only zeros,
    /// within the loaded part.
    fn skip_zeros(&mut self, offset: u64) -> Result<u64, Error> {
        let left = self.bytes.end() - offset;
        let len = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
        let bytes = self.window.load(self.bytes, offset, len)?;
        let filled = bytes.chunks(HEADER_BYTES).position(|part| part.iter().any(|&byte| byte != 0));
        let skipped = filled.unwrap_or(len / HEADER_BYTES - 1) * HEADER_BYTES;
        Ok(offset + skipped as u64)
    }

    fn is_zero_from(&mut self, offset: u64) -> Result<bool, Error> {
        Ok(self.remains(offset)? == 0)
    }

    /// How many bytes there are from `offset` to the last one that is not zero.
    pub(crate) fn remains(&mut self, offset: u64) -> Result<u64, Error> {
        let (mut at, mut last) = (offset, offset);
        while at < self.bytes.end() {
            let left = self.bytes.end() - at;
            let len = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
            let bytes = self.window.load(self.bytes, at, len)?;
            if let Some(index) = bytes.iter().rposition(|&byte| byte != 0) {
                last = at + index as u64 + 1;
            }
            at += len as u64;
        }
        Ok(last - offset)
    }
}

impl Window {
    fn new() -> Window {
        Window { start: 0, buffer: Vec::new(), next: FIRST_READ_BYTES }
    }

    /// Loads `len` bytes from `offset` on. The caller has checked that the file has them.
    fn load(&mut self, bytes: &dyn FrameBytes, offset: u64, len: usize) -> Result<&[u8], Error> {
        let end = offset + len as u64;
        let is_loaded = offset >= self.start && end <= self.start + self.buffer.len() as u64;
        if !is_loaded {
            let left = usize::try_from(bytes.end().saturating_sub(offset)).unwrap_or(usize::MAX);
            if self.buffer.capacity() > KEPT_BYTES {
                self.buffer = Vec::new();
            }
            self.buffer.clear();
            self.buffer.resize(len.max(self.next.min(left)), 0);
            self.next = (2 * self.next).min(READ_BYTES);
            self.start = offset;
            if let Err(error) = bytes.read_at(offset, &mut self.buffer) {
                self.buffer.clear();
                return Err(error);
            }
        }
        Ok(self.loaded(offset, len))
    }

    /// Bytes that are in memory.
    fn loaded(&self, offset: u64, len: usize) -> &[u8] {
        let start = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.buffer.get(start..start.saturating_add(len)).unwrap_or_default()
    }
}
