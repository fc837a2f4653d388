//! What a process holds: allocated memory, resident memory, descriptors, threads.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs, io,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
};

/// Counts the bytes that are allocated, so that a leak shows at once: resident memory alone hides a
/// small one in what the allocator keeps.
struct Counting;

static ALLOCATED: AtomicI64 = AtomicI64::new(0);

fn count(bytes: usize, sign: i64) {
    ALLOCATED.fetch_add(sign * i64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "an allocator is unsafe to implement")]
// SAFETY: every call goes to the system's allocator with the arguments of the caller, who keeps its
// contract; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: see above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: see above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: see above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: see above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the process holds at one moment, and what a store took on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    /// KiB that are allocated.
    pub heap: i64,
    /// KiB in memory.
    pub resident: i64,
    pub descriptors: i64,
    pub threads: i64,
    /// Bytes of files per event.
    pub disk: i64,
}

impl Level {
    pub fn now(disk: i64) -> Level {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| -> i64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Level {
            heap: ALLOCATED.load(Ordering::Relaxed) >> 10,
            resident: field("VmRSS:"),
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count() as i64,
            threads: field("Threads:"),
            disk,
        }
    }
}

/// The sizes of all files below a directory.
pub fn size_of(directory: &Path) -> io::Result<u64> {
    fs::read_dir(directory)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let metadata = entry.metadata()?;
        Ok(sum + if metadata.is_dir() { size_of(&entry.path())? } else { metadata.len() })
    })
}
