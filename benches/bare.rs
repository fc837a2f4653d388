//! A bare file: what an append costs at least.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
};

/// A file that grows by each append.
pub(crate) struct BareFile(File);

impl BareFile {
    pub(crate) fn create(path: &Path) -> BareFile {
        BareFile(OpenOptions::new().create(true).append(true).open(path).unwrap())
    }

    pub(crate) fn append_and_sync(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
        self.0.sync_data().unwrap();
    }
}
