//! The C ABI, from C: what the header says, and what the library does.

mod abi; //        what must not change: symbols, layout, names
mod abuse; //      every function with every kind of wrong argument
mod calls; //      calls of every function, written as C
mod cpp; //        the C++ layer
mod examples; //   the examples, and the commands of the README
mod from_rust; //  the functions called from Rust, for Miri
#[cfg(feature = "header")]
mod generated; //  the header is what cbindgen makes of the code
mod header; //     the header declares the functions, and every compiler takes it
mod install; //    CMake and pkg-config, shared and static, from a moved prefix
#[cfg(feature = "panic-injection")]
mod panics; //     a panic inside every function
mod prototypes; // reads the functions out of the header
mod suites; //     the C suites, as they are and under tools that watch memory
