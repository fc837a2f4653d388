//! Checks before sled may open its files. sled's own recovery would destroy the evidence: it treats
//! a log whose end it cannot find as empty and zeroes it.
//!
//! The layout read here is that of sled 0.34.7: `conf` is text followed by its CRC-32; `db` is a
//! sequence of segments, each starting with a CRC-32, its log sequence number and the highest
//! stable one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use crate::{Error, storage::files};

/// An upper bound for the size of sled's configuration.
const CONF_BYTES_MAX: u64 = 64 << 10;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

const SEGMENT_HEADER_BYTES: usize = 20;
/// Both sequence numbers are stored XORed with this.
const LSN_MASK: i64 = i64::MAX;

/// Checks sled's files, removes remains of an earlier open that was killed, makes durable what sled
/// is about to read, and returns the size of a segment.
pub(super) fn check(directory: &Path) -> Result<usize, Error> {
    let segment_bytes = read_conf(&directory.join("conf"))?;
    refuse_blobs(&directory.join("blobs"))?;
    remove_unfinished_snapshots(directory)?;
    let data = directory.join("db");
    let file = File::open(&data).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => damaged(&data, "it is missing"),
        _ => Error::stored("open", &data, source),
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(damaged(&data, "it is a directory, not a file"));
    }
    // sled writes a snapshot of what it reads, which must not become durable before its source.
    file.sync_data().map_err(|source| Error::io("sync", &data, source))?;
    let snapshot = newest_snapshot(directory)?;
    read_snapshot(directory, snapshot)?;
    let segments = check_segments(&file, &data, segment_bytes, snapshot)?;
    read_ahead(&file, &data, segment_bytes, &segments, snapshot)?;
    Ok(segment_bytes)
}

/// About how many bytes of its log sled would read during an open: the segments that its newest
/// snapshot does not cover.
pub(super) fn unread_bytes(directory: &Path) -> Result<u64, Error> {
    let segment_bytes = read_conf(&directory.join("conf"))?;
    let data = directory.join("db");
    let file = File::open(&data).map_err(|source| Error::io("open", &data, source))?;
    let snapshot = newest_snapshot(directory)?;
    let segments = check_segments(&file, &data, segment_bytes, snapshot)?;
    Ok(segments.range(snapshot..).count() as u64 * segment_bytes as u64)
}

fn damaged(path: &Path, reason: impl Into<String>) -> Error {
    Error::corrupted(path.display().to_string(), None, reason)
}

fn read_conf(path: &Path) -> Result<usize, Error> {
    let bytes = files::read_bounded(path, CONF_BYTES_MAX);
    let bytes = bytes.map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => damaged(path, "it is missing"),
        _ => Error::stored("read", path, source),
    })?;
    let (text, sum) = bytes
        .split_last_chunk::<4>()
        .filter(|(text, sum)| crc32fast::hash(text) == u32::from_le_bytes(**sum))
        .ok_or_else(|| damaged(path, "its checksum does not match"))?;
    debug_assert_eq!(sum.len(), 4);
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("segment_size: ")))
        .and_then(|size| size.parse().ok())
        .filter(|&size: &usize| size.is_power_of_two() && size > SEGMENT_HEADER_BYTES)
        .ok_or_else(|| damaged(path, "it has no segment size"))
}

fn refuse_blobs(path: &Path) -> Result<(), Error> {
    let mut entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::io("read the directory", path, source)),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(damaged(path, "it contains files, which annals never creates")),
    }
}

/// If a snapshot was being written when the process died, sled would take it for the newest one and
/// refuse it forever. The previous one still exists: sled removes it only after the rename.
fn remove_unfinished_snapshots(directory: &Path) -> Result<(), Error> {
    let failed = |source| Error::io("read the directory", directory, source);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
        }
    }
    Ok(())
}

/// The sequence number that sled's newest snapshot reaches, taken from its name.
fn newest_snapshot(directory: &Path) -> Result<i64, Error> {
    let failed = |source| Error::io("read the directory", directory, source);
    let mut newest = 0;
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix("snap."));
        let lsn = digits.and_then(|digits| i64::from_str_radix(digits, 16).ok());
        newest = newest.max(lsn.unwrap_or(0));
    }
    Ok(newest)
}

/// Reads a snapshot completely, so that an I/O error is reported as such: sled would treat it as
/// damage.
fn read_snapshot(directory: &Path, lsn: i64) -> Result<(), Error> {
    let path = directory.join(format!("snap.{lsn:016X}"));
    match File::open(&path).and_then(|mut file| io::copy(&mut file, &mut io::sink())) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::stored("read", &path, error))
        }
        _ => Ok(()),
    }
}

/// Reads what sled's recovery is about to read: the segments that its snapshot does not cover. If
/// the disk failed to deliver one, sled would treat it as torn, end its log there, and overwrite
/// it.
fn read_ahead(
    file: &File,
    path: &Path,
    segment_bytes: usize,
    segments: &BTreeMap<i64, u64>,
    snapshot: i64,
) -> Result<(), Error> {
    let size = i64::try_from(segment_bytes).unwrap_or(i64::MAX);
    let first = snapshot.saturating_sub(size);
    let mut buffer = vec![0; segment_bytes.min(READ_BYTES)];
    for &offset in segments.range(first..).map(|(_, offset)| offset) {
        let mut done = 0;
        while done < segment_bytes {
            let read = file.read_at(&mut buffer, offset + done as u64);
            match read.map_err(|source| Error::io("read", path, source))? {
                0 => break,
                read => done += read,
            }
        }
    }
    Ok(())
}

/// The offset of each segment by its sequence number. The segment with the highest stable sequence
/// number must exist, and no sequence number may occur twice.
fn check_segments(
    file: &File,
    path: &Path,
    segment_bytes: usize,
    snapshot: i64,
) -> Result<BTreeMap<i64, u64>, Error> {
    let failed = |source| Error::io("read", path, source);
    let len = file.metadata().map_err(failed)?.len();
    let segment = segment_bytes as u64;
    let mut present = BTreeMap::new();
    let mut highest_stable = None;
    let mut offset = 0;
    while offset + SEGMENT_HEADER_BYTES as u64 <= len {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        file.read_exact_at(&mut header, offset).map_err(failed)?;
        if let Some((lsn, stable)) = parse_segment_header(&header) {
            if present.insert(lsn, offset).is_some() {
                return Err(damaged(path, format!("segment {lsn} occurs twice")));
            }
            highest_stable = highest_stable.max(Some(stable));
        }
        offset += segment;
    }
    if let Some(stable) = highest_stable.filter(|&stable| stable > 0) {
        let size = i64::try_from(segment_bytes).unwrap_or(i64::MAX);
        let base = stable / size * size;
        // sled may free a segment that its snapshot covers.
        if base.saturating_add(size) > snapshot && !present.contains_key(&base) {
            return Err(damaged(path, format!("segment {base} of its log is missing")));
        }
    }
    if present.is_empty() && len > 0 {
        return Err(damaged(path, "it has no intact segment"));
    }
    Ok(present)
}

/// The sequence number of a segment and the highest stable one, if the header is intact.
fn parse_segment_header(header: &[u8; SEGMENT_HEADER_BYTES]) -> Option<(i64, i64)> {
    let (sum, covered) = header.split_first_chunk::<4>()?;
    let (lsn, stable) = covered.split_first_chunk::<8>()?;
    let stable = stable.first_chunk::<8>()?;
    if !u32::from_le_bytes(*sum) != crc32fast::hash(covered) {
        return None;
    }
    let unmask = |bytes: &[u8; 8]| i64::from_le_bytes(*bytes) ^ LSN_MASK;
    Some((unmask(lsn), unmask(stable)))
}
