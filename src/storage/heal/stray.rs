//! Intact frames that the log does not lead to, because there is damage before them.

use std::{fs::File, path::Path, sync::Arc};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{self, FIRST_FRAME_OFFSET, FrameHeader, FrameKind, HEADER_BYTES, ItemKind},
        page::Page,
    },
    event::RecordedEvent,
    storage::journal::{self, FrameBytes, RawFile},
};

/// Hands on the events after `head` of all intact frames of unsealed files, in the order of the
/// files. A position may come twice.
pub(super) fn events(
    directory: &Path,
    store_id: Uuid,
    head: u64,
    on_event: &mut dyn FnMut(&RecordedEvent) -> Result<(), Error>,
) -> Result<(), Error> {
    if !directory.is_dir() {
        return Ok(());
    }
    let checksum = Checksum::of_store(store_id);
    for key in journal::list(directory)?.unsealed {
        let path = key.active_path(directory);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (end, file) = opened.map_err(|source| Error::io("open", &path, source))?;
        let raw = RawFile { path, file: Arc::new(file), end };
        of_file(&raw, &checksum, head, on_event)?;
    }
    Ok(())
}

fn of_file(
    raw: &RawFile,
    checksum: &Checksum,
    head: u64,
    on_event: &mut dyn FnMut(&RecordedEvent) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut at = FIRST_FRAME_OFFSET;
    let mut header = [0; HEADER_BYTES];
    while at + (HEADER_BYTES as u64) <= raw.end {
        raw.read_at(at, &mut header)?;
        let found = FrameHeader::decode(&header, checksum);
        let payload = match found {
            Some(found) => intact_payload(raw, checksum, at, &found)?,
            None => None,
        };
        let (Some(found), Some(payload)) = (found, payload) else {
            at += HEADER_BYTES as u64;
            continue;
        };
        at += found.frame_bytes();
        if found.kind != FrameKind::Events || found.last_position() <= head {
            continue;
        }
        for item in frame::items(&payload).unwrap_or_default() {
            let content = payload.get(item.range).unwrap_or_default();
            if item.kind == ItemKind::Record
                && let Ok(page) = Page::of_record(Arc::from(content))
            {
                for event in page.events().filter(|event| event.position() > head) {
                    on_event(&event)?;
                }
            }
        }
    }
    Ok(())
}

fn intact_payload(
    raw: &RawFile,
    checksum: &Checksum,
    at: u64,
    header: &FrameHeader,
) -> Result<Option<Vec<u8>>, Error> {
    if at.saturating_add(header.frame_bytes()) > raw.end {
        return Ok(None);
    }
    let mut payload = vec![0; header.payload_len as usize];
    raw.read_at(at + HEADER_BYTES as u64, &mut payload)?;
    Ok((checksum.of(&payload) == header.payload_checksum).then_some(payload))
}
