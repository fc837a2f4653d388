//! Detects a forked child of the process that opened a store.
//!
//! Asking the system for the process id costs as much as reading an event. Instead, a page of
//! memory holds a mark that the kernel replaces with zeros in a child (`madvise` with
//! `MADV_WIPEONFORK`). Where the kernel cannot do that, the process id is compared.

use std::{
    process,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

const SAME_PROCESS: u32 = 0x414E_4E41;

/// Identifies the process that opened a store.
#[derive(Debug)]
pub(in crate::ffi) struct ForkMark {
    process: u32,
    page: Option<NonNull<AtomicU32>>,
}

// SAFETY: the page holds an atomic and lives as long as its `ForkMark`.
unsafe impl Send for ForkMark {}
// SAFETY: as above.
unsafe impl Sync for ForkMark {}

impl ForkMark {
    pub(in crate::ffi) fn new() -> ForkMark {
        let page = page::map();
        if let Some(page) = page {
            // SAFETY: the page is mapped, zeroed and aligned; only the drop unmaps it.
            unsafe { page.as_ref() }.store(SAME_PROCESS, Ordering::Relaxed);
        }
        ForkMark { process: process::id(), page }
    }

    #[cfg(test)]
    pub(in crate::ffi) fn of_another_process() -> ForkMark {
        ForkMark { process: 0, page: None }
    }

    /// Whether this process is a forked child of the one that created the mark.
    pub(in crate::ffi) fn is_forked(&self) -> bool {
        // SAFETY: as above.
        let mark = self.page.map(|page| unsafe { page.as_ref() }.load(Ordering::Relaxed));
        mark != Some(SAME_PROCESS) && process::id() != self.process
    }
}

impl Drop for ForkMark {
    fn drop(&mut self) {
        if let Some(page) = self.page {
            page::unmap(page);
        }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod page {
    use std::{
        ptr::{self, NonNull},
        sync::atomic::AtomicU32,
    };

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

    /// Enough for any kernel: a mapping is rounded up to whole pages.
    const BYTES: usize = 4096;

    /// A page of zeros that is zeroed again in a forked child.
    pub(super) fn map() -> Option<NonNull<AtomicU32>> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let page = unsafe { mmap_anonymous(ptr::null_mut(), BYTES, protection, flags) }.ok()?;
        let page = NonNull::new(page.cast::<AtomicU32>())?;
        // SAFETY: the page is ours, and zeroing it in a child is intended.
        let advised = unsafe { madvise(page.as_ptr().cast(), BYTES, Advice::LinuxWipeOnFork) };
        if advised.is_err() {
            unmap(page);
            return None;
        }
        Some(page)
    }

    pub(super) fn unmap(page: NonNull<AtomicU32>) {
        // SAFETY: `map` mapped the page with this length, and it is no longer used. If unmapping
        // fails, one page stays mapped, which is harmless.
        let _ = unsafe { munmap(page.as_ptr().cast(), BYTES) };
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod page {
    use std::{ptr::NonNull, sync::atomic::AtomicU32};

    pub(super) fn map() -> Option<NonNull<AtomicU32>> {
        None
    }

    pub(super) fn unmap(_: NonNull<AtomicU32>) {}
}
