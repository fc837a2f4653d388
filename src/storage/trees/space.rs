//! Frees the space that sled fills with zeros.
//!
//! sled zeroes a whole segment (8 MiB) before it logs into it and when it frees it, so a small
//! store would take that much space. A hole also reads as zeros, so blocks of zeros can be punched
//! out of the file, provided that nothing is written meanwhile.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};

/// Blocks of this size are freed.
const BLOCK_BYTES: usize = 4 << 10;

/// How many bytes are examined at a time.
const LOOK_BYTES: usize = 1 << 20;

/// Only this much of a large file is examined, at its end: sled logs and zeroes there.
const LOOKED_AT_MAX: u64 = 64 << 20;

/// Punches the blocks that hold only zeros out of sled's data file, once sled is closed. A file
/// system without holes is not an error.
pub(super) fn punch_zeros(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut at = file.metadata()?.len().saturating_sub(LOOKED_AT_MAX);
    let mut buffer = vec![0; LOOK_BYTES];
    while let Some(data) = next_data(&file, at)? {
        at = data / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
        let read = read_up_to(&file, &mut buffer, at)?;
        let blocks = buffer.get(..read).unwrap_or_default().chunks_exact(BLOCK_BYTES);
        if blocks.len() == 0 {
            return Ok(());
        }
        // Consecutive zero blocks are punched together.
        let mut zeros_from = None;
        for block in blocks {
            match (block.iter().all(|&byte| byte == 0), zeros_from) {
                (true, None) => zeros_from = Some(at),
                (false, Some(from)) => {
                    punch(&file, from, at)?;
                    zeros_from = None;
                }
                _ => {}
            }
            at += BLOCK_BYTES as u64;
        }
        if let Some(from) = zeros_from {
            punch(&file, from, at)?;
        }
    }
    Ok(())
}

/// The offset of the next data, as opposed to a hole, from `at` on.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + done as u64)? {
            0 => break,
            read => done += read,
        }
    }
    Ok(done)
}

fn punch(file: &File, from: u64, until: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match fallocate(file, flags, from, until - from) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
