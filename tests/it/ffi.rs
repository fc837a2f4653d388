//! The C ABI, from C: what the header says, and what the library does.

mod header; // the header is what the code makes, and every compiler takes it
mod suites; // the C suites, as they are and under tools that watch memory
