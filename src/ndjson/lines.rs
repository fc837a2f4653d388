//! Splits input into lines of bounded length.

use std::io::{BufRead, BufReader, Read};

use crate::{Error, event::limits::LINE_BYTES_MAX, ndjson::INPUT};

const BUFFER_BYTES: usize = 256 << 10;
/// The longest line with its line end, which is at most CR LF.
const ENDED_LINE_BYTES_MAX: u64 = LINE_BYTES_MAX as u64 + 2;

/// Reads lines into one buffer, which holds at most one line.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    buffer: Vec<u8>,
    number: u64,
    bytes: u64,
}

/// One line of the input.
pub(super) struct RawLine<'a> {
    /// Counted from 1.
    pub(super) number: u64,
    /// Without its line end.
    pub(super) bytes: &'a [u8],
    /// Whether the line has a line end, which only the last line may lack.
    pub(super) is_ended: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Lines<R> {
        let reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        Lines { reader, buffer: Vec::new(), number: 0, bytes: 0 }
    }

    /// Lines read so far, including one that was refused.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line; `None` at the end. A line past the limit is refused as soon as it exceeds it.
    pub(super) fn next(&mut self) -> Result<Option<RawLine<'_>>, Error> {
        self.buffer.clear();
        let mut bounded = (&mut self.reader).take(ENDED_LINE_BYTES_MAX);
        let count = bounded
            .read_until(b'\n', &mut self.buffer)
            .map_err(|error| Error::io("read", INPUT, error))?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.bytes += count as u64;
        let ended = self.buffer.strip_suffix(b"\n");
        let bytes = ended.unwrap_or(&self.buffer);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.len() > LINE_BYTES_MAX {
            return Err(Error::Parse {
                line: self.number,
                column: LINE_BYTES_MAX as u64 + 1,
                reason: format!("the line exceeds the limit of {LINE_BYTES_MAX} bytes"),
            });
        }
        Ok(Some(RawLine { number: self.number, bytes, is_ended: ended.is_some() }))
    }
}
