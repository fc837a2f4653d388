//! The file `HEAD`: where the log ended at the last clean close, recorded outside both copies.
//!
//! ```text
//! file = slot, zeros up to 512, slot, zeros up to 1024
//! slot = magic "ANHD", state u8 (1 running, 2 closed), beyond u8, zeros 2, turn u64,
//!        position u64, frame number u64, prev_checksum u32, inode of this file u64, boot id 16,
//!        checksum u32                                                               64 bytes
//! ```
//! A writer fills the two slots in turn, so that a torn write leaves the previous record. The
//! intact slot with the higher turn is valid. Each slot is in a separate sector. `prev_checksum` is
//! the checksum of the frame with this number, which the next frame will contain. The inode and the
//! boot id distinguish the running writer from a copy of the file and from an earlier boot. An open
//! copies the place from the record before its own; a writer advances it when it begins a journal
//! file. `beyond` says what the writer has made for the frames after that place: 1, space in the
//! file that a close had cut off there; 2, another journal file. Without it, the loss of that file
//! would look like a log that ends earlier.

use uuid::Uuid;

use crate::codec::{
    Reason,
    checksum::{Checksum, HEADER_BYTES},
    u32_at, u64_at, uuid_at,
};

/// Bytes of the file.
pub(crate) const HEAD_BYTES: usize = 1024;

const MAGIC: &[u8; 4] = b"ANHD";
const SLOT_BYTES: usize = HEADER_BYTES;
const SLOT_DISTANCE: usize = 512;

/// Whether a store was in use or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadState {
    /// The log holds at least what the record says.
    Running = 1,
    /// The log ends exactly where the record says.
    Closed = 2,
}

/// What a writer has durably made for the frames after the end in a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Beyond {
    #[default]
    Nothing = 0,
    /// The file that a close had cut off at that point has its full length again.
    SameFile = 1,
    /// A journal file that starts at that point.
    NextFile = 2,
}

/// The place of a frame in the log, as the end of everything up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// The last position up to that frame.
    pub(crate) position: u64,
    pub(crate) frame_number: u64,
    /// The checksum in the header of that frame.
    pub(crate) prev_checksum: u32,
}

/// The contents of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadRecord {
    pub(crate) state: HeadState,
    pub(crate) turn: u64,
    pub(crate) end: LogEnd,
    pub(crate) beyond: Beyond,
    pub(crate) inode: u64,
    pub(crate) boot_id: Uuid,
    /// Whether no later record was lost: the other slot is intact, or was never written.
    pub(crate) is_sure: bool,
}

impl HeadRecord {
    /// The record of a backup that ends here. No writer makes one like it: no file has the inode 0.
    pub(crate) fn of_backup(turn: u64, end: LogEnd) -> HeadRecord {
        let (state, beyond) = (HeadState::Closed, Beyond::Nothing);
        HeadRecord { state, turn, end, beyond, inode: 0, boot_id: Uuid::nil(), is_sure: true }
    }

    /// Whether a backup made this record, and no writer has opened the store since.
    pub(crate) fn is_of_backup(&self) -> bool {
        *self == HeadRecord::of_backup(self.turn, self.end)
    }

    /// Encodes this record for its slot, and returns the offset of the slot in the file.
    pub(crate) fn encode(&self, checksum: &Checksum) -> (Vec<u8>, u64) {
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[self.state as u8, self.beyond as u8, 0, 0]);
        bytes.extend_from_slice(&self.turn.to_le_bytes());
        bytes.extend_from_slice(&self.end.position.to_le_bytes());
        bytes.extend_from_slice(&self.end.frame_number.to_le_bytes());
        bytes.extend_from_slice(&self.end.prev_checksum.to_le_bytes());
        bytes.extend_from_slice(&self.inode.to_le_bytes());
        bytes.extend_from_slice(self.boot_id.as_bytes());
        let offset = (self.turn % 2) * SLOT_DISTANCE as u64;
        (checksum.seal_header(bytes), offset)
    }

    /// The newest intact record in the bytes of the whole file.
    pub(crate) fn decode(file: &[u8], checksum: &Checksum) -> Result<HeadRecord, Reason> {
        let slots = [0, SLOT_DISTANCE].map(|at| file.get(at..).unwrap_or_default());
        let is_sure = slots.iter().all(|slot| is_unused(slot) || read(slot, checksum).is_some());
        let records = slots.into_iter().filter_map(|slot| read(slot, checksum));
        let newest = records.max_by_key(|record| record.turn);
        let newest = newest.map(|record| HeadRecord { is_sure, ..record });
        newest.ok_or_else(|| "neither of its records has a valid checksum".to_owned())
    }
}

fn read(slot: &[u8], checksum: &Checksum) -> Option<HeadRecord> {
    if !slot.starts_with(MAGIC) || !checksum.fits_header(slot) {
        return None;
    }
    Some(HeadRecord {
        state: match slot.get(4)? {
            1 => HeadState::Running,
            2 => HeadState::Closed,
            _ => return None,
        },
        turn: u64_at(slot, 8),
        end: LogEnd {
            position: u64_at(slot, 16),
            frame_number: u64_at(slot, 24),
            prev_checksum: u32_at(slot, 32),
        },
        beyond: match slot.get(5)? {
            0 => Beyond::Nothing,
            1 => Beyond::SameFile,
            2 => Beyond::NextFile,
            _ => return None,
        },
        inode: u64_at(slot, 36),
        boot_id: uuid_at(slot, 44),
        is_sure: true,
    })
}

fn is_unused(slot: &[u8]) -> bool {
    let slot = slot.get(..SLOT_BYTES);
    slot.is_some_and(|slot| slot.iter().all(|&byte| byte == 0))
}
