//! Opaque objects: what they are, who uses them, and who owns them.
//!
//! A handle begins with a word that names its kind, so that a pointer to something else is refused.
//! (For one that was freed that is luck: the memory may be anything by then.) Next comes its gate:
//! any number of calls that share it, or one that has it alone. Whoever finds it taken gets
//! `ANNALS_E_BUSY` at once, so that two calls never alias its state. A handle that is freed under
//! a call, by a callback of that very call, is doomed: it takes no more calls, and the end of the
//! last one frees it.

use std::{
    alloc::{Layout, alloc},
    cell::UnsafeCell,
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use crate::ffi::status::ANNALS_E_BUSY;
use crate::{
    EventStore,
    ffi::glue::{
        fault::{Details, Fault},
        fork::ForkMark,
    },
};

/// What a C type stands for.
pub(in crate::ffi) trait Opaque {
    /// What a pointer to it leads to.
    type State;
    /// A number of its own among all kinds.
    const KIND: u32;
    /// What it is called in messages.
    const NAME: &'static str;

    /// The store that it belongs to, if it does.
    fn store(state: &Self::State) -> Option<&SharedStore>;
}

/// What a store and everything made from it share. The store lives until the last of them is freed.
#[derive(Debug)]
pub(in crate::ffi) struct SharedStore {
    pub(in crate::ffi) events: EventStore,
    fork: ForkMark,
    has_panicked: AtomicBool,
    /// Callbacks that run at the moment, whatever call they run in.
    callbacks: Arc<AtomicU32>,
}

/// While it lives, a callback runs.
pub(in crate::ffi) struct InCallback<'a>(&'a AtomicU32);

impl InCallback<'_> {
    /// Counts a callback that begins.
    pub(in crate::ffi) fn begin(callbacks: &AtomicU32) -> InCallback<'_> {
        callbacks.fetch_add(1, Ordering::AcqRel);
        InCallback(callbacks)
    }
}

impl Drop for InCallback<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl SharedStore {
    pub(in crate::ffi) fn new(events: EventStore) -> SharedStore {
        SharedStore::with_callbacks(events, Arc::default())
    }

    /// A store whose upcasters count in `callbacks` while they run.
    pub(in crate::ffi) fn with_callbacks(
        events: EventStore,
        callbacks: Arc<AtomicU32>,
    ) -> SharedStore {
        SharedStore {
            events,
            fork: ForkMark::new(),
            has_panicked: AtomicBool::new(false),
            callbacks,
        }
    }

    /// Notes that a callback begins.
    pub(in crate::ffi) fn in_callback(&self) -> InCallback<'_> {
        InCallback::begin(&self.callbacks)
    }

    /// Refuses what must not happen while a callback runs.
    pub(in crate::ffi) fn check_no_callback(&self) -> Result<(), Fault> {
        match self.callbacks.load(Ordering::Acquire) {
            0 => Ok(()),
            _ => Err(Details::new(ANNALS_E_BUSY, "a callback of the store is running")),
        }
    }

    pub(in crate::ffi) fn check_not_forked(&self) -> Result<(), Fault> {
        if self.fork.is_forked() { Err(Details::forked()) } else { Ok(()) }
    }

    /// After a panic nobody knows what state the objects of the store are in.
    pub(in crate::ffi) fn check_no_panic(&self) -> Result<(), Fault> {
        if self.has_panicked.load(Ordering::Acquire) {
            Err(Details::has_panicked())
        } else {
            Ok(())
        }
    }
}

const MAGIC: u32 = 0xA22A_1500;
const FREED: u32 = 0xDEAD_A22A;

/// The bit of the gate that says that a call has the handle alone; the others count the calls that
/// share it.
const ALONE: u32 = 1 << 31;

/// The bit of the gate that says that the handle is freed by whoever leaves it last.
const DOOMED: u32 = 1 << 30;

/// The bit of the gate that says that the handle is lent to a callback, which cannot free it.
const LENT: u32 = 1 << 29;

#[repr(C)]
struct Head {
    word: AtomicU32,
    gate: AtomicU32,
    has_panicked: AtomicBool,
}

#[repr(C)]
struct Handle<S> {
    head: Head,
    state: UnsafeCell<S>,
}

/// Makes a handle, which the caller frees by [`take`].
pub(in crate::ffi) fn make<H: Opaque>(state: H::State) -> Result<*mut H, Fault> {
    let layout = Layout::new::<Handle<H::State>>();
    // SAFETY: the layout has a size, because a handle has a head.
    let place =
        NonNull::new(unsafe { alloc(layout) }).ok_or_else(|| Details::no_memory(H::NAME))?;
    let place = place.cast::<Handle<H::State>>();
    let word = AtomicU32::new(MAGIC | H::KIND);
    let head = Head { word, gate: AtomicU32::new(0), has_panicked: AtomicBool::new(false) };
    // SAFETY: the memory is new, and has the size and alignment of a handle.
    unsafe { place.write(Handle { head, state: UnsafeCell::new(state) }) };
    Ok(place.as_ptr().cast())
}

/// Finds what a pointer from C leads to.
///
/// # Safety
/// `pointer` is NULL, or points to memory that can be read as a `Head` is.
unsafe fn find<'a, H: Opaque>(pointer: *const H) -> Result<&'a Handle<H::State>, Fault> {
    let pointer = pointer.cast::<Handle<H::State>>();
    if pointer.is_null() {
        return Err(Details::invalid(H::NAME, "it is NULL"));
    }
    let wrong = || Details::misuse(format_args!("the pointer does not lead to a {}", H::NAME));
    if !pointer.is_aligned() {
        return Err(wrong());
    }
    // SAFETY: the caller promises a readable head; the type of the state matters only after the
    // check of the word.
    let head = unsafe { &*pointer.cast::<Head>() };
    match head.word.load(Ordering::Relaxed) {
        // SAFETY: the word says that `make` wrote a handle of this kind here.
        word if word == MAGIC | H::KIND => Ok(unsafe { &*pointer }),
        FREED => Err(Details::misuse(format_args!("the {} was freed", H::NAME))),
        _ => Err(wrong()),
    }
}

/// A handle in use by a call that shares it with others.
pub(in crate::ffi) struct Shared<'a, H: Opaque> {
    handle: &'a Handle<H::State>,
    was_panicking: bool,
}

/// Begins the use of a handle that others may use at once.
///
/// # Safety
/// `handle` is NULL or a handle that is not freed before the use ends.
pub(in crate::ffi) unsafe fn shared<'a, H: Opaque>(
    handle: *const H,
) -> Result<Shared<'a, H>, Fault> {
    // SAFETY: the caller keeps the promise.
    let handle = unsafe { find(handle) }?;
    // One that is doomed is not counted even for a moment: only who really uses it may free it.
    let enter = |gate: u32| (gate & (ALONE | DOOMED) == 0).then(|| gate.wrapping_add(1));
    let gate = &handle.head.gate;
    if gate.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter).is_err() {
        return Err(Details::busy(H::NAME));
    }
    let used = Shared { handle, was_panicking: thread::panicking() };
    check_usable::<H>(handle, &used)?;
    Ok(used)
}

impl<H: Opaque> Deref for Shared<'_, H> {
    type Target = H::State;

    fn deref(&self) -> &H::State {
        // SAFETY: the gate keeps away whoever would change the state.
        unsafe { &*self.handle.state.get() }
    }
}

impl<H: Opaque> Drop for Shared<'_, H> {
    fn drop(&mut self) {
        mark_panic::<H>(self.handle, self.was_panicking, self);
        leave::<H>(self.handle, 1);
    }
}

/// Looks at the state of a handle without beginning a use, which may be refused.
///
/// # Safety
/// As for [`shared`], and nobody has the handle alone.
pub(in crate::ffi) unsafe fn peek<H: Opaque, T>(
    handle: *const H,
    look: impl FnOnce(&H::State) -> Result<T, Fault>,
) -> Result<T, Fault> {
    // SAFETY: the caller keeps the promise.
    let handle = unsafe { find(handle) }?;
    // SAFETY: the caller promises that nobody changes the state.
    look(unsafe { &*handle.state.get() })
}

/// A handle in use by one call alone.
pub(in crate::ffi) struct Exclusive<'a, H: Opaque> {
    handle: &'a Handle<H::State>,
    was_panicking: bool,
}

/// Begins the use of a handle that nobody else may use meanwhile.
///
/// # Safety
/// As for [`shared`].
pub(in crate::ffi) unsafe fn exclusive<'a, H: Opaque>(
    handle: *mut H,
) -> Result<Exclusive<'a, H>, Fault> {
    // SAFETY: the caller keeps the promise.
    let handle = unsafe { find(handle) }?;
    enter_alone::<H>(&handle.head)?;
    let used = Exclusive { handle, was_panicking: thread::panicking() };
    check_usable::<H>(handle, &used)?;
    Ok(used)
}

impl<H: Opaque> Deref for Exclusive<'_, H> {
    type Target = H::State;

    fn deref(&self) -> &H::State {
        // SAFETY: the gate keeps everybody else away.
        unsafe { &*self.handle.state.get() }
    }
}

impl<H: Opaque> DerefMut for Exclusive<'_, H> {
    fn deref_mut(&mut self) -> &mut H::State {
        // SAFETY: as above.
        unsafe { &mut *self.handle.state.get() }
    }
}

impl<H: Opaque> Drop for Exclusive<'_, H> {
    fn drop(&mut self) {
        mark_panic::<H>(self.handle, self.was_panicking, self);
        leave::<H>(self.handle, ALONE);
    }
}

/// Takes a handle back and frees its memory.
///
/// # Safety
/// As for [`shared`], and the handle is not used again unless this is refused.
pub(in crate::ffi) unsafe fn take<H: Opaque>(handle: *mut H) -> Result<H::State, Fault> {
    // SAFETY: the caller keeps the promise.
    let found = unsafe { find(handle) }?;
    enter_alone::<H>(&found.head)?;
    found.head.word.store(FREED, Ordering::Relaxed);
    // SAFETY: `make` allocated it as a box would, and nobody uses it or will.
    let owned = unsafe { Box::from_raw(handle.cast::<Handle<H::State>>()) };
    Ok(owned.state.into_inner())
}

/// Frees a handle. NULL is nothing to do, and what is no such handle is left alone. One that is in
/// use is freed when that ends.
///
/// # Safety
/// As for [`take`].
pub(in crate::ffi) unsafe fn free<H: Opaque>(handle: *mut H) {
    unharmed(|| {
        #[cfg(feature = "panic-injection")]
        super::panic_injection::at_entry();
        // SAFETY: the caller keeps the promise.
        let Ok(found) = (unsafe { find(handle) }) else { return };
        if found.head.gate.load(Ordering::Acquire) & LENT != 0 {
            return;
        }
        if found.head.gate.fetch_or(DOOMED, Ordering::AcqRel) == 0 {
            release::<H>(found);
        }
    });
}

/// Makes a handle that is lent while `with` runs, and freed after it.
pub(in crate::ffi) fn lend<H: Opaque, T>(
    state: H::State,
    with: impl FnOnce(*const H) -> T,
) -> Result<T, Fault> {
    let handle = make::<H>(state)?;
    // SAFETY: the handle was made just now, and while it is lent nobody frees it.
    let found = unsafe { find(handle.cast_const()) }?;
    found.head.gate.fetch_or(LENT, Ordering::AcqRel);
    let outcome = with(handle.cast_const());
    found.head.gate.fetch_and(!LENT, Ordering::AcqRel);
    // SAFETY: the loan is over, and nobody may use it any more.
    unsafe { free(handle) };
    Ok(outcome)
}

/// Ends a use, which counts `share` in the gate, and with the last one a doomed handle.
fn leave<H: Opaque>(handle: &Handle<H::State>, share: u32) {
    if handle.head.gate.fetch_sub(share, Ordering::AcqRel) == DOOMED | share {
        unharmed(|| release::<H>(handle));
    }
}

/// Frees a doomed handle that nobody uses.
fn release<H: Opaque>(handle: &Handle<H::State>) {
    handle.head.word.store(FREED, Ordering::Relaxed);
    let pointer = ptr::from_ref(handle).cast_mut();
    // SAFETY: `make` allocated it as a box would; it is doomed, so nobody begins to use it, and the
    // gate showed this thread alone that nobody does.
    drop(unsafe { Box::from_raw(pointer) });
}

/// Runs what frees memory, which may be foreign code. A leak harms less than a second panic.
fn unharmed(run: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
        std::mem::forget(payload);
    }
}

fn enter_alone<H: Opaque>(head: &Head) -> Result<(), Fault> {
    let entered = head.gate.compare_exchange(0, ALONE, Ordering::Acquire, Ordering::Relaxed);
    entered.map(drop).map_err(|_| Details::busy(H::NAME))
}

fn check_usable<H: Opaque>(handle: &Handle<H::State>, state: &H::State) -> Result<(), Fault> {
    let store = H::store(state);
    if let Some(store) = store {
        store.check_not_forked()?;
        store.check_no_panic()?;
    }
    if handle.head.has_panicked.load(Ordering::Acquire) {
        return Err(Details::has_panicked());
    }
    #[cfg(feature = "panic-injection")]
    super::panic_injection::in_use();
    Ok(())
}

/// A use that ends in a panic makes its handle unusable, and with it the store.
fn mark_panic<H: Opaque>(handle: &Handle<H::State>, was_panicking: bool, state: &H::State) {
    if thread::panicking() && !was_panicking {
        handle.head.has_panicked.store(true, Ordering::Release);
        if let Some(store) = H::store(state) {
            store.has_panicked.store(true, Ordering::Release);
        }
    }
}
