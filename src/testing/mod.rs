//! Helpers for testing programs that use the crate: the feature `testing`.
//!
//! * [`given`] tests a decision: given these events, this decision produces those events.
//! * [`Clock`] and [`Ids`] make two runs export the same bytes.
//! * [`inject`] makes the next append of a store fail, as a busy, full or broken store would.
//!
//! # Examples
//! ```
//! use annals::testing::{self, Clock, Fault, Ids};
//! use annals::{EventStore, ExpectedVersion, NewEvent, Options};
//!
//! let run = || -> Result<Vec<u8>, annals::Error> {
//!     let (clock, ids) = (Clock::at(1_700_000_000_000_000), Ids::new());
//!     let store = Options::new().clock(clock.micros()).open_in_memory()?;
//!     for _ in 0..3 {
//!         let counted = NewEvent::json("Counted", &1)?.id(ids.next());
//!         store.append("s", ExpectedVersion::Any, [counted]).map_err(|_| annals::Error::Closed)?;
//!         clock.advance_micros(1_000_000);
//!     }
//!     let mut exported = Vec::new();
//!     store.export_ndjson(&mut exported, &annals::ExportOptions::new())?;
//!     Ok(exported)
//! };
//! assert_eq!(run()?, run()?);
//!
//! let store = EventStore::in_memory()?;
//! testing::inject(&store, Fault::NoSpace);
//! let event = NewEvent::json("Counted", &1)?;
//! assert!(store.append("s", ExpectedVersion::Any, [event.clone()]).is_err());
//! assert!(store.append("s", ExpectedVersion::Any, [event]).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod same;
mod scenario;

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use uuid::Uuid;

use crate::EventStore;

pub use crate::store::Fault;
pub use scenario::{Decided, Given, given};

/// Makes the next append of a store fail. The faults of several calls apply one after the other.
/// Every append counts: in memory, to a file, through [`update`](EventStore::update), by a handler
/// or an import; and so does every checkpoint.
///
/// # Examples
/// See [the module](self).
pub fn inject(store: &EventStore, fault: Fault) {
    store.inject(fault);
}

/// A clock that a test sets. All clones are the same clock.
///
/// # Examples
/// See [the module](self).
#[derive(Clone, Debug, Default)]
pub struct Clock {
    micros: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that is set to a time, in microseconds since the Unix epoch, and does not advance.
    pub fn at(micros: i64) -> Clock {
        Clock { micros: Arc::new(AtomicI64::new(micros)) }
    }

    /// Sets the clock, forwards or backwards.
    pub fn set_micros(&self, micros: i64) {
        self.micros.store(micros, Ordering::SeqCst);
    }

    /// Moves the clock by this much, which may be negative.
    pub fn advance_micros(&self, micros: i64) {
        self.micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// The function to pass to [`Options::clock`](crate::Options::clock).
    pub fn micros(&self) -> impl Fn() -> i64 + Send + Sync + 'static {
        let micros = Arc::clone(&self.micros);
        move || micros.load(Ordering::SeqCst)
    }
}

/// Event ids that are the same in every run: 1, 2, 3 as UUIDs. Clones share one sequence.
///
/// # Examples
/// See [the module](self).
#[derive(Clone, Debug, Default)]
pub struct Ids {
    last: Arc<AtomicU64>,
}

impl Ids {
    /// A sequence of ids that starts at 1.
    pub fn new() -> Ids {
        Ids::default()
    }

    /// The next id.
    pub fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.last.fetch_add(1, Ordering::SeqCst)) + 1)
    }
}
