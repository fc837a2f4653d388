//! Cutting off the log during a repair: everything after some frame is set aside.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

use crate::{
    Error,
    codec::frame::FIRST_FRAME_OFFSET,
    storage::{
        home::files,
        journal::{
            file::{FileKey, OpenFile},
            raw::RawFile,
            write::{Active, Identity},
        },
    },
};

/// Where the log was cut off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut {
    /// The last position that remains.
    pub(crate) position: u64,
    pub(crate) reason: String,
    /// The new paths of the files that were set aside.
    pub(crate) set_aside: Vec<PathBuf>,
}

/// A cut, and the file for new frames.
pub(super) struct Made {
    pub(super) cut: Cut,
    pub(super) active: Option<Active>,
}

/// Sets `files` aside, and keeps a copy of the frames of the first one that are before an offset.
pub(super) fn make(
    identity: &Identity,
    files: &[FileKey],
    (first, offset): (Option<OpenFile>, u64),
    reason: String,
) -> Result<Made, Error> {
    let kept = first.filter(|_| offset > FIRST_FRAME_OFFSET);
    let kept = kept.map(|open| copy_start(&open, offset).map(|copy| (open, copy))).transpose()?;
    let mut set_aside = Vec::new();
    // From the end, so that a cut that is killed can be repeated: until the last step, the damage
    // stays in place, with everything before it.
    for (index, key) in files.iter().enumerate().rev() {
        let path = key.active_path(&identity.directory);
        set_aside.push(match kept.is_some() && index == 0 {
            true => files::keep_aside(&path)?,
            false => files::set_aside(&path)?,
        });
    }
    set_aside.reverse();
    let active = match kept {
        None => None,
        Some((OpenFile { key, header, raw: RawFile { path, .. } }, (unfinished, file))) => {
            fs::rename(&unfinished, &path)
                .map_err(|source| Error::io("rename to", &path, source))?;
            files::sync_directory(&identity.directory)?;
            Some(Active {
                key,
                path,
                file: Arc::new(file),
                capacity: header.capacity,
                allocated: header.capacity,
                first_frame: header.first_frame,
                prev_checksum: header.prev_checksum,
                offset,
            })
        }
    };
    Ok(Made { cut: Cut { position: 0, reason, set_aside }, active })
}

/// Copies the start of a file to an unfinished file of the same capacity, durably.
fn copy_start(open: &OpenFile, end: u64) -> Result<(PathBuf, File), Error> {
    const STEP: u64 = 1 << 20;
    let path = open.raw.path.with_extension(files::UNFINISHED);
    let copied = files::create_truncated(&path).and_then(|file| {
        let mut at = 0;
        while at < end {
            let mut buffer = vec![0; usize::try_from((end - at).min(STEP)).unwrap_or(0)];
            open.raw.file.read_exact_at(&mut buffer, at)?;
            file.write_all_at(&buffer, at)?;
            at += buffer.len() as u64;
        }
        files::write_zeros(&file, end..open.header.capacity, |_| Ok(()))?;
        file.sync_all()?;
        Ok::<File, io::Error>(file)
    });
    match copied {
        Ok(file) => Ok((path, file)),
        Err(source) => {
            let _ = fs::remove_file(&path);
            Err(Error::io("copy to", &path, source))
        }
    }
}
