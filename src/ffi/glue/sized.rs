//! Structs of the caller that start with their size, which is also the stride of an array.
//!
//! A caller compiled with an older header has a shorter struct: missing fields get their defaults.
//! A caller compiled with a newer header has a longer struct: fields that are unknown here must be
//! zero.

use std::{mem, slice};

use crate::ffi::glue::fault::{Details, Fault};

/// Far above the size of any future struct: a larger size is a mistake.
const SIZE_MAX: usize = 4096;

/// A struct that starts with a `size_t struct_size`.
///
/// # Safety
/// It is `repr(C)`, starts with `struct_size: usize`, and is valid for all byte patterns.
pub(in crate::ffi) unsafe trait SelfSized: Copy + Default {
    /// The name in messages.
    const NAME: &'static str;
    /// The name of an array argument in messages.
    const ARRAY: &'static str;
    /// The end of the fields that every caller must know.
    const SIZE_MIN: usize;
}

/// An array from C.
pub(in crate::ffi) struct Array<T> {
    start: *const u8,
    stride: usize,
    count: usize,
    next: usize,
    kind: std::marker::PhantomData<T>,
}

impl<T: SelfSized> Array<T> {
    /// # Safety
    /// `start` is NULL or points to `count` structs whose `struct_size` is correct, and which can
    /// be read for as long as the array is used.
    pub(in crate::ffi) unsafe fn new(start: *const T, count: usize) -> Result<Array<T>, Fault> {
        let kind = std::marker::PhantomData;
        let start = start.cast::<u8>();
        if count == 0 {
            return Ok(Array { start, stride: 0, count, next: 0, kind });
        }
        if start.is_null() {
            let reason = format_args!("the array is NULL with a count of {count}");
            return Err(Details::invalid(T::ARRAY, reason));
        }
        if !start.cast::<T>().is_aligned() {
            return Err(Details::invalid(T::ARRAY, "the array is not aligned"));
        }
        // SAFETY: the caller guarantees a first struct, which starts with its size.
        let stride = unsafe { start.cast::<usize>().read() };
        check_stride::<T>(stride)?;
        if stride.checked_mul(count).is_none_or(|bytes| isize::try_from(bytes).is_err()) {
            let reason = format_args!("{count} structs of {stride} bytes fit no memory");
            return Err(Details::invalid(T::ARRAY, reason));
        }
        Ok(Array { start, stride, count, next: 0, kind })
    }

    /// Reads one struct. All must have the size of the first one; otherwise this is not an array of
    /// them.
    fn read(&self, index: usize) -> Result<T, Fault> {
        let offset = self.stride.wrapping_mul(index);
        // SAFETY: `new` requires `count` structs, one stride apart, and checked their total size.
        let bytes = unsafe { slice::from_raw_parts(self.start.add(offset), self.stride) };
        let (known, unknown) = bytes.split_at(self.stride.min(mem::size_of::<T>()));
        if bytes.get(..mem::size_of::<usize>()) != Some(&self.stride.to_ne_bytes()[..]) {
            let reason = format_args!("it differs from that of the first, {}", self.stride);
            return Err(Details::invalid("struct_size", reason));
        }
        if unknown.iter().any(|&byte| byte != 0) {
            let reason = format_args!("an {} sets a field of a newer version of annals", T::NAME);
            return Err(Details::unsupported(reason));
        }
        let mut value = T::default();
        // SAFETY: a `T` is valid for all byte patterns, and `known` is at most as long as a `T`.
        unsafe {
            std::ptr::copy_nonoverlapping(
                known.as_ptr(),
                (&raw mut value).cast::<u8>(),
                known.len(),
            );
        }
        Ok(value)
    }
}

impl<T: SelfSized> Iterator for Array<T> {
    type Item = Result<T, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        if index >= self.count {
            return None;
        }
        self.next = index.saturating_add(1);
        Some(self.read(index))
    }
}

fn check_stride<T: SelfSized>(stride: usize) -> Result<(), Fault> {
    let is_aligned = stride.is_multiple_of(mem::align_of::<T>());
    if (T::SIZE_MIN..=SIZE_MAX).contains(&stride) && is_aligned {
        return Ok(());
    }
    let name = T::NAME;
    let reason = format_args!("{stride} is not the size of an {name}: set it to sizeof({name})");
    Err(Details::invalid("struct_size", reason))
}
