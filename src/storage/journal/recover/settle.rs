//! Settles the end of the log once it is found: makes the last frames durable, and clears the
//! remains of an unfinished write.

use std::{ops::Range, os::unix::fs::FileExt};

use crate::{
    Error,
    codec::frame::FrameHeader,
    defect::{self, Defect},
    storage::{
        home::files,
        journal::{bytes::FrameBytes, raw::RawFile},
    },
};

/// Keeps the range of the last frames that no later frame proves durable.
pub(super) fn note_proof(
    header: &FrameHeader,
    range: Range<u64>,
    unproven: &mut Option<Range<u64>>,
) {
    if header.durable_before() + 1 == header.number {
        *unproven = None;
    }
    let start = unproven.as_ref().map_or(range.start, |known| known.start);
    *unproven = Some(start..range.end);
}

/// Makes the last frames durable and clears `remains` bytes after them.
///
/// Frames that nothing proves durable may have been read from a page cache that a failed sync
/// marked clean without writing it. So they are written again, byte for byte, before they are
/// synced. Bytes after the end were never acknowledged; if they stayed, a later frame that ends
/// where they continue could bring them back.
pub(super) fn make_durable(
    source: &RawFile,
    unproven: Option<Range<u64>>,
    end: u64,
    remains: u64,
) -> Result<(), Error> {
    const STEP: u64 = 1 << 20;
    if (unproven.is_none() && remains == 0) || defect::has(Defect::RecoveredUnsynced) {
        return Ok(());
    }
    let path = &source.path;
    let file = files::open(path)?;
    let failed = |source| Error::io("write to", path, source);
    let Range { start, end: stop } = unproven.unwrap_or(end..end);
    let mut at = start;
    while at < stop {
        let len = usize::try_from((stop - at).min(STEP)).unwrap_or(0);
        let mut buffer = vec![0; len];
        source.read_at(at, &mut buffer)?;
        file.write_all_at(&buffer, at).map_err(failed)?;
        at += len as u64;
    }
    files::write_zeros(&file, end..end + remains, |_| Ok(())).map_err(failed)?;
    file.sync_data().map_err(|source| Error::io("sync", path, source))
}
