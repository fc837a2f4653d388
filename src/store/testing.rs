//! Faults that a test injects into the appends of its store.

use std::collections::VecDeque;

use crate::{
    AppendError, Conflict, Error, EventStore,
    error::check_violations,
    event::ExpectedVersion,
    store::Unit,
    sync::{self, Mutex},
};

/// The failure of the next append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A version conflict of the append's first stream, whatever version it expects. Nothing is
    /// written, and the append after it is an ordinary one. A checkpoint without events expects no
    /// version: it succeeds, and the fault waits for an append.
    Conflict,
    /// A full disk: [`Error::NoSpace`]. Nothing is written, and the store stays usable.
    NoSpace,
    /// A failed write: this append and every later write return [`Error::Poisoned`], and reads go
    /// on.
    Poison,
}

/// The pending faults, in order.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<VecDeque<Fault>>);

impl EventStore {
    pub(crate) fn inject(&self, fault: Fault) {
        sync::lock(&self.inner.faults.0).push_back(fault);
    }

    /// Fails an append with the next pending fault.
    pub(super) fn injected(&self, units: &[Unit]) -> Result<(), AppendError> {
        let mut faults = sync::lock(&self.inner.faults.0);
        if units.is_empty() && faults.front() == Some(&Fault::Conflict) {
            return Ok(());
        }
        let Some(fault) = faults.pop_front() else { return Ok(()) };
        drop(faults);
        match fault {
            Fault::Conflict => {
                let first = units.first();
                let stream = first.map_or("", |unit| &unit.stream);
                let expected = first.map_or(ExpectedVersion::Any, |unit| unit.expected);
                let actual = self.stream_version(stream)?;
                let conflict = Conflict::new(0, stream, expected, actual);
                check_violations(vec![conflict], Vec::new())
            }
            Fault::NoSpace => {
                let what = "an append, because a test has injected that".to_owned();
                Err(Error::NoSpace { what, source: None }.into())
            }
            Fault::Poison => {
                let cause = Error::internal("a test has injected a failed write");
                Err(self.storage().poison(cause).into())
            }
        }
    }
}
