//! Integers as bincode 2 writes them, for frequently decoded data: records, the headers of stored
//! values, chunks of positions and the indexes of sealed files.
//!
//! ```text
//! 0..=250   one byte
//! 251       u16 in two bytes, little-endian
//! 252       u32 in four
//! 253       u64 in eight
//! ```
//! A signed number is zigzag-encoded first: 0, -1, 1, -2 become 0, 1, 2, 3. A reader returns `None`
//! at the end of its bytes, and for any other first byte.

use crate::codec::Reason;

const TWO: u8 = 251;
const FOUR: u8 = 252;
const EIGHT: u8 = 253;

/// Appends a number.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, number: u64) {
    if let Ok(byte) = u8::try_from(number)
        && byte < TWO
    {
        out.push(byte);
    } else if let Ok(two) = u16::try_from(number) {
        out.push(TWO);
        out.extend_from_slice(&two.to_le_bytes());
    } else if let Ok(four) = u32::try_from(number) {
        out.push(FOUR);
        out.extend_from_slice(&four.to_le_bytes());
    } else {
        out.push(EIGHT);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Appends a signed number.
#[inline]
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Appends the length of some bytes and then the bytes.
#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads numbers and bytes in sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at `at`; nothing is read past the end of `bytes`.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Reader<'a> {
        Reader { bytes, at }
    }

    /// Where the next read starts.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            byte @ 0..TWO => Some(u64::from(byte)),
            TWO => self.array().map(|two| u64::from(u16::from_le_bytes(two))),
            FOUR => self.array().map(|four| u64::from(u32::from_le_bytes(four))),
            EIGHT => self.array().map(u64::from_le_bytes),
            _ => None,
        }
    }

    /// Reads a number that fits into 32 bits, for sizes and spans.
    #[inline]
    pub(crate) fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    #[inline]
    pub(crate) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let found = *self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(found)
    }

    /// Reads a length and then this many bytes.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let end = self.at.checked_add(len)?;
        let found = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(found)
    }

    /// Returns an error if there are bytes after the last value.
    pub(crate) fn finish(self) -> Result<(), Reason> {
        match self.left() {
            0 => Ok(()),
            left => Err(format!("{left} bytes follow its end")),
        }
    }
}
