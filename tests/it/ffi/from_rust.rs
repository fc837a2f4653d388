//! The exported functions called from Rust, so that Miri can watch what they do with pointers:
//! `cargo +nightly miri test --test it ffi::from_rust` (with `MIRIFLAGS=-Zmiri-disable-isolation`).

#![allow(unsafe_code, reason = "that is how C calls the library")]

use std::{
    ffi::{CStr, c_void},
    ptr, slice,
    sync::Arc,
};

use annals::{Error, ffi::*};

fn in_memory() -> *mut annals_store {
    let mut store = ptr::null_mut();
    // SAFETY: the pointers are valid for the call.
    let status = unsafe { annals_open_in_memory(&raw mut store, ptr::null_mut()) };
    assert_eq!(status, ANNALS_OK);
    store
}

fn event(data: &str) -> annals_new_event {
    annals_new_event {
        r#type: c"Happened".as_ptr(),
        type_len: ANNALS_NUL_TERMINATED,
        data: data.as_ptr(),
        data_len: data.len(),
        ..annals_new_event::default()
    }
}

fn append(store: *mut annals_store, stream: &CStr, events: &[annals_new_event]) -> annals_status {
    // SAFETY: the pointers are valid for the call.
    unsafe {
        annals_append(
            store,
            stream.as_ptr(),
            ANNALS_NUL_TERMINATED,
            ANNALS_EXPECT_ANY,
            events.as_ptr(),
            events.len(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    }
}

#[test]
fn a_status_says_what_an_error_without_details_says() {
    let io = Error::Io {
        action: "write",
        path: "x".into(),
        source: Arc::new(std::io::ErrorKind::Other.into()),
    };
    for error in [
        Error::Closed,
        Error::ReadOnly,
        Error::Forked,
        Error::Poisoned { cause: Arc::new(io) },
        Error::NoSpace { what: "x".to_owned(), source: None },
        Error::Internal { reason: "x".to_owned() },
    ] {
        // SAFETY: the function takes any value.
        let message = unsafe { CStr::from_ptr(annals_status_message(error.code() as i32)) };
        let message = message.to_str().unwrap();
        assert!(error.to_string().starts_with(message), "{error}: {message}");
    }
}

#[test]
fn views_last_until_the_next_call() {
    let store = in_memory();
    assert_eq!(append(store, c"a", &[event("1"), event("22")]), ANNALS_OK);
    assert_eq!(append(store, c"b", &[event("333")]), ANNALS_OK);
    let (mut iter, mut view, mut error, mut n) = (ptr::null_mut(), ptr::null(), ptr::null_mut(), 0);
    // SAFETY: the pointers are valid for each call, and a view is read before the next.
    unsafe {
        let (err, out) = (&raw mut error, &raw mut view);
        assert_eq!(annals_read_all(store, ptr::null(), &raw mut iter, err), ANNALS_OK);
        assert_eq!(annals_iter_next(iter, out, err), ANNALS_OK);
        assert_eq!(CStr::from_ptr((*view).stream), c"a");
        assert_eq!(CStr::from_ptr((*view).r#type), c"Happened");
        assert_eq!(annals_iter_next_batch(iter, 9, out, &raw mut n, err), ANNALS_OK);
        let views: &[annals_event] = slice::from_raw_parts(view, n);
        let data: Vec<&[u8]> =
            views.iter().map(|view| slice::from_raw_parts(view.data, view.data_len)).collect();
        assert_eq!(data, [b"22".as_slice(), b"333"]);
        assert_eq!(annals_close(store, err), ANNALS_OK);
        assert_eq!(annals_iter_next(iter, out, err), ANNALS_E_CLOSED);
        assert_eq!(
            CStr::from_ptr(annals_error_message(error, ptr::null_mut())),
            c"the store is closed"
        );
        annals_error_free(error);
        annals_iter_free(iter);
    }
}

unsafe extern "C-unwind" fn busy(store: *mut c_void, _: *const u8, _: usize) -> i32 {
    // SAFETY: the export hands back the pointer of the test.
    unsafe { annals_close(store.cast(), ptr::null_mut()) }
}

#[test]
fn a_handle_in_use_is_not_freed() {
    let store = in_memory();
    assert_eq!(append(store, c"a", &[event("1")]), ANNALS_OK);
    let mut error = ptr::null_mut();
    // SAFETY: the pointers are valid for each call.
    unsafe {
        let (none, data) = (ptr::null_mut(), store.cast());
        let exported = annals_export_ndjson(store, Some(busy), data, none, &raw mut error);
        assert_eq!(exported, ANNALS_E_CALLBACK);
        assert_eq!(annals_error_callback_code(error), ANNALS_E_BUSY);
        annals_error_free(error);
        assert_eq!(annals_close(store, ptr::null_mut()), ANNALS_OK);
    }
}

#[test]
fn structs_of_other_sizes_are_read_as_they_are() {
    let store = in_memory();
    let size = std::mem::offset_of!(annals_new_event, metadata);
    let older = annals_new_event { struct_size: size, ..event("1") };
    let mut bytes = vec![0_u64; 2 * size / 8];
    // SAFETY: both places have room for that many bytes.
    unsafe {
        let from = (&raw const older).cast::<u8>();
        ptr::copy_nonoverlapping(from, bytes.as_mut_ptr().cast(), size);
        ptr::copy_nonoverlapping(from, bytes.as_mut_ptr().cast::<u8>().add(size), size);
        let (stream, events) = (c"a".as_ptr(), bytes.as_ptr().cast());
        let (none, err) = (ptr::null_mut(), ptr::null_mut());
        let appended = annals_append(store, stream, 1, 0, events, 2, none, none, err);
        assert_eq!(appended, ANNALS_OK);
        assert_eq!(annals_close(store, ptr::null_mut()), ANNALS_OK);
    }
}
