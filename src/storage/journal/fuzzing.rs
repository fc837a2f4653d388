//! Arbitrary bytes as journal files, for the fuzzer. The checksums are forged, so that the fuzzer
//! reaches everything after them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{FIRST_FRAME_OFFSET, ItemKind},
        head::LogEnd,
        page::Page,
        saved::Checkpoint,
        sealed::new_sealed_header,
    },
    event::RecordedEvent,
    storage::journal::{Checked, FileKey, FrameBytes, SealedFile, Step, ToSeal, Walk, seal},
};

/// A file in memory whose bytes are its frames.
struct InMemory<'a> {
    path: PathBuf,
    bytes: &'a [u8],
}

impl FrameBytes for InMemory<'_> {
    fn path(&self) -> &Path {
        &self.path
    }

    fn end(&self) -> u64 {
        FIRST_FRAME_OFFSET + self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let start = offset.checked_sub(FIRST_FRAME_OFFSET).and_then(|at| usize::try_from(at).ok());
        let found = start.and_then(|at| self.bytes.get(at..at.checked_add(buffer.len())?));
        let found = found.ok_or_else(|| Error::corrupted("the input", None, "it is short"))?;
        buffer.copy_from_slice(found);
        Ok(())
    }
}

/// Uses every part of an event.
pub(crate) fn look_at(event: &RecordedEvent) -> usize {
    let texts = [event.stream_id(), event.event_type(), event.metadata().unwrap_or_default()];
    let bytes = texts.iter().map(|text| text.chars().count()).sum::<usize>();
    let _ = (event.id(), event.timestamp().to_string(), event.version(), event.is_binary());
    bytes + event.data().len()
}

/// Walks frames, then seals them; the sealed file must read the same. Returns how many events there
/// were.
pub(crate) fn frames(data: &[u8], scratch: &Path) -> usize {
    let source = InMemory { path: scratch.join("input"), bytes: data };
    let checksum = Checksum::forged();
    let (mut events, mut is_sound, mut last) = (0, true, LogEnd::default());
    let mut walk = Walk::new(&source, (Uuid::nil(), &checksum), FIRST_FRAME_OFFSET, last);
    let end = loop {
        let Ok(step) = walk.step() else { return events };
        let Step::Frame(frame) = step else { break matches!(step, Step::Continued | Step::End) };
        for item in &frame.items {
            let content = frame.payload.get(item.range.clone()).unwrap_or_default();
            match item.kind {
                ItemKind::Checkpoint => is_sound &= Checkpoint::decode(content, &checksum).is_ok(),
                ItemKind::Record => match Page::of_record(content.into()) {
                    Ok(page) => {
                        events += page.events().map(|event| look_at(&event).min(1)).sum::<usize>();
                    }
                    Err(_) => is_sound = false,
                },
            }
        }
        let now = walk.last();
        assert_eq!(now.frame_number, last.frame_number + 1, "frames are dense");
        assert!(now.position >= last.position, "positions do not go back");
        last = now;
    };
    if end && is_sound {
        let len = usize::try_from(walk.offset() - FIRST_FRAME_OFFSET).unwrap_or(0);
        seal_and_compare(data.get(..len).unwrap_or_default(), last, scratch);
    }
    events
}

/// Sealing may refuse what a walk accepts; if it does not, the frames must come back unchanged.
fn seal_and_compare(frames: &[u8], last: LogEnd, scratch: &Path) {
    let source = InMemory { path: scratch.join("input"), bytes: frames };
    let checksum = Checksum::forged();
    let header = new_sealed_header((Uuid::nil(), 1), (1, 0), false);
    let to_seal = ToSeal { source: &source, header, number: 0, checkpoints: &[], end: None };
    let Ok(sealed) = seal(&to_seal, scratch, &checksum, &mut || Ok(())) else { return };
    let Ok(facts) = sealed.publish(scratch) else { return };
    assert_eq!((facts.last_position, facts.last_frame), (last.position, last.frame_number));
    let path = FileKey { first_position: 1, number: 0 }.sealed_path(scratch);
    let file = SealedFile::open(&path, Uuid::nil(), &checksum);
    assert!(file.is_ok(), "a file that was just sealed opens: {file:?}");
    if let Ok(file) = file {
        let mut bytes = vec![0; frames.len()];
        assert!(file.read_at(FIRST_FRAME_OFFSET, &mut bytes).is_ok());
        assert!(bytes == frames, "a sealed file hands out its frames as they were");
    }
}

/// Opens the bytes as a sealed file and runs every query on it. Returns how many events it has.
pub(crate) fn sealed(data: &[u8], scratch: &Path) -> usize {
    let path = FileKey { first_position: 1, number: 0 }.sealed_path(scratch);
    if fs::write(&path, data).is_err() {
        return 0;
    }
    let checksum = Checksum::forged();
    let Ok(file) = SealedFile::open(&path, Uuid::nil(), &checksum) else { return 0 };
    let mut events = 0;
    // Damage is a valid outcome; only a panic, a hang or excessive memory use is not.
    let _ = file.verify(&mut |part| {
        if let Checked::Events(page) = part {
            events += page.events().map(|event| look_at(&event).min(1)).sum::<usize>();
        }
        Ok(())
    });
    let facts = *file.facts();
    for position in [facts.first_position, facts.last_position / 2, facts.last_position] {
        let _ = file.page(position, Page::default());
    }
    for stream in file.streams(None, 8).unwrap_or_default() {
        let _ = file.stream(&stream.id);
    }
    let _ = (file.stream("s"), file.position_of(Uuid::nil()), file.checkpoints(), file.times());
    let start = LogEnd {
        position: facts.first_position.saturating_sub(1),
        frame_number: facts.first_frame.saturating_sub(1),
        prev_checksum: facts.prev_checksum,
    };
    let mut walk = Walk::new(&file, (Uuid::nil(), &checksum), FIRST_FRAME_OFFSET, start);
    while let Ok(Step::Frame(_)) = walk.step() {}
    events
}
