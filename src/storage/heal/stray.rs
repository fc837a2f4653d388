//! Finds intact frames that the log does not lead to, because there is damage before them.

use std::{
    fs::{self, File},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Error,
    codec::{
        checksum::Checksum,
        frame::{self, FIRST_FRAME_OFFSET, FrameHeader, FrameKind, HEADER_BYTES, ItemKind},
        page::Page,
    },
    event::RecordedEvent,
    storage::{
        files,
        journal::{self, FileKey, FrameBytes, RawFile},
    },
};

/// How many bytes are searched for headers at a time.
const WINDOW: usize = 256 << 10;

/// Passes on the events at these positions from all intact frames of unsealed files, and of those
/// that were set aside, in the order of the files. A position may occur twice.
pub(super) fn events(
    directory: &Path,
    store_id: Uuid,
    positions: &RangeInclusive<u64>,
    on_event: &mut dyn FnMut(&RecordedEvent) -> Result<(), Error>,
) -> Result<(), Error> {
    if !directory.is_dir() {
        return Ok(());
    }
    let checksum = Checksum::of_store(store_id);
    for path in unsealed(directory)? {
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|source| Error::io("open", &path, source))?;
        if metadata.is_file() {
            let end = metadata.len().min(journal::CAPACITY_MAX);
            let raw = RawFile { path, file: Arc::new(file), end };
            of_file(&raw, &checksum, positions, on_event)?;
        }
    }
    Ok(())
}

fn of_file(
    raw: &RawFile,
    checksum: &Checksum,
    positions: &RangeInclusive<u64>,
    on_event: &mut dyn FnMut(&RecordedEvent) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut at = FIRST_FRAME_OFFSET;
    let (mut window, mut start) = (Vec::new(), at);
    while at + (HEADER_BYTES as u64) <= raw.end {
        let mut header = header_in(&window, at - start);
        if header.is_none() {
            start = at;
            window.resize(usize::try_from(raw.end - at).unwrap_or(WINDOW).min(WINDOW), 0);
            raw.read_at(start, &mut window)?;
            header = header_in(&window, 0);
        }
        let found = header.and_then(|header| FrameHeader::decode(header, checksum));
        let payload = match found {
            Some(found) => intact_payload(raw, checksum, at, &found)?,
            None => None,
        };
        let (Some(found), Some(payload)) = (found, payload) else {
            at += HEADER_BYTES as u64;
            continue;
        };
        at += found.frame_bytes();
        let is_before = found.last_position() < *positions.start();
        let is_after = found.first_position > *positions.end();
        if found.kind != FrameKind::Events || is_before || is_after {
            continue;
        }
        for item in frame::items(&payload).unwrap_or_default() {
            let content = payload.get(item.range).unwrap_or_default();
            if item.kind == ItemKind::Record
                && let Ok(page) = Page::of_record(Arc::from(content))
            {
                for event in page.events().filter(|event| positions.contains(&event.position())) {
                    on_event(&event)?;
                }
            }
        }
    }
    Ok(())
}

/// The unsealed files in order, each before the files set aside under its name.
fn unsealed(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::io("read the directory", directory, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = files::name_before_damage(&name);
        if let Some(stem) = name.strip_suffix(".journal") {
            found.extend(FileKey::parse(stem).map(|key| (key, path.clone())));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The bytes where a header may be, if they are completely in the window.
fn header_in(window: &[u8], offset: u64) -> Option<&[u8; HEADER_BYTES]> {
    window.get(usize::try_from(offset).ok()?..)?.first_chunk()
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
