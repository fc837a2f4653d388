//! Walking the frames of one journal file, and telling a write that never finished from damage.
//!
//! A frame whose checksum does not fit is the end of the journal when it looks like an unfinished
//! write and no intact frame behind it was written in the knowledge that it is durable. Everything
//! else is damage, except in a snapshot, without which everything else is as good as before.

use std::ops::Range;

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{self, FIRST_FRAME_OFFSET, FileHeader, FrameHeader, FrameKind, HEADER_BYTES},
    },
};

/// How the frames of one file end.
#[derive(Clone, Debug)]
pub(crate) struct Walked {
    /// Where the next frame would start.
    pub(crate) offset: u64,
    /// The position that it would have.
    pub(crate) next_position: u64,
    /// What it would chain to.
    pub(crate) chain: u32,
    /// The mark that stands there.
    pub(crate) mark: Option<FrameKind>,
    /// What is wrong with the bytes there, when they are more than an unfinished write.
    pub(crate) damage: Option<String>,
    /// The positions at which snapshots are damaged.
    pub(crate) damaged_snapshots: Vec<u64>,
}

impl Walked {
    fn start(header: &FileHeader) -> Walked {
        Walked {
            offset: FIRST_FRAME_OFFSET,
            next_position: header.first_position,
            chain: header.chain,
            mark: None,
            damage: None,
            damaged_snapshots: Vec::new(),
        }
    }

    /// Where the bytes behind the last frame and the mark start.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.mark.map_or(0, |_| HEADER_BYTES as u64)
    }

    /// What is wrong with this as the end of the whole journal, in a file with these bytes.
    pub(crate) fn damage_as_last(&self, header: &FileHeader, bytes: &[u8]) -> Option<String> {
        if self.damage.is_some() {
            return self.damage.clone();
        }
        match self.mark {
            Some(FrameKind::Continued) => {
                Some("the file that goes on from it is missing".to_owned())
            }
            // Nothing was written behind that.
            Some(FrameKind::Closed) => None,
            _ if (bytes.len() as u64) < header.capacity => {
                Some("it is shorter than it was made".to_owned())
            }
            _ => None,
        }
    }
}

/// Walks the frames of a file's bytes and hands each intact one to `on_frame`, with the range of
/// its bytes; a snapshot whose payload is gone comes without records.
pub(crate) fn walk<'a>(
    bytes: &'a [u8],
    header: &FileHeader,
    checksum: &Checksum,
    on_frame: impl FnMut(FrameHeader, Vec<&'a [u8]>, Range<u64>) -> Result<(), Error>,
) -> Result<Walked, Error> {
    walk_from(Walked::start(header), bytes, header.store_id, checksum, on_frame)
}

/// As [`walk`], from another place on.
pub(crate) fn walk_from<'a>(
    mut at: Walked,
    bytes: &'a [u8],
    store_id: Uuid,
    checksum: &Checksum,
    mut on_frame: impl FnMut(FrameHeader, Vec<&'a [u8]>, Range<u64>) -> Result<(), Error>,
) -> Result<Walked, Error> {
    // Where other frames may stand after the end.
    let mut after = None;
    loop {
        match frame_at(bytes, &at, store_id, checksum) {
            Frame::Intact(frame, records) => {
                let end = at.offset + frame.frame_bytes();
                on_frame(frame, records, at.offset..end)?;
                at.offset = end;
                at.next_position = frame.last_position() + 1;
                at.chain = frame.checksum;
            }
            Frame::Lost(frame, is_released) => {
                let end = at.offset + frame.frame_bytes();
                on_frame(frame, Vec::new(), at.offset..end)?;
                if !is_released {
                    at.damaged_snapshots.push(frame.first_position);
                }
                at.offset = end;
                at.chain = frame.checksum;
            }
            Frame::Mark(kind) => {
                at.mark = Some(kind);
                break;
            }
            Frame::End => break,
            Frame::Unfinished(frame) => {
                // Its payload may look like anything.
                after = Some(at.offset + frame.frame_bytes());
                break;
            }
            Frame::Damaged(reason) => {
                at.damage = Some(reason);
                break;
            }
        }
    }
    // After a mark too: it may be stale, where a later frame had taken its place.
    if at.damage.is_none() {
        at.damage = intact_after(bytes, after.unwrap_or(at.offset), &at, checksum);
    }
    Ok(at)
}

/// Where the frames start, behind damage, that go on at `position` from the frame with the checksum
/// `chain`.
pub(crate) fn resume(
    bytes: &[u8],
    damaged: &Walked,
    (position, chain): (u64, u32),
    store_id: Uuid,
    checksum: &Checksum,
) -> Option<Walked> {
    let goes_on = |header: &FrameHeader| {
        (header.first_position, header.chain, header.store_id) == (position, chain, store_id)
    };
    headers_behind(bytes, damaged.offset, checksum).find(|(_, header)| goes_on(header)).map(
        |(offset, header)| Walked {
            offset,
            next_position: position,
            chain: header.chain,
            mark: None,
            damage: None,
            damaged_snapshots: damaged.damaged_snapshots.clone(),
        },
    )
}

/// Whether a frame with the checksum `chain` stands in the file, whose next position was
/// `position`.
pub(crate) fn holds(bytes: &[u8], (position, chain): (u64, u32), checksum: &Checksum) -> bool {
    headers_behind(bytes, FIRST_FRAME_OFFSET, checksum)
        .any(|(_, header)| (header.first_position, header.checksum) == (position, chain))
}

enum Frame<'a> {
    Intact(FrameHeader, Vec<&'a [u8]>),
    /// A snapshot without its payload, and whether that was given back.
    Lost(FrameHeader, bool),
    Mark(FrameKind),
    /// Nothing was written here, or a write that did not finish its header.
    End,
    /// A write that finished its header and no more.
    Unfinished(FrameHeader),
    Damaged(String),
}

fn frame_at<'a>(bytes: &'a [u8], at: &Walked, store_id: Uuid, checksum: &Checksum) -> Frame<'a> {
    let start = usize::try_from(at.offset).unwrap_or(usize::MAX);
    let rest = bytes.get(start..).unwrap_or_default();
    let Some(head) = rest.get(..HEADER_BYTES) else { return Frame::End };
    let Some(header) = FrameHeader::decode(head, checksum) else {
        return match frame::is_unwritten(rest) {
            true => Frame::End,
            false => Frame::Damaged("the checksum of a frame's header does not fit".to_owned()),
        };
    };
    let fits = header.store_id == store_id
        && header.first_position == at.next_position
        && header.chain == at.chain
        && (header.count > 0) == (header.kind == FrameKind::Events);
    if !fits {
        let found = header.first_position;
        return Frame::Damaged(format!("a frame for position {found} stands out of its place"));
    }
    if header.kind.is_mark() {
        return Frame::Mark(header.kind);
    }
    let end = HEADER_BYTES.saturating_add(header.payload_len as usize);
    let (Some(frame), Some(payload)) = (rest.get(..end), rest.get(HEADER_BYTES..end)) else {
        return Frame::Damaged("a frame is cut off".to_owned());
    };
    if checksum.of(payload) != header.payload_checksum {
        if header.kind == FrameKind::Snapshot {
            // One that was never finished is none either.
            let is_released = frame::is_unfinished(&header, frame, at.offset);
            return Frame::Lost(header, is_released);
        }
        return match frame::is_unfinished(&header, frame, at.offset) {
            true => Frame::Unfinished(header),
            false => Frame::Damaged("the checksum of a frame does not fit".to_owned()),
        };
    }
    match frame::records(payload) {
        Ok(records) => Frame::Intact(header, records),
        Err(reason) => Frame::Damaged(reason),
    }
}

/// The headers at or behind `offset`, with where they stand.
fn headers_behind<'a>(
    bytes: &'a [u8],
    offset: u64,
    checksum: &'a Checksum,
) -> impl Iterator<Item = (u64, FrameHeader)> + 'a {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let rest = bytes.get(start..).unwrap_or_default();
    (offset..)
        .step_by(HEADER_BYTES)
        .zip(rest.chunks_exact(HEADER_BYTES))
        .filter_map(|(offset, head)| Some((offset, FrameHeader::decode(head, checksum)?)))
}

/// Looks from `offset` on for a frame that was written when the one missing here was durable
/// already.
fn intact_after(bytes: &[u8], offset: u64, at: &Walked, checksum: &Checksum) -> Option<String> {
    let vouches = |offset: u64, header: &FrameHeader| {
        let is_later = offset > at.offset && header.first_position >= at.next_position;
        header.durable >= at.next_position || (is_later && header.follows_durable)
    };
    let (_, later) = headers_behind(bytes, offset, checksum)
        .find(|(offset, header)| vouches(*offset, header))?;
    let (found, missing) = (later.first_position, at.next_position);
    Some(format!("position {missing} is missing, and an intact frame for {found} follows"))
}
