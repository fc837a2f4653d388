//! Checking, repairing and copying the files of a store.

mod healing;
mod verify;

pub use {healing::*, verify::*};
