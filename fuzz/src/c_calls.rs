//! Sequences of calls of the C ABI over handles: the bytes choose the calls, the handles and the
//! arguments. A handle may be NULL, of another kind, or closed, but not freed: a freed pointer is
//! undefined for C too. No call may panic or answer that the library is at fault.

#![allow(unsafe_code, reason = "that is how C calls the library")]

use std::{
    ffi::{c_char, c_void},
    path::Path,
    ptr, slice,
};

use annals::ffi::*;

#[path = "c_batches.rs"]
mod c_batches;

use c_batches::{batch, events, tags};

/// Where the bytes are used up, everything is 0.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX,
            254 => u64::MAX - 1,
            253 => 1 << 63,
            252 => u64::from(u32::MAX),
            small => u64::from(small),
        }
    }

    /// Bytes, and the length to say: the right one, mostly, or a special one; `None` for NULL.
    fn bytes(&mut self) -> (Option<&'a [u8]>, usize) {
        let len = usize::from(self.byte());
        if len == 255 {
            return (None, usize::from(self.byte() & 1));
        }
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        (Some(bytes), bytes.len())
    }

    fn text(&mut self) -> (*const c_char, usize) {
        let (bytes, len) = self.bytes();
        (bytes.map_or(ptr::null(), <[u8]>::as_ptr).cast(), len)
    }
}

#[derive(Default)]
struct Handles {
    stores: Vec<*mut annals_store>,
    iters: Vec<*mut annals_iter>,
    streams: Vec<*mut annals_stream_iter>,
    subscriptions: Vec<*mut annals_subscription>,
    projections: Vec<*mut annals_projection>,
    snapshots: Vec<*mut annals_snapshot>,
    options: Vec<*mut annals_read_options>,
    queries: Vec<*mut annals_query>,
    batches: Vec<*mut annals_batch>,
}

/// One of the handles, or NULL, or one of another kind.
fn any<T, U>(handles: &[*mut T], others: &[*mut U], input: &mut Input<'_>) -> *mut T {
    let choice = usize::from(input.byte());
    match choice {
        255 => ptr::null_mut(),
        254 => others.first().map_or(ptr::null_mut(), |other| other.cast()),
        _ => handles.get(choice % handles.len().max(1)).copied().unwrap_or(ptr::null_mut()),
    }
}

/// Keeps what a call has made.
fn keep<T>(handles: &mut Vec<*mut T>, made: *mut T) {
    if !made.is_null() {
        handles.push(made);
    }
}

/// Looks at the error of a call, if there is one, and frees it.
unsafe fn check(status: annals_status, error: *mut annals_error) -> usize {
    assert!(![ANNALS_E_PANIC, ANNALS_E_INTERNAL].contains(&status), "a call answers {status}");
    assert!(status >= 0 || !error.is_null(), "{status} comes without an error");
    let mut len = 0;
    // SAFETY: the error is NULL or was just made.
    unsafe {
        let message = annals_error_message(error, &raw mut len);
        let message = slice::from_raw_parts(message.cast::<u8>(), len);
        assert!(std::str::from_utf8(message).is_ok());
        annals_error_free(error);
    }
    usize::from(status >= 0)
}

unsafe extern "C-unwind" fn count(user_data: *mut c_void, event: *const annals_event) -> i32 {
    // SAFETY: the library hands back what it was given, and a valid event.
    unsafe {
        *user_data.cast::<u64>() += (*event).position;
    }
    0
}

unsafe extern "C-unwind" fn skip(_: *mut c_void, _: *const annals_event) -> i32 {
    0
}

unsafe extern "C-unwind" fn take(user_data: *mut c_void, data: *const u8, len: usize) -> i32 {
    // SAFETY: as for `count`.
    unsafe {
        *user_data.cast::<u64>() +=
            slice::from_raw_parts(data, len).iter().map(|b| u64::from(*b)).sum::<u64>();
    }
    0
}

/// Calls that write.
unsafe fn write(input: &mut Input<'_>, handles: &Handles) -> usize {
    let (mut error, mut number) = (ptr::null_mut(), 0);
    let err = &raw mut error;
    let store = any(&handles.stores, &handles.iters, input);
    // SAFETY: as in `run`.
    unsafe {
        let status = match input.byte() % 5 {
            0 | 1 => return append(input, store),
            2 => {
                let (name, len) = input.text();
                annals_checkpoint_save(store, name, len, input.number(), err)
            }
            3 => {
                let ((name, len), position) = (input.text(), input.number());
                let (data, n) = input.text();
                annals_snapshot_save(store, name, len, position, data.cast(), n, err)
            }
            _ => {
                let (name, len) = input.text();
                annals_checkpoint_load(store, name, len, &raw mut number, err)
            }
        };
        check(status, error)
    }
}

unsafe fn append(input: &mut Input<'_>, store: *mut annals_store) -> usize {
    let (mut error, mut position, mut version) = (ptr::null_mut(), 0, 0);
    let (stream, len) = input.text();
    let expected = input.number();
    let tags = tags(input);
    let events = events(input, &tags);
    let (first, versions) = (&raw mut position, &raw mut version);
    // SAFETY: as in `run`.
    unsafe {
        let status = match input.byte() % 2 {
            0 => annals_append(
                store,
                stream,
                len,
                expected,
                events.as_ptr(),
                events.len(),
                first,
                versions,
                &raw mut error,
            ),
            _ => {
                let unit = annals_unit {
                    stream,
                    stream_len: len,
                    expected_version: expected,
                    events: events.as_ptr(),
                    event_count: events.len(),
                    ..annals_unit::default()
                };
                let units = [unit, unit];
                annals_append_multi(store, units.as_ptr(), 2, first, &raw mut error)
            }
        };
        check(status, error)
    }
}

/// Calls that make handles.
unsafe fn make(input: &mut Input<'_>, handles: &mut Handles) -> usize {
    let mut error = ptr::null_mut();
    let err = &raw mut error;
    let store = any(&handles.stores, &handles.iters, input);
    let options = any(&handles.options, &handles.iters, input);
    // SAFETY: as in `run`.
    unsafe {
        let status = match input.byte() % 9 {
            0 if handles.stores.len() < 4 => {
                let mut made = ptr::null_mut();
                let status = annals_open_in_memory(&raw mut made, err);
                keep(&mut handles.stores, made);
                status
            }
            0 | 1 => {
                let (mut made, (name, len)) = (ptr::null_mut(), input.text());
                let status = annals_read_stream(store, name, len, options, &raw mut made, err);
                keep(&mut handles.iters, made);
                status
            }
            2 => {
                let mut made = ptr::null_mut();
                let status = annals_read_all(store, options, &raw mut made, err);
                keep(&mut handles.iters, made);
                status
            }
            3 => {
                let (mut made, (name, len)) = (ptr::null_mut(), input.text());
                let status = annals_streams(store, name, len, &raw mut made, err);
                keep(&mut handles.streams, made);
                status
            }
            4 => {
                let (mut made, from) = (ptr::null_mut(), input.number());
                let status = annals_subscribe(store, from, options, &raw mut made, err);
                keep(&mut handles.subscriptions, made);
                status
            }
            5 => {
                let (mut made, (name, len)) = (ptr::null_mut(), input.text());
                let status = annals_projection_new(store, name, len, &raw mut made, err);
                keep(&mut handles.projections, made);
                status
            }
            6 => {
                let (mut made, (name, len)) = (ptr::null_mut(), input.text());
                let status = annals_snapshot_load(store, name, len, &raw mut made, err);
                keep(&mut handles.snapshots, made);
                status
            }
            7 => {
                keep(&mut handles.options, annals_read_options_new());
                ANNALS_OK
            }
            _ => return set(input, options),
        };
        check(status, error)
    }
}

/// Calls that change options, and have no error object.
unsafe fn set(input: &mut Input<'_>, options: *mut annals_read_options) -> usize {
    // SAFETY: as in `run`.
    let status = unsafe {
        match input.byte() % 6 {
            0 => annals_read_options_set_backward(options, input.byte() & 1 == 1),
            1 => annals_read_options_set_limit(options, input.number()),
            2 => annals_read_options_set_from_version(options, input.number()),
            3 => annals_read_options_set_from_position(options, input.number()),
            4 => {
                let (name, len) = input.text();
                annals_read_options_add_type(options, name, len)
            }
            _ => {
                let (name, len) = input.text();
                annals_read_options_set_stream_prefix(options, name, len)
            }
        }
    };
    assert!(![ANNALS_E_PANIC, ANNALS_E_INTERNAL].contains(&status), "a call answers {status}");
    usize::from(status >= 0)
}

/// Calls that use handles.
unsafe fn advance(input: &mut Input<'_>, handles: &Handles) -> usize {
    let (mut error, mut number, mut n) = (ptr::null_mut(), 0_u64, 0);
    let err = &raw mut error;
    let mut view = ptr::null();
    let user_data = (&raw mut number).cast();
    let store = any(&handles.stores, &handles.iters, input);
    // SAFETY: as in `run`; views are read before the next call.
    unsafe {
        let status = match input.byte() % 9 {
            0 => {
                let iter = any(&handles.iters, &handles.streams, input);
                let status = annals_iter_next(iter, &raw mut view, err);
                if status == ANNALS_OK {
                    count(user_data, view);
                }
                status
            }
            1 => {
                let iter = any(&handles.iters, &handles.streams, input);
                let max = usize::from(input.byte());
                let status = annals_iter_next_batch(iter, max, &raw mut view, &raw mut n, err);
                if status == ANNALS_OK {
                    let events = slice::from_raw_parts(view, n);
                    for event in events {
                        count(user_data, event);
                    }
                }
                status
            }
            2 => {
                let iter = any(&handles.streams, &handles.stores, input);
                let mut name = ptr::null();
                annals_stream_iter_next(iter, &raw mut name, &raw mut n, &raw mut number, err)
            }
            3 => {
                let subscription = any(&handles.subscriptions, &handles.stores, input);
                annals_subscription_next(subscription, 0, &raw mut view, err)
            }
            4 => {
                let projection = any(&handles.projections, &handles.stores, input);
                annals_projection_catch_up(projection, &raw mut number, err)
            }
            5 => {
                let projection = any(&handles.projections, &handles.stores, input);
                let (name, len) = input.text();
                annals_projection_when(
                    projection,
                    name,
                    len,
                    Some(skip),
                    ptr::null_mut(),
                    None,
                    err,
                )
            }
            6 => {
                let ((name, len), kind) = (input.text(), u32::from(input.byte() % 5));
                let up_to = input.number();
                annals_reconstruct_state(store, name, len, kind, up_to, Some(count), user_data, err)
            }
            7 => annals_export_ndjson(store, Some(take), user_data, &raw mut number, err),
            _ => {
                let snapshot = any(&handles.snapshots, &handles.stores, input);
                let bytes = annals_snapshot_data(snapshot, &raw mut n);
                if !bytes.is_null() {
                    take(user_data, bytes, n);
                }
                annals_stream_version(store, c"s".as_ptr(), 1, &raw mut number, err)
            }
        };
        check(status, error)
    }
}

/// Calls that end something. What is freed is forgotten.
unsafe fn end(input: &mut Input<'_>, handles: &mut Handles) -> usize {
    let choice = input.byte();
    let index = usize::from(input.byte());
    // SAFETY: as in `run`.
    unsafe {
        match choice % 6 {
            0 if handles.stores.len() > 1 => {
                let mut error = ptr::null_mut();
                let store = handles.stores.swap_remove(index % handles.stores.len());
                return check(annals_close(store, &raw mut error), error);
            }
            1 => handles.iters.pop().into_iter().for_each(|one| annals_iter_free(one)),
            2 => handles.streams.pop().into_iter().for_each(|one| annals_stream_iter_free(one)),
            3 => {
                let subscription = any(&handles.subscriptions, &handles.stores, input);
                annals_subscription_cancel(subscription);
            }
            4 => {
                handles
                    .subscriptions
                    .pop()
                    .into_iter()
                    .for_each(|one| annals_subscription_free(one));
            }
            _ => handles.snapshots.pop().into_iter().for_each(|one| annals_snapshot_free(one)),
        }
    }
    1
}

/// Makes calls until the bytes are used up. Returns how many of them succeeded.
#[allow(unreachable_pub, reason = "a test and a crate share this file")]
pub fn run(data: &[u8], _: &Path) -> usize {
    let (mut input, mut handles, mut done) = (Input(data), Handles::default(), 0);
    // SAFETY: every pointer is NULL, to bytes of the input that live on, or a handle not yet freed.
    unsafe {
        let mut store = ptr::null_mut();
        assert_eq!(annals_open_in_memory(&raw mut store, ptr::null_mut()), ANNALS_OK);
        handles.stores.push(store);
        for _ in 0..200 {
            if input.0.is_empty() {
                break;
            }
            done += match input.byte() % 5 {
                0 => write(&mut input, &handles),
                1 => make(&mut input, &mut handles),
                2 => advance(&mut input, &handles),
                4 => batch(&mut input, &mut handles),
                _ => end(&mut input, &mut handles),
            };
        }
        let Handles {
            stores,
            iters,
            streams,
            subscriptions,
            projections,
            snapshots,
            options,
            queries,
            batches,
        } = handles;
        // The stores first: what was made of them outlives them.
        stores
            .into_iter()
            .for_each(|one| assert_eq!(annals_close(one, ptr::null_mut()), ANNALS_OK));
        iters.into_iter().for_each(|one| annals_iter_free(one));
        streams.into_iter().for_each(|one| annals_stream_iter_free(one));
        subscriptions.into_iter().for_each(|one| annals_subscription_free(one));
        projections.into_iter().for_each(|one| annals_projection_free(one));
        snapshots.into_iter().for_each(|one| annals_snapshot_free(one));
        options.into_iter().for_each(|one| annals_read_options_free(one));
        queries.into_iter().for_each(|one| annals_query_free(one));
        batches.into_iter().for_each(|one| annals_batch_free(one));
    }
    done
}
