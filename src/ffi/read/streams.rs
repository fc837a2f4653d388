//! The list of streams.

use std::{ffi::c_char, ptr, sync::Arc};

use crate::Streams;
use crate::ffi::{
    error::annals_error,
    glue::{
        arguments::{self, Out},
        fault::{Fault, Outcome},
        guard::{self, ErrorOut},
        handle::{self, Opaque, SharedStore},
    },
    status::{ANNALS_DONE, ANNALS_OK, annals_status},
    store::annals_store,
};

/// An iterator over the streams of a store as they were when it was created, in byte order of their
/// ids.
#[derive(Debug)]
pub struct annals_stream_iter {
    _private: [u8; 0],
}

#[derive(Debug)]
pub(in crate::ffi) struct StreamIter {
    store: Arc<SharedStore>,
    streams: Streams,
    /// The current stream id, with a NUL.
    name: Vec<u8>,
    version: u64,
    /// How the iterator ended; later calls return it again.
    end: Option<Result<(), Fault>>,
}

impl Opaque for annals_stream_iter {
    type State = StreamIter;
    const KIND: u32 = 6;
    const NAME: &'static str = "annals_stream_iter";

    fn store(state: &StreamIter) -> Option<&SharedStore> {
        Some(&state.store)
    }
}

impl StreamIter {
    fn advance(&mut self) -> Outcome {
        if self.end.is_none() {
            match self.streams.next() {
                Some(Ok(stream)) => {
                    self.name.clear();
                    self.name.extend_from_slice(stream.stream_id().as_bytes());
                    self.name.push(0);
                    self.version = stream.version();
                    return Ok(ANNALS_OK);
                }
                Some(Err(error)) => self.end = Some(Err(error.into())),
                // A closed store is not the end of the list.
                None => self.end = Some(self.store.check_not_closed().map_err(Fault::from)),
            }
        }
        match &self.end {
            Some(Err(failure)) => Err(failure.clone()),
            Some(Ok(())) | None => Ok(ANNALS_DONE),
        }
    }
}

/// Lists the streams of a store, in byte order of their ids.
///
/// @param store The store.
/// @param prefix Lists only streams whose ids start with this string; (NULL, 0) lists all.
/// @param len Its length in bytes, or ANNALS_NUL_TERMINATED.
/// @param out Receives the iterator.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_E_INVALID_ARGUMENT; ANNALS_E_NO_MEMORY; ANNALS_E_MISUSE;
/// ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the caller frees the iterator with annals_stream_iter_free, before or after the store
/// is closed. Threads: thread-safe. Blocking: never. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_streams(
    store: *const annals_store,
    prefix: *const c_char,
    len: usize,
    out: *mut *mut annals_stream_iter,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (out, err) = unsafe { (Out::cleared(out, ptr::null_mut()), ErrorOut::cleared(err)) };
    guard::call(err, || {
        out.required("out")?;
        // SAFETY: the caller upholds this function's contract.
        let (store, prefix) =
            unsafe { (handle::shared(store)?, arguments::text(prefix, len, "stream prefix")?) };
        let streams = store.events.streams().prefix(prefix);
        let (name, version, end) = (Vec::new(), 0, None);
        let store = Arc::clone(&store);
        out.set(handle::make(StreamIter { store, streams, name, version, end })?);
        Ok(ANNALS_OK)
    })
}

/// Returns the next stream.
///
/// @param iter The iterator.
/// @param out_name Receives the stream id, which also ends with a NUL and is valid until the next
/// call on this iterator or until it is freed; NULL unless the result is ANNALS_OK.
/// @param out_len Receives the length of the stream id in bytes. May be NULL.
/// @param out_version Receives the version of the stream: the number of its events. May be NULL.
/// @param err Receives an error object on failure. May be NULL.
/// @return ANNALS_OK; ANNALS_DONE at the end; ANNALS_E_CORRUPT; ANNALS_E_IO; ANNALS_E_CLOSED. Each
/// of these, except ANNALS_OK, is returned by all later calls, too. Also ANNALS_E_INVALID_ARGUMENT;
/// ANNALS_E_MISUSE; ANNALS_E_BUSY; ANNALS_E_FORKED; ANNALS_E_PANIC.
///
/// Ownership: the iterator owns the name. Threads: any, one call at a time. Blocking: may read
/// files. Since: 0.1.0
///
/// # Safety
/// Each pointer is NULL or satisfies its description above.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn annals_stream_iter_next(
    iter: *mut annals_stream_iter,
    out_name: *mut *const c_char,
    out_len: *mut usize,
    out_version: *mut u64,
    err: *mut *mut annals_error,
) -> annals_status {
    // SAFETY: the caller upholds this function's contract.
    let (name, len, version, err) = unsafe {
        (
            Out::cleared(out_name, ptr::null()),
            Out::cleared(out_len, 0),
            Out::cleared(out_version, 0),
            ErrorOut::cleared(err),
        )
    };
    guard::call(err, || {
        name.required("out_name")?;
        // SAFETY: the caller upholds this function's contract.
        let mut iter = unsafe { handle::exclusive(iter) }?;
        let status = iter.advance()?;
        if status == ANNALS_OK {
            name.set(iter.name.as_ptr().cast());
            len.set(iter.name.len().saturating_sub(1));
            version.set(iter.version);
        }
        Ok(status)
    })
}

/// Frees an iterator and the name obtained from it.
///
/// @param iter The iterator. NULL is a no-op.
///
/// Threads: any; no other thread may be using the iterator. Blocking: never. Since: 0.1.0
///
/// # Safety
/// `iter` is NULL or an iterator of streams, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn annals_stream_iter_free(iter: *mut annals_stream_iter) {
    // SAFETY: the caller upholds this function's contract.
    unsafe { handle::free(iter) };
}
