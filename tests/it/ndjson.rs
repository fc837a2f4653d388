//! Import and export: what is written, what is read, what is refused, and the modes.

mod faults; //     every wrong line, with its place and reason
mod limits; //     at each limit and one past it, batches, bounded memory
mod modes; //      faithful, append, resume; dry runs; torn tails
mod reading; //    what import takes beyond what export writes
mod round_trip; // samples, real logs, and random events, there and back
mod writing; //    the exact form of what export writes, compared with Python
