//! Why a call failed: the status in words, and the error object.

mod names;
mod object;
mod read;

pub use {names::*, object::*, read::*};
