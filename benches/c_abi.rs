//! What the C ABI costs: the same work through the exported functions and in Rust, in one round.

#![allow(unsafe_code, reason = "that is how C calls the library")]

use std::{ffi::c_char, ptr, time::Instant};

use annals::{EventStore, ExpectedVersion, NewEvent, ffi};
use tempfile::TempDir;

use crate::{
    rounds::{Rounds, timed},
    workloads::{append_bulk, data, directory},
};

/// A store that both worlds can reach, one after the other.
struct Shared {
    path: std::path::PathBuf,
    _directory: TempDir,
}

impl Shared {
    fn new() -> Shared {
        let directory = directory();
        Shared { path: directory.path().join("store"), _directory: directory }
    }

    fn in_rust(&self) -> EventStore {
        EventStore::open(&self.path).unwrap()
    }

    fn in_c(&self) -> *mut ffi::annals_store {
        let path = self.path.to_str().unwrap();
        let mut store = ptr::null_mut();
        // SAFETY: every pointer is valid for the call.
        let status = unsafe {
            let path = (path.as_ptr().cast::<c_char>(), path.len());
            ffi::annals_open(path.0, path.1, ptr::null(), &raw mut store, ptr::null_mut())
        };
        assert_eq!(status, ffi::ANNALS_OK);
        store
    }
}

fn close(store: *mut ffi::annals_store) {
    // SAFETY: the store is open, and not used again.
    assert_eq!(unsafe { ffi::annals_close(store, ptr::null_mut()) }, ffi::ANNALS_OK);
}

pub(crate) fn iterate(run: &Rounds) {
    const EVENTS: u64 = 1_000_000;
    if !run.wants("c_iterate") {
        return;
    }
    let (shared, data) = (Shared::new(), data());
    let store = shared.in_rust();
    append_bulk(&store, &data, EVENTS, 20_000);
    store.close().unwrap();
    let due = data.len() * EVENTS as usize;
    run.compare(
        "c_iterate",
        vec![
            (
                "Rust iterator",
                Box::new(|| {
                    let store = shared.in_rust();
                    let result = timed(EVENTS, || {
                        let read = store.read_all().map(|event| event.unwrap().data().len());
                        assert_eq!(read.sum::<usize>(), due);
                    });
                    store.close().unwrap();
                    result
                }),
            ),
            (
                "annals_iter_next",
                Box::new(|| {
                    let store = shared.in_c();
                    let result = timed(EVENTS, || assert_eq!(read_each(store), due));
                    close(store);
                    result
                }),
            ),
            (
                "annals_iter_next_batch, 256 each",
                Box::new(|| {
                    let store = shared.in_c();
                    let result = timed(EVENTS, || assert_eq!(read_batches(store), due));
                    close(store);
                    result
                }),
            ),
        ],
    );
}

fn start(store: *mut ffi::annals_store) -> *mut ffi::annals_iter {
    let mut iter = ptr::null_mut();
    // SAFETY: every pointer is valid for the call.
    let status =
        unsafe { ffi::annals_read_all(store, ptr::null(), &raw mut iter, ptr::null_mut()) };
    assert_eq!(status, ffi::ANNALS_OK);
    iter
}

fn read_each(store: *mut ffi::annals_store) -> usize {
    let iter = start(store);
    let (mut event, mut bytes, mut error) = (ptr::null(), 0, ptr::null_mut());
    // SAFETY: every pointer is valid for the call, and a view until the next.
    unsafe {
        while ffi::annals_iter_next(iter, &raw mut event, &raw mut error) == ffi::ANNALS_OK {
            bytes += (*event).data_len;
        }
        ffi::annals_iter_free(iter);
    }
    bytes
}

fn read_batches(store: *mut ffi::annals_store) -> usize {
    let iter = start(store);
    let (mut events, mut n, mut bytes, mut error) = (ptr::null(), 0, 0, ptr::null_mut());
    // SAFETY: every pointer is valid for the call, and the views until the next.
    unsafe {
        let (out, count, err) = (&raw mut events, &raw mut n, &raw mut error);
        while ffi::annals_iter_next_batch(iter, 256, out, count, err) == ffi::ANNALS_OK {
            let views: &[ffi::annals_event] = std::slice::from_raw_parts(events, n);
            bytes += views.iter().map(|event| event.data_len).sum::<usize>();
        }
        ffi::annals_iter_free(iter);
    }
    bytes
}

/// Appends of one event each, durable on the disk, and in memory, where nothing else takes time.
pub(crate) fn append(run: &Rounds) {
    const APPENDS: u64 = 2_000;
    const IN_MEMORY: u64 = 100_000;
    if run.wants("c_append") {
        let (of_rust, of_c, data) = (Shared::new(), Shared::new(), data());
        let (in_rust, in_c) = (of_rust.in_rust(), of_c.in_c());
        // The disk changes its pace, so both take turns within a round.
        let mut times = (0.0, 0.0);
        let mut both = |is_c: bool| {
            if !is_c {
                times = (0.0, 0.0);
                for _ in 0..APPENDS {
                    let start = Instant::now();
                    append_in_rust(&in_rust, &data);
                    times.0 += start.elapsed().as_secs_f64();
                    let start = Instant::now();
                    append_in_c(in_c, &data);
                    times.1 += start.elapsed().as_secs_f64();
                }
            }
            let seconds = if is_c { times.1 } else { times.0 };
            (APPENDS, std::time::Duration::from_secs_f64(seconds))
        };
        let both = std::cell::RefCell::new(&mut both);
        run.compare(
            "c_append, durable",
            vec![
                ("append, in Rust", Box::new(|| both.borrow_mut()(false))),
                ("annals_append", Box::new(|| both.borrow_mut()(true))),
            ],
        );
        close(in_c);
    }
    if run.wants("c_append_in_memory") {
        let data = data();
        run.compare(
            "c_append_in_memory",
            vec![
                (
                    "append, in Rust",
                    Box::new(|| {
                        let store = EventStore::in_memory().unwrap();
                        timed(IN_MEMORY, || {
                            (0..IN_MEMORY).for_each(|_| append_in_rust(&store, &data));
                        })
                    }),
                ),
                (
                    "annals_append",
                    Box::new(|| {
                        let mut store = ptr::null_mut();
                        // SAFETY: the pointers are valid for the call.
                        let opened =
                            unsafe { ffi::annals_open_in_memory(&raw mut store, ptr::null_mut()) };
                        assert_eq!(opened, ffi::ANNALS_OK);
                        let result = timed(IN_MEMORY, || {
                            (0..IN_MEMORY).for_each(|_| append_in_c(store, &data));
                        });
                        close(store);
                        result
                    }),
                ),
            ],
        );
    }
}

fn append_in_rust(store: &EventStore, data: &str) {
    let event = NewEvent::raw_json("Happened", data).unwrap();
    store.append("account-1", ExpectedVersion::Any, [event]).unwrap();
}

fn append_in_c(store: *const ffi::annals_store, data: &str) {
    let (stream, event_type) = ("account-1", "Happened");
    let event = ffi::annals_new_event {
        r#type: event_type.as_ptr().cast(),
        type_len: event_type.len(),
        data: data.as_ptr(),
        data_len: data.len(),
        ..ffi::annals_new_event::default()
    };
    let (mut position, mut version, mut error) = (0, 0, ptr::null_mut());
    // SAFETY: every pointer is valid for the call.
    let status = unsafe {
        ffi::annals_append(
            store,
            stream.as_ptr().cast(),
            stream.len(),
            ffi::ANNALS_EXPECT_ANY,
            &raw const event,
            1,
            &raw mut position,
            &raw mut version,
            &raw mut error,
        )
    };
    assert_eq!(status, ffi::ANNALS_OK);
}
