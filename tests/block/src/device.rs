//! The disk: a file system with one file, in memory, which a loop device makes a block device. It
//! records what is written and flushed.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, UNIX_EPOCH},
};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};

const NAME: &str = "disk";
const FILE: INodeNo = INodeNo(2);
/// Nothing may be cached: the bytes are exchanged under the file system.
const TTL: Duration = Duration::ZERO;

/// What was done to the disk.
#[derive(Clone, Debug)]
pub enum Op {
    Write {
        offset: u64,
        data: Vec<u8>,
    },
    /// Everything written before survives a power cut.
    Flush,
}

/// An operation, and how much was marked when it came.
#[derive(Clone, Debug)]
pub struct Entry {
    pub op: Op,
    pub marks: u64,
}

/// The bytes, and what was done to them since the recording began.
#[derive(Debug, Default)]
pub struct Disk {
    pub bytes: Vec<u8>,
    pub log: Vec<Entry>,
    /// Whose length is noted with each operation, while it is recorded.
    pub marks: Option<PathBuf>,
}

impl Disk {
    fn note(&mut self, op: Op) {
        if let Some(path) = &self.marks {
            let marks = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            self.log.push(Entry { op, marks });
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> bool {
        let start = offset as usize;
        let Some(place) = self.bytes.get_mut(start..start + data.len()) else { return false };
        place.copy_from_slice(data);
        self.note(Op::Write { offset, data: data.to_vec() });
        true
    }
}

/// The served file. It goes when this is dropped.
pub struct Device {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
    _session: BackgroundSession,
}

impl Device {
    /// Serves a disk of so many bytes below an empty directory.
    pub fn serve(directory: &Path, bytes: usize) -> io::Result<Device> {
        let disk = Arc::new(Mutex::new(Disk { bytes: vec![0; bytes], ..Disk::default() }));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("annals-block".to_owned())];
        let served = Served { disk: Arc::clone(&disk) };
        let session = fuser::spawn_mount(served, directory, &config)?;
        Ok(Device { disk, path: directory.join(NAME), _session: session })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("nothing panics with the disk")
    }
}

struct Served {
    disk: Arc<Mutex<Disk>>,
}

impl Served {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("nothing panics with the disk")
    }

    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let is_file = inode == FILE;
        let size = if is_file { self.disk().bytes.len() as u64 } else { 0 };
        FileAttr {
            ino: inode,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_file { FileType::RegularFile } else { FileType::Directory },
            perm: if is_file { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == NAME {
            true => reply.entry(&TTL, &self.attributes(FILE), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(inode));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let disk = self.disk();
        let start = (offset as usize).min(disk.bytes.len());
        let end = (start + size as usize).min(disk.bytes.len());
        reply.data(&disk.bytes[start..end]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.disk().write(offset, data) {
            true => reply.written(data.len() as u32),
            false => reply.error(Errno::EIO),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // A close of the file: a disk knows nothing of that.
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.disk().note(Op::Flush);
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        // So that zeros come as writes.
        reply.error(Errno::EOPNOTSUPP);
    }
}
