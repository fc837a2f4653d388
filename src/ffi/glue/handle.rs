//! Opaque objects: their kinds, their current users, and their ownership.
//!
//! A handle starts with a word that names its kind, so that a pointer to another object is
//! rejected. (For a freed handle this is not reliable, because its memory may hold anything by
//! then.) Next comes the gate: it counts the calls that share the handle, or gives one call
//! exclusive access. A call that finds the gate taken returns `ANNALS_E_BUSY` at once, so two calls
//! never alias the state. If a handle is freed during a call, by a callback of that call, it is
//! doomed: it accepts no more calls, and the end of its last call frees it.

use std::{
    alloc::{Layout, alloc},
    cell::UnsafeCell,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use crate::ffi::status::ANNALS_E_BUSY;
use crate::{
    Error, EventStore,
    ffi::glue::{
        callbacks::{Callbacks, InCallback},
        fault::{Details, Fault},
        fork::ForkMark,
    },
};

/// A C type of opaque objects.
pub(in crate::ffi) trait Opaque {
    /// What a pointer to the object points to. Every object may move between threads.
    type State: Send;
    /// A number that no other kind has.
    const KIND: u32;
    /// The name in messages.
    const NAME: &'static str;

    /// The store that the object belongs to, if any.
    fn store(state: &Self::State) -> Option<&SharedStore>;
}

/// Shared by a store and all objects made from it. The store lives until the last of them is freed.
#[derive(Debug)]
pub(in crate::ffi) struct SharedStore {
    pub(in crate::ffi) events: EventStore,
    fork: ForkMark,
    has_panicked: AtomicBool,
    callbacks: Arc<Callbacks>,
}

impl SharedStore {
    pub(in crate::ffi) fn new(events: EventStore) -> SharedStore {
        SharedStore::with_callbacks(events, Arc::default())
    }

    /// A store whose upcasters are counted in `callbacks` while they run.
    pub(in crate::ffi) fn with_callbacks(
        events: EventStore,
        callbacks: Arc<Callbacks>,
    ) -> SharedStore {
        callbacks.are_of(&events);
        SharedStore {
            events,
            fork: ForkMark::new(),
            has_panicked: AtomicBool::new(false),
            callbacks,
        }
    }

    /// A store that a parent of this process has opened.
    #[cfg(test)]
    pub(in crate::ffi) fn of_another_process(events: EventStore) -> SharedStore {
        SharedStore { fork: ForkMark::of_another_process(), ..SharedStore::new(events) }
    }

    /// Counts a callback that starts.
    pub(in crate::ffi) fn in_callback(&self) -> InCallback<'_> {
        self.callbacks.begin()
    }

    /// Rejects a close while a callback is running. Those of a forked child run in its parent.
    pub(in crate::ffi) fn check_no_callback(&self) -> Result<(), Fault> {
        if self.callbacks.are_running() && !self.is_forked() {
            let reason = "a callback of the store is running: close the store after it returns";
            return Err(Details::new(ANNALS_E_BUSY, reason));
        }
        Ok(())
    }

    /// Rejects a call on a closed store. Other errors do not concern what has been read already.
    pub(in crate::ffi) fn check_not_closed(&self) -> Result<(), Error> {
        match self.events.head() {
            Err(Error::Closed) => Err(Error::Closed),
            _ => Ok(()),
        }
    }

    /// Whether this process is a forked child of the one that opened the store. Other threads of
    /// the parent may have been in the middle of anything, with locks that nobody releases here.
    pub(in crate::ffi) fn is_forked(&self) -> bool {
        self.fork.is_forked()
    }

    pub(in crate::ffi) fn check_not_forked(&self) -> Result<(), Fault> {
        if self.is_forked() { Err(Details::forked()) } else { Ok(()) }
    }

    /// After a panic, the state of the store's objects is unknown.
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

/// The bit of the gate that gives one call exclusive access; the low bits count the calls that
/// share the handle.
const ALONE: u32 = 1 << 31;

/// The bit of the gate that makes the last call on the handle free it.
const DOOMED: u32 = 1 << 30;

/// The bit of the gate that is set while the handle is lent to a callback, which cannot free it.
const LENT: u32 = 1 << 29;

#[repr(C)]
struct Head {
    word: AtomicU32,
    gate: AtomicU32,
    has_panicked: AtomicBool,
    /// The store of the object, if any, which lives as long as the object. It can be asked whether
    /// this is a forked child although another call changes the state.
    store: Option<NonNull<SharedStore>>,
}

impl Head {
    fn is_forked(&self) -> bool {
        // SAFETY: the state has a share of the store until the handle is freed.
        self.store.is_some_and(|store| unsafe { store.as_ref() }.is_forked())
    }

    /// Why a call finds the gate taken: in a forked child by calls of threads that are not there.
    fn refusal(&self, name: &str) -> Fault {
        if self.is_forked() { Details::forked() } else { Details::busy(name) }
    }
}

#[repr(C)]
struct Handle<S> {
    head: Head,
    state: UnsafeCell<S>,
}

/// A handle that [`find`] has found. It keeps the pointer from C: memory cannot be freed through a
/// reference, and no reference may be an argument of a function during which the handle is freed.
struct Found<'a, S> {
    pointer: NonNull<Handle<S>>,
    use_of: PhantomData<&'a Handle<S>>,
}

impl<S> Clone for Found<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Found<'_, S> {}

impl<S> Deref for Found<'_, S> {
    type Target = Handle<S>;

    fn deref(&self) -> &Handle<S> {
        // SAFETY: the caller of `find` guarantees that the handle is not freed during the use.
        unsafe { self.pointer.as_ref() }
    }
}

/// Creates a handle, which the caller frees with [`take`] or [`free`].
pub(in crate::ffi) fn make<H: Opaque>(state: H::State) -> Result<*mut H, Fault> {
    let layout = Layout::new::<Handle<H::State>>();
    // SAFETY: the size of the layout is not zero, because a handle has a head.
    let place =
        NonNull::new(unsafe { alloc(layout) }).ok_or_else(|| Details::no_memory(H::NAME))?;
    let place = place.cast::<Handle<H::State>>();
    let word = AtomicU32::new(MAGIC | H::KIND);
    let (gate, has_panicked) = (AtomicU32::new(0), AtomicBool::new(false));
    let store = H::store(&state).map(NonNull::from);
    let head = Head { word, gate, has_panicked, store };
    // SAFETY: the memory is new, and has the size and alignment of a handle.
    unsafe { place.write(Handle { head, state: UnsafeCell::new(state) }) };
    Ok(place.as_ptr().cast())
}

/// Finds the handle that a pointer from C points to.
///
/// # Safety
/// `pointer` is NULL, or a `Head` can be read there.
unsafe fn find<'a, H: Opaque>(pointer: *const H) -> Result<Found<'a, H::State>, Fault> {
    let pointer = pointer.cast_mut().cast::<Handle<H::State>>();
    let Some(pointer) = NonNull::new(pointer) else {
        return Err(Details::invalid(H::NAME, "it is NULL"));
    };
    let wrong = || Details::misuse(format_args!("the pointer does not point to an {}", H::NAME));
    if !pointer.is_aligned() {
        return Err(wrong());
    }
    // SAFETY: the caller guarantees a readable head. The type of the state matters only after the
    // word has been checked.
    let head = unsafe { pointer.cast::<Head>().as_ref() };
    match head.word.load(Ordering::Relaxed) {
        // The word says that `make` wrote a handle of this kind here.
        word if word == MAGIC | H::KIND => Ok(Found { pointer, use_of: PhantomData }),
        FREED => Err(Details::misuse(format_args!("the {} was already freed", H::NAME))),
        _ => Err(wrong()),
    }
}

/// A handle in use by a call that shares it with other calls.
pub(in crate::ffi) struct Shared<'a, H: Opaque<State: Sync>> {
    handle: Found<'a, H::State>,
    was_panicking: bool,
}

/// Starts a shared use of a handle.
///
/// # Safety
/// `handle` is NULL or a handle that is not freed during the use, except by a callback.
pub(in crate::ffi) unsafe fn shared<'a, H: Opaque<State: Sync>>(
    handle: *const H,
) -> Result<Shared<'a, H>, Fault> {
    // SAFETY: the caller upholds this function's contract.
    let handle = unsafe { find(handle) }?;
    // A doomed handle is never counted, not even briefly: only real users may free it.
    let enter = |gate: u32| (gate & (ALONE | DOOMED) == 0).then(|| gate.wrapping_add(1));
    if handle.head.gate.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter).is_err() {
        return Err(handle.head.refusal(H::NAME));
    }
    let used = Shared { handle, was_panicking: thread::panicking() };
    check_usable::<H>(&handle, &used)?;
    Ok(used)
}

impl<H: Opaque<State: Sync>> Deref for Shared<'_, H> {
    type Target = H::State;

    fn deref(&self) -> &H::State {
        // SAFETY: the gate keeps out calls that would change the state.
        unsafe { &*self.handle.state.get() }
    }
}

impl<H: Opaque<State: Sync>> Drop for Shared<'_, H> {
    fn drop(&mut self) {
        mark_panic::<H>(&self.handle, self.was_panicking, self);
        leave::<H>(self.handle, 1);
    }
}

/// Reads the state of a handle without starting a use, which could be rejected.
///
/// # Safety
/// As for [`shared`], and no call has exclusive access.
pub(in crate::ffi) unsafe fn peek<H: Opaque, T>(
    handle: *const H,
    look: impl FnOnce(&H::State) -> Result<T, Fault>,
) -> Result<T, Fault> {
    // SAFETY: the caller upholds this function's contract.
    let handle = unsafe { find(handle) }?;
    // SAFETY: the caller guarantees that nothing changes the state.
    look(unsafe { &*handle.state.get() })
}

/// A handle in use by one call with exclusive access.
pub(in crate::ffi) struct Exclusive<'a, H: Opaque> {
    handle: Found<'a, H::State>,
    was_panicking: bool,
}

/// Starts an exclusive use of a handle.
///
/// # Safety
/// As for [`shared`].
pub(in crate::ffi) unsafe fn exclusive<'a, H: Opaque>(
    handle: *mut H,
) -> Result<Exclusive<'a, H>, Fault> {
    // SAFETY: the caller upholds this function's contract.
    let handle = unsafe { find(handle) }?;
    enter_alone::<H>(&handle.head)?;
    let used = Exclusive { handle, was_panicking: thread::panicking() };
    check_usable::<H>(&handle, &used)?;
    Ok(used)
}

impl<H: Opaque> Deref for Exclusive<'_, H> {
    type Target = H::State;

    fn deref(&self) -> &H::State {
        // SAFETY: the gate keeps all other calls out.
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
        mark_panic::<H>(&self.handle, self.was_panicking, self);
        leave::<H>(self.handle, ALONE);
    }
}

/// Takes the state out of a handle and frees its memory. In a forked child the handle may be in use
/// by threads that are not there, or by the call whose callback forked: then the end of its last
/// call frees it, if there is one.
///
/// # Safety
/// As for [`shared`], and the handle is not used again unless this returns an error.
pub(in crate::ffi) unsafe fn take<H: Opaque>(handle: *mut H) -> Result<H::State, Fault> {
    // SAFETY: the caller upholds this function's contract.
    let found = unsafe { find(handle) }?;
    enter_alone::<H>(&found.head).inspect_err(|_| {
        if found.head.is_forked() {
            found.head.gate.fetch_or(DOOMED, Ordering::AcqRel);
        }
    })?;
    found.head.word.store(FREED, Ordering::Relaxed);
    // SAFETY: `make` allocated it as a box would, and no other call uses it, now or later.
    let owned = unsafe { Box::from_raw(found.pointer.as_ptr()) };
    Ok(owned.state.into_inner())
}

/// Frees a handle. NULL and pointers to other objects are ignored. A handle in use is freed when
/// its last call ends.
///
/// # Safety
/// As for [`take`].
pub(in crate::ffi) unsafe fn free<H: Opaque>(handle: *mut H) {
    unharmed(|| {
        #[cfg(feature = "panic-injection")]
        super::panic_injection::at_entry();
        // SAFETY: the caller upholds this function's contract.
        let Ok(found) = (unsafe { find(handle) }) else { return };
        if found.head.gate.load(Ordering::Acquire) & LENT != 0 {
            return;
        }
        if found.head.gate.fetch_or(DOOMED, Ordering::AcqRel) == 0 {
            release::<H>(found);
        }
    });
}

/// Creates a handle that is lent to `with`, and frees it afterwards.
pub(in crate::ffi) fn lend<H: Opaque, T>(
    state: H::State,
    with: impl FnOnce(*const H) -> T,
) -> Result<T, Fault> {
    let handle = make::<H>(state)?;
    // SAFETY: the handle was just created, and nothing can free it while it is lent.
    let found = unsafe { find(handle.cast_const()) }?;
    found.head.gate.fetch_or(LENT, Ordering::AcqRel);
    let outcome = with(handle.cast_const());
    found.head.gate.fetch_and(!LENT, Ordering::AcqRel);
    // SAFETY: the loan has ended, and nothing may use the handle any more.
    unsafe { free(handle) };
    Ok(outcome)
}

/// Ends a use, which counts as `share` in the gate. The end of the last use frees a doomed handle.
fn leave<H: Opaque>(handle: Found<'_, H::State>, share: u32) {
    if handle.head.gate.fetch_sub(share, Ordering::AcqRel) == DOOMED | share {
        unharmed(|| release::<H>(handle));
    }
}

/// Frees a doomed handle that is not in use.
fn release<H: Opaque>(handle: Found<'_, H::State>) {
    handle.head.word.store(FREED, Ordering::Relaxed);
    // SAFETY: `make` allocated it as a box would. It is doomed, so no use can start, and the gate
    // showed to this thread alone that there is no use left.
    drop(unsafe { Box::from_raw(handle.pointer.as_ptr()) });
}

/// Runs code that frees memory and may be foreign. A leak does less harm than a second panic.
fn unharmed(run: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
        std::mem::forget(payload);
    }
}

fn enter_alone<H: Opaque>(head: &Head) -> Result<(), Fault> {
    let entered = head.gate.compare_exchange(0, ALONE, Ordering::Acquire, Ordering::Relaxed);
    entered.map(drop).map_err(|_| head.refusal(H::NAME))
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

/// Marks the handle, and its store, as unusable if a use ends in a panic.
fn mark_panic<H: Opaque>(handle: &Handle<H::State>, was_panicking: bool, state: &H::State) {
    if thread::panicking() && !was_panicking {
        handle.head.has_panicked.store(true, Ordering::Release);
        if let Some(store) = H::store(state) {
            store.has_panicked.store(true, Ordering::Release);
        }
    }
}
