//! Locks, without the mark that std leaves on them after a panic.
//!
//! A thread that panics while it holds a lock poisons it, and the next holder has to decide what
//! that means. Here it means nothing, because no data is left half changed: caller code runs under
//! a lock only where each call is guarded and undone, everything else under a lock is one step or
//! keeps the data consistent between steps, and a group commit that panics poisons the store
//! itself. So a panic of one thread does not stop the others, which still have to answer, close,
//! and drop.
//!
//! Locks, atomics and threads of the engine come from here: with the feature `model-checking` they
//! are those of a model checker, which then decides which thread goes on at each of them.

#[cfg(feature = "model-checking")]
pub mod model;

mod stretch;

use std::{io, sync::PoisonError, time::Duration};

#[cfg(feature = "model-checking")]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic, mpsc},
    thread,
};
#[cfg(not(feature = "model-checking"))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic, mpsc},
    thread,
};

pub(crate) use stretch::Stretch;

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None` while another thread, or this one, holds it.
#[cfg(feature = "capi")]
pub(crate) fn try_lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    use std::sync::TryLockError;

    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

pub(crate) fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn wait<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits for as long as `condition` holds.
pub(crate) fn wait_while<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    changed.wait_while(guard, condition).unwrap_or_else(PoisonError::into_inner)
}

/// Waits for as long as `condition` holds, at most for `timeout`; whether it still holds.
pub(crate) fn wait_timeout_while<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
    condition: impl FnMut(&mut T) -> bool,
) -> (MutexGuard<'a, T>, bool) {
    let waited = changed.wait_timeout_while(guard, timeout, condition);
    let (guard, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
    (guard, outcome.timed_out())
}

/// Starts a thread that ends with the scope.
#[cfg(not(feature = "model-checking"))]
pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<thread::ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work)
}

/// Starts a thread that ends with the scope.
#[cfg(feature = "model-checking")]
pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    _name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<thread::ScopedJoinHandle<'scope, T>> {
    Ok(scope.spawn(work))
}

/// Makes the data of a file of the journal durable.
#[cfg(not(feature = "model-checking"))]
pub(crate) fn sync_data(file: &std::fs::File) -> io::Result<()> {
    file.sync_data()
}

#[cfg(feature = "model-checking")]
pub(crate) use model::sync_data;
