//! Reads the frames of an unsealed file from the file itself.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{Error, storage::journal::bytes::FrameBytes};

/// An active or full file, or the part of it that may be read.
#[derive(Clone, Debug)]
pub(crate) struct RawFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    pub(crate) end: u64,
}

impl FrameBytes for RawFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn end(&self) -> u64 {
        self.end
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.end) {
            let place = self.path.display().to_string();
            return Err(Error::corrupted(place, None, "it ends inside a frame"));
        }
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                // Since the length was taken, a close has cut the file after its last frame: the
                // rest was only zeros.
                Ok(0) => {
                    rest.fill(0);
                    return Ok(());
                }
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::stored("read", &self.path, source)),
            }
        }
        Ok(())
    }
}
