//! Structs of the caller's that start with their size, which is also the stride of an array.
//!
//! A caller that was compiled with an older header has a shorter struct: what it lacks has its
//! default. One with a newer header has a longer one: what is unknown here must be zero.

use std::{mem, slice};

use crate::ffi::glue::fault::{Details, Fault};

/// Far above any struct to come: a larger size is a mistake.
const SIZE_MAX: usize = 4096;

/// A struct that starts with a `size_t struct_size`.
///
/// # Safety
/// It is `repr(C)`, starts with `struct_size: usize`, and any bytes make one.
pub(in crate::ffi) unsafe trait SelfSized: Copy + Default {
    /// What it is called in messages.
    const NAME: &'static str;
    /// What an array of them is called as an argument.
    const ARRAY: &'static str;
    /// The fields that every caller must know end here.
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
    /// `start` is NULL or leads to `count` structs whose `struct_size` is true, which can be read
    /// for as long as the array is.
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
        // SAFETY: the caller promises a first struct, and it starts with its size.
        let stride = unsafe { start.cast::<usize>().read() };
        check_stride::<T>(stride)?;
        if stride.checked_mul(count).is_none_or(|bytes| isize::try_from(bytes).is_err()) {
            let reason = format_args!("no memory has {count} of {stride} bytes each");
            return Err(Details::invalid(T::ARRAY, reason));
        }
        Ok(Array { start, stride, count, next: 0, kind })
    }

    /// Reads the next struct. Each must have the size of the first, or it is no array of them.
    fn read(&self, index: usize) -> Result<T, Fault> {
        let offset = self.stride.wrapping_mul(index);
        // SAFETY: `new` was promised `count` structs, a stride apart, and has checked the product.
        let bytes = unsafe { slice::from_raw_parts(self.start.add(offset), self.stride) };
        let (known, unknown) = bytes.split_at(self.stride.min(mem::size_of::<T>()));
        if bytes.get(..mem::size_of::<usize>()) != Some(&self.stride.to_ne_bytes()[..]) {
            let reason = format_args!("not {}, as the first has", self.stride);
            return Err(Details::invalid("struct_size", reason));
        }
        if unknown.iter().any(|&byte| byte != 0) {
            let reason = format_args!("a {} has fields of a newer version of annals", T::NAME);
            return Err(Details::unsupported(reason));
        }
        let mut value = T::default();
        // SAFETY: any bytes make a `T`, and `known` is at most as long as one.
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
    let reason = format_args!("{stride} is not the size of a {name}: set it to sizeof({name})");
    Err(Details::invalid("struct_size", reason))
}
