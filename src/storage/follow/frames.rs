//! Reading on in an unsealed file.

use crate::{
    Error,
    codec::head::LogEnd,
    storage::journal::{Frame, Step, Walk},
};

/// Where a walk ended.
#[derive(Debug)]
pub(super) enum WalkEnd {
    /// At a frame after which nothing is wanted.
    Reached,
    Continued,
    End,
    Damaged(String),
}

/// Passes frames on until `is_reached`. `place` becomes the place after the last frame that `take`
/// has taken, even if the walk fails: the next one goes on there, so that no frame is taken twice.
pub(super) fn pass_on(
    walk: &mut Walk<'_>,
    is_reached: &dyn Fn(LogEnd) -> bool,
    place: &mut (u64, LogEnd),
    mut take: impl FnMut(&Frame<'_>) -> Result<(), Error>,
) -> Result<WalkEnd, Error> {
    loop {
        *place = (walk.offset(), walk.last());
        if is_reached(walk.last()) {
            return Ok(WalkEnd::Reached);
        }
        match walk.step()? {
            Step::Frame(frame) => take(&frame)?,
            Step::Continued => return Ok(WalkEnd::Continued),
            Step::End => return Ok(WalkEnd::End),
            Step::Damaged(reason) => return Ok(WalkEnd::Damaged(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicU32, Ordering},
    };

    use uuid::Uuid;

    use super::*;
    use crate::{
        codec::{
            checksum::Checksum,
            frame::{self, FIRST_FRAME_OFFSET, FrameKind, FrameMeta, ItemKind},
        },
        storage::journal::FrameBytes,
    };

    const FRAMES: u64 = 40;

    /// A file of which one read fails.
    struct Flaky {
        bytes: Vec<u8>,
        reads: AtomicU32,
        fails: u32,
    }

    impl FrameBytes for Flaky {
        fn path(&self) -> &Path {
            Path::new("flaky")
        }

        fn end(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
            if self.reads.fetch_add(1, Ordering::Relaxed) == self.fails {
                return Err(Error::io("read", self.path(), std::io::Error::from_raw_os_error(5)));
            }
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = self.bytes.get(start..start.saturating_add(buffer.len()));
            buffer.copy_from_slice(bytes.ok_or_else(|| Error::internal("past the end"))?);
            Ok(())
        }
    }

    fn bytes(store_id: Uuid, checksum: &Checksum) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; usize::try_from(FIRST_FRAME_OFFSET).unwrap_or(0)];
        let mut prev_checksum = 0;
        for number in 1..=FRAMES {
            let mut out = Vec::new();
            frame::begin(&mut out);
            frame::put_item(&mut out, ItemKind::Checkpoint, &[7; 3_000])?;
            let meta = FrameMeta {
                kind: FrameKind::Checkpoints,
                count: 0,
                first_position: 1,
                number,
                prev_checksum,
                store_id,
                unsynced: 0,
            };
            prev_checksum = frame::complete(meta, bytes.len() as u64, checksum, &mut out)?;
            bytes.extend_from_slice(&out);
        }
        Ok(bytes)
    }

    #[test]
    fn after_a_read_that_fails_no_frame_is_taken_twice() -> Result<(), String> {
        let store_id = Uuid::from_u128(1);
        let checksum = Checksum::of_store(store_id);
        let bytes = bytes(store_id, &checksum)?;
        let mut failed = 0;
        for fails in 0.. {
            let file = Flaky { bytes: bytes.clone(), reads: AtomicU32::new(0), fails };
            let (mut taken, mut failures) = (Vec::new(), 0);
            let mut place = (FIRST_FRAME_OFFSET, LogEnd::default());
            loop {
                let mut walk = Walk::new(&file, (store_id, &checksum), place.0, place.1);
                let ended = pass_on(&mut walk, &|_| false, &mut place, |frame| {
                    taken.push(frame.header.number);
                    Ok(())
                });
                match ended {
                    Err(Error::Io { .. }) => failures += 1,
                    Ok(WalkEnd::End) => break,
                    other => return Err(format!("{other:?}")),
                }
            }
            assert!(taken.into_iter().eq(1..=FRAMES), "read {fails} fails");
            if failures == 0 {
                break;
            }
            failed += failures;
        }
        assert!(failed > 3, "{failed}");
        Ok(())
    }

    #[test]
    fn a_frame_that_is_refused_is_not_passed() -> Result<(), String> {
        let store_id = Uuid::from_u128(1);
        let checksum = Checksum::of_store(store_id);
        let bytes = bytes(store_id, &checksum)?;
        let file = Flaky { bytes, reads: AtomicU32::new(0), fails: u32::MAX };
        let mut place = (FIRST_FRAME_OFFSET, LogEnd::default());
        let mut walk = Walk::new(&file, (store_id, &checksum), place.0, place.1);
        let ended = pass_on(&mut walk, &|_| false, &mut place, |frame| match frame.header.number {
            5 => Err(Error::internal("the fifth one")),
            _ => Ok(()),
        });
        assert!(matches!(ended, Err(Error::Internal { .. })), "{ended:?}");
        assert_eq!(place.1.frame_number, 4);
        Ok(())
    }
}
