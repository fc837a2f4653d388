//! The integration tests, through the public API and by running the program. One binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at what should not be, and says so"
)]

mod append; //      one append: its answer, its checks, retries by event id, several streams
mod backup; //      copies of a store that is in use
mod batch; //       several streams, conditions and checkpoints as one unit
mod batch_model; // random batches with conditions and retries, against a model
mod causes; //      what led to an event, in its metadata
mod checkpoints; // how far consumers have come
mod boundaries; //  the rules of dynamic consistency boundaries, one by one
mod bounds; //      reads that end early: at a position, at times; single events by id
#[cfg(feature = "cli")]
mod cli; //         the `annals` program: output, exit codes, files
mod closed; //      stores that were closed: what is lost later is found, and they are small
mod compact; //     stores written anew
mod concurrency; // several threads at once: appenders, readers, checkpoints, closing
mod damage; //      files that were damaged, lost, exchanged or mixed up
mod derived_model; // random interleavings of all that is derived, against a model
mod descriptors; // a process without descriptors: what needs none goes on
mod everywhere; //  every way of reading, in every state of a store
mod errors; //      errors as values: clones, causes, stable numbers
mod examples; //    the examples do what they say
#[cfg(all(feature = "capi", target_os = "linux"))]
mod ffi; //         the C ABI: header, library, misuse
mod fork; //        a forked child is refused
mod format; //      stores written by earlier versions, and files that are not what they were
mod fuzzed; //      sequences of C calls that the fuzzer has found
mod full_disk; //   a disk without space: appends are refused, reads go on
mod histories; //   what concurrent calls are answered fits one order
mod healing; //     trees that are damaged or lost: rebuilt from the journal
mod limits; //      every limit, at it and one past it
mod live; //        live projections: up to date when an append returns
mod metrics; //     what a store counts and measures
mod mixed; //       files of other stores, files without events, several damages
mod model; //       random operations with reopening, against a reference model
mod ndjson; //      import and export: the exchange format
mod open; //        opening, creating, locking, closing, reopening
mod payload; //     what data, metadata and timestamps keep
mod permissions; // who may read the files, and links that lead away
#[cfg(feature = "async")]
mod polled; //      subscriptions as streams: tasks that wait without a thread
mod projections; // pulled projections: where they stop, what they restore
mod read; //        reading in every direction, filtered and bounded
mod reader; //      reading beside a writer
mod repair; //      repairs and salvage of damaged stores
mod saved_damage; // damage and losses around what consumers saved
mod sealed_files; // sealed journal files: damaged, lost, there in both forms
mod snapshots; //   saved bytes: kept, replaced, found again, ignored
#[cfg(feature = "tracing")]
mod spans; //       the spans of the feature `tracing`
mod streams; //     listing streams
mod subscriptions; // history, then what comes
mod tags; //        tags, and queries by them
mod tickets; //     many batches in flight from one thread
mod support; //     helpers that several of the others use
#[cfg(feature = "testing")]
mod testing; //     scenarios, clocks, ids and faults for the tests of programs
mod tidy; //        the rules of the code itself
mod traits; //      what types can be used for: shared, moved, printed
mod typed; //       events as the variants of an enum
mod upcasters; //   events of earlier shapes, brought to the newest when they are read
mod update; //      the state of a stream with its version, decisions appended at it
mod verify; //      checks by path, of what opens and of what does not
mod time_travel; // the state of a stream as it was
mod waiting; //     damage to events that wait for the trees
