//! The bytes of a file, cheap to copy, to change in part and to compare.
//!
//! Method: pages behind reference counts, each with its digest; pages of zeros are left out,
//! because preallocated journals and sled's segments are mostly that.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use crate::plan::{digest, mix};

const PAGE: u64 = 4096;
type Page = Arc<(u64, Vec<u8>)>;

/// The bytes of a file. Pages that are not there are zeros.
#[derive(Clone, Default)]
pub struct Image {
    pub size: u64,
    pages: BTreeMap<u64, Page>,
}

impl Image {
    pub fn load(path: &Path) -> io::Result<Image> {
        let bytes = fs::read(path)?;
        let mut image = Image::default();
        for (index, chunk) in bytes.chunks(PAGE as usize).enumerate() {
            if chunk.iter().any(|byte| *byte != 0) {
                image.write(index as u64 * PAGE, chunk);
            }
        }
        image.size = bytes.len() as u64;
        Ok(image)
    }

    pub fn save(&self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        file.set_len(self.size)?;
        for (index, page) in &self.pages {
            let start = index * PAGE;
            let len = self.size.saturating_sub(start).min(PAGE);
            file.write_all_at(&page.1[..len as usize], start)?;
        }
        Ok(())
    }

    pub fn digest(&self) -> u64 {
        let zero = mix(0);
        let pages = self.pages.iter().filter(|(_, page)| page.1.iter().any(|byte| *byte != 0));
        pages.fold(mix(self.size) ^ zero, |sum, (index, page)| mix(sum ^ mix(*index) ^ page.0))
    }

    /// Changes the bytes of one page.
    fn change(&mut self, index: u64, change: impl FnOnce(&mut [u8])) {
        let old = self.pages.get(&index);
        let mut bytes = old.map_or_else(|| vec![0; PAGE as usize], |page| page.1.clone());
        change(&mut bytes);
        self.pages.insert(index, Arc::new((digest(0, &bytes), bytes)));
    }

    pub fn write(&mut self, offset: u64, data: &[u8]) {
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let within = (at % PAGE) as usize;
            let len = (PAGE as usize - within).min(data.len() - done);
            let part = &data[done..done + len];
            self.change(at / PAGE, |page| page[within..within + len].copy_from_slice(part));
            done += len;
        }
        self.size = self.size.max(offset + data.len() as u64);
    }

    pub fn write_zeros(&mut self, offset: u64, len: u64) {
        let end = offset + len;
        let touched: Vec<u64> =
            self.pages.range(offset / PAGE..end.div_ceil(PAGE)).map(|(index, _)| *index).collect();
        for index in touched {
            let start = index * PAGE;
            if offset <= start && start + PAGE <= end {
                self.pages.remove(&index);
            } else {
                let from = (offset.max(start) - start) as usize;
                let to = (end.min(start + PAGE) - start) as usize;
                self.change(index, |page| page[from..to].fill(0));
            }
        }
        self.size = self.size.max(end);
    }

    pub fn resize(&mut self, size: u64) {
        if size < self.size {
            self.write_zeros(size, self.size - size);
        }
        self.size = size;
    }
}
