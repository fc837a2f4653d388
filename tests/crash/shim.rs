//! Building, steering and reading the library that stands between a child and its files.
//!
//! Method: `shim.c` is compiled at run time with the system's C compiler and preloaded into
//! children only. An [`Injection`] says what it does there; [`read_log`] gives back what it
//! recorded. `kernel.c` is preloaded instead of it where an [`Injection`] has a [`Kernel`].

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

pub const EIO: i32 = 5;
pub const ENOSPC: i32 = 28;
pub const EINTR: i32 = 4;
/// Stands for a write that does only its first half.
pub const SHORT: i32 = 0;

/// The libraries, by the names of their files.
pub const SHIM: (&str, &str) = ("shim", include_str!("shim.c"));
pub const KERNEL: (&str, &str) = ("kernel", include_str!("kernel.c"));

/// Compiles a library into `dir`; `None` when there is no C compiler.
pub fn build(dir: &Path, (name, text): (&str, &str)) -> io::Result<Option<PathBuf>> {
    let source = dir.join(name).with_extension("c");
    std::fs::write(&source, text)?;
    let library = source.with_extension("so");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .args(["-lpthread", "-ldl"]);
    match compiler.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(Some(library)),
        Ok(output) => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the library does in one child.
#[derive(Clone, Debug, Default)]
pub struct Injection {
    pub library: PathBuf,
    /// The directory that is watched.
    pub base: PathBuf,
    pub marks: PathBuf,
    pub log: Option<PathBuf>,
    pub count: Option<PathBuf>,
    pub kinds: Option<&'static str>,
    pub only: Option<&'static str>,
    pub kill: u64,
    pub prefix: u64,
    pub fail: u64,
    pub errno: i32,
    pub is_sticky: bool,
    /// A file, and the byte of it that cannot be read.
    pub bad: Option<(PathBuf, u64)>,
    /// The library is that of `kernel.c`, and does this.
    pub kernel: Option<Kernel>,
}

/// What the library of `kernel.c` does; its head says what the fields mean.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    pub path: &'static str,
    pub durable: Option<PathBuf>,
    pub lose: u64,
    pub delay: u64,
    pub jump: u64,
    pub no_clock: u64,
}

impl Kernel {
    fn apply(&self, command: &mut Command) {
        command.env("ANNALS_KERNEL_PATH", self.path);
        self.durable.as_ref().map(|durable| command.env("ANNALS_KERNEL_DURABLE", durable));
        let numbers = [
            ("LOSE", self.lose),
            ("DELAY", self.delay),
            ("JUMP", self.jump),
            ("NO_CLOCK", self.no_clock),
        ];
        for (name, number) in numbers {
            command.env(format!("ANNALS_KERNEL_{name}"), number.to_string());
        }
    }
}

impl Injection {
    pub fn apply(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("ANNALS_SHIM_DIR", &self.base).env("ANNALS_SHIM_MARKS", &self.marks);
        let paths = [("ANNALS_SHIM_LOG", &self.log), ("ANNALS_SHIM_COUNT", &self.count)];
        for (name, path) in paths {
            path.as_ref().map(|path| command.env(name, path));
        }
        self.kinds.map(|kinds| command.env("ANNALS_SHIM_KINDS", kinds));
        self.only.map(|only| command.env("ANNALS_SHIM_PATH", only));
        if self.kill > 0 {
            command.env("ANNALS_SHIM_KILL", self.kill.to_string());
            command.env("ANNALS_SHIM_PREFIX", self.prefix.to_string());
        }
        if self.fail > 0 {
            command.env("ANNALS_SHIM_FAIL", self.fail.to_string());
            command.env("ANNALS_SHIM_ERRNO", self.errno.to_string());
            command.env("ANNALS_SHIM_STICKY", if self.is_sticky { "1" } else { "0" });
        }
        if let Some(kernel) = &self.kernel {
            command.env("ANNALS_KERNEL_MARKS", &self.marks);
            kernel.apply(command);
        }
        if let Some((path, offset)) = &self.bad {
            command.env("ANNALS_SHIM_BAD", path).env("ANNALS_SHIM_BAD_AT", offset.to_string());
        }
    }

    /// The number of calls that the child made; 0 if it did not end by itself.
    pub fn calls(&self) -> u64 {
        let text = self.count.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    }
}

/// A call that was recorded. The numbers are those of `enum` in `shim.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Create,
    Write,
    Resize,
    Allocate,
    Sync,
    Rename,
    Link,
    Unlink,
    MakeDir,
    RemoveDir,
    Mark,
    FailedSync,
}

const CALLS: [Call; 12] = [
    Call::Create,
    Call::Write,
    Call::Resize,
    Call::Allocate,
    Call::Sync,
    Call::Rename,
    Call::Link,
    Call::Unlink,
    Call::MakeDir,
    Call::RemoveDir,
    Call::Mark,
    Call::FailedSync,
];

/// Part of a log, without copying it.
#[derive(Clone, Debug)]
pub struct Bytes {
    whole: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Bytes {
    pub fn get(&self) -> &[u8] {
        &self.whole[self.range.clone()]
    }
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub call: Call,
    pub is_dir: bool,
    /// The mode of an allocation, the flags of a rename.
    pub mode: u32,
    /// The inode.
    pub file: u64,
    pub offset: u64,
    pub length: u64,
    /// The file's size after the call.
    pub size: u64,
    /// Below the watched directory, without a leading slash; that directory itself is "".
    pub path: String,
    pub other: String,
    /// `None` for a write of zeros.
    pub data: Option<Bytes>,
}

/// Reads a log; an entry that the child's death has cut off is left out.
pub fn read_log(path: &Path) -> io::Result<Vec<Entry>> {
    let whole = Arc::new(std::fs::read(path)?);
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some((entry, next)) = read_entry(&whole, at) {
        entries.push(entry);
        at = next;
    }
    Ok(entries)
}

fn read_entry(whole: &Arc<Vec<u8>>, start: usize) -> Option<(Entry, usize)> {
    let mut at = start;
    let mut take = |len: usize| {
        let range = at..at.checked_add(len)?;
        at = range.end;
        whole.get(range.clone()).map(|_| range)
    };
    let mut number = |len: usize| {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(&whole[take(len)?]);
        Some(u64::from_le_bytes(bytes))
    };
    let (kind, flags) = (number(4)?, number(4)? as u32);
    let (file, offset, length, size) = (number(8)?, number(8)?, number(8)?, number(8)?);
    let (path_len, other_len, data_len) = (number(4)?, number(4)?, number(8)?);
    let mut text = |len: u64| {
        let text = String::from_utf8_lossy(&whole[take(len as usize)?]).into_owned();
        Some(text.trim_start_matches('/').to_owned())
    };
    let (path, other) = (text(path_len)?, text(other_len)?);
    let range = take(data_len as usize)?;
    let data = (data_len > 0).then(|| Bytes { whole: Arc::clone(whole), range });
    let call = *CALLS.get((kind as usize).checked_sub(1)?)?;
    let (is_dir, mode) = (flags & 2 != 0, flags >> 8);
    Some((Entry { call, is_dir, mode, file, offset, length, size, path, other, data }, at))
}
