//! Arguments from C: strings, bytes, and outputs.

use std::{
    ffi::{CStr, c_char},
    ptr, slice,
};

use crate::ffi::{
    event::annals_string,
    glue::fault::{Details, Fault},
};

/// As the length of a string: it ends at its first NUL.
pub(in crate::ffi) const NUL_TERMINATED: usize = usize::MAX;

/// The bytes at `data`.
///
/// # Safety
/// `data` is NULL, or `len` bytes can be read there for the lifetime `'a`.
pub(in crate::ffi) unsafe fn bytes<'a>(
    data: *const u8,
    len: usize,
    name: &str,
) -> Result<&'a [u8], Fault> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Details::invalid(name, format_args!("it is NULL with a length of {len}")));
    }
    if len == NUL_TERMINATED {
        let reason = "ANNALS_NUL_TERMINATED is for strings only: pass the length in bytes";
        return Err(Details::invalid(name, reason));
    }
    check_size(len, name)?;
    // SAFETY: the caller upholds this function's contract, and the length fits in isize.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// The UTF-8 text at `text`.
///
/// # Safety
/// `text` is NULL, or can be read for the lifetime `'a`: `len` bytes, or up to a NUL if `len` is
/// [`NUL_TERMINATED`].
pub(in crate::ffi) unsafe fn text<'a>(
    text: *const c_char,
    len: usize,
    name: &str,
) -> Result<&'a str, Fault> {
    let bytes = if len == NUL_TERMINATED {
        if text.is_null() {
            return Err(Details::invalid(name, "it is NULL"));
        }
        // SAFETY: the caller guarantees a NUL.
        unsafe { CStr::from_ptr(text) }.to_bytes()
    } else {
        // SAFETY: the caller upholds this function's contract.
        unsafe { bytes(text.cast(), len, name) }?
    };
    utf8(bytes, name)
}

/// Checks that bytes are UTF-8.
pub(in crate::ffi) fn utf8<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str, Fault> {
    str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        Details::invalid(name, format_args!("it is not UTF-8 at byte offset {offset}"))
    })
}

/// The strings of an array.
///
/// # Safety
/// `texts` is NULL or points to `count` strings, each of which meets the contract of [`text`].
pub(in crate::ffi) unsafe fn texts<'a>(
    texts: *const annals_string,
    count: usize,
    name: &'static str,
) -> Result<Vec<&'a str>, Fault> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if texts.is_null() {
        return Err(Details::invalid(
            name,
            format_args!("the array is NULL with a count of {count}"),
        ));
    }
    if !texts.is_aligned() {
        return Err(Details::invalid(name, "the array is not aligned"));
    }
    if count
        .checked_mul(size_of::<annals_string>())
        .is_none_or(|bytes| isize::try_from(bytes).is_err())
    {
        return Err(Details::invalid(name, format_args!("a count of {count} fits no memory")));
    }
    // SAFETY: the caller upholds this function's contract, and the length fits in isize.
    let texts = unsafe { slice::from_raw_parts(texts, count) };
    let mut taken = with_capacity(count, name)?;
    for (index, one) in texts.iter().enumerate() {
        // SAFETY: the caller upholds this function's contract.
        let text = unsafe { text(one.ptr, one.len, name) };
        taken.push(text.map_err(|fault| fault.of(format_args!("{name}[{index}]")))?);
    }
    Ok(taken)
}

/// A path in the file system.
///
/// # Safety
/// As for [`text`].
pub(in crate::ffi) unsafe fn path<'a>(
    path: *const c_char,
    len: usize,
) -> Result<&'a std::path::Path, Fault> {
    // SAFETY: the caller upholds this function's contract.
    let path = unsafe { text(path, len, "path") }?;
    if path.is_empty() {
        return Err(Details::invalid("path", "it is empty"));
    }
    if let Some(offset) = path.find('\0') {
        let reason = format_args!("it holds a NUL at byte offset {offset}");
        return Err(Details::invalid("path", reason));
    }
    Ok(path.as_ref())
}

fn check_size(len: usize, name: &str) -> Result<(), Fault> {
    match isize::try_from(len) {
        Ok(_) => Ok(()),
        Err(_) => Err(Details::invalid(name, format_args!("a length of {len} fits no memory"))),
    }
}

/// A copy of `bytes`, or an error if there is not enough memory.
pub(in crate::ffi) fn copied(bytes: &[u8], name: &str) -> Result<Vec<u8>, Fault> {
    let mut copy = with_capacity(bytes.len(), name)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// An empty vector with capacity, or an error if there is not enough memory.
pub(in crate::ffi) fn with_capacity<T>(count: usize, name: &str) -> Result<Vec<T>, Fault> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(count).map_err(|_| Details::no_memory(name))?;
    Ok(vector)
}

/// Rejects flags with bits outside of `known`.
pub(in crate::ffi) fn check_flags(flags: u32, known: u32) -> Result<(), Fault> {
    match flags & !known {
        0 => Ok(()),
        unknown => {
            Err(Details::invalid("flags", format_args!("the bits {unknown:#x} are unknown")))
        }
    }
}

/// An output of a call. It may be NULL if the caller does not want the value.
pub(in crate::ffi) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Writes `empty` to the output, so that it never holds a value of an earlier call.
    ///
    /// # Safety
    /// `place` is NULL, or writable until the call ends.
    pub(in crate::ffi) unsafe fn cleared(place: *mut T, empty: T) -> Out<T> {
        let out = Out(place);
        out.set(empty);
        out
    }

    pub(in crate::ffi) fn is_wanted(&self) -> bool {
        !self.0.is_null()
    }

    /// Rejects a call that makes no sense without this output.
    pub(in crate::ffi) fn required(&self, name: &str) -> Result<(), Fault> {
        if self.is_wanted() { Ok(()) } else { Err(Details::invalid(name, "it is NULL")) }
    }

    pub(in crate::ffi) fn set(&self, value: T) {
        if self.is_wanted() {
            // SAFETY: `cleared` requires that the output is writable.
            unsafe { self.0.write(value) };
        }
    }
}

/// A pointer to the bytes; NULL if there are none.
pub(in crate::ffi) fn pointer_of(bytes: Option<&[u8]>) -> *const u8 {
    bytes.map_or(ptr::null(), <[u8]>::as_ptr)
}
