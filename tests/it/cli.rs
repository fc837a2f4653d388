//! The `annals` program, run as its users run it.

mod append; //   append and read: data, versions, ids
mod derived; //  tail and snapshots
mod exchange; // import and export: files, pipes, reports
mod exits; //    exit codes, missing stores, broken pipes, odd arguments
mod finding; //  events, streams and figures that are requested, and messages if there are none
mod help; //     examples that work, defaults, exit codes
mod looks; //    tables and listings
mod signals; //  SIGINT while a command works
mod terminal; // every width, and text that must not steer a terminal
