//! The violated checks of an append or a batch.

use std::{fmt, sync::Arc};

use crate::{AppendError, event::ExpectedVersion};

/// Every violated check of an append or a batch.
#[derive(Debug, PartialEq, Eq)]
struct Violations {
    conflicts: Vec<Conflict>,
    conditions: Vec<FailedCondition>,
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for Conflict { stream, expected, actual, .. } in &self.conflicts {
            write!(f, "{separator}stream {stream:?} is at version {actual}, expected {expected}")?;
            separator = "; ";
        }
        for FailedCondition { index, position } in &self.conditions {
            let matches = format!("the event at position {position} matches");
            write!(f, "{separator}condition {index} failed: {matches}")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// A violated check of the version of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The index of the batch entry, counted from 0 over its streams and its checks of streams; 0
    /// for an append to one stream.
    pub index: usize,
    /// The stream.
    pub stream: String,
    /// The expected version.
    pub expected: ExpectedVersion,
    /// The actual version: the number of events in the stream.
    pub actual: u64,
}

impl Conflict {
    pub(crate) fn new(
        index: usize,
        stream: &str,
        expected: ExpectedVersion,
        actual: u64,
    ) -> Conflict {
        Conflict { index, stream: stream.to_owned(), expected, actual }
    }
}

/// A violated condition of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedCondition {
    /// The index of the condition in the batch, counted from 0.
    pub index: usize,
    /// The first event after the condition's position that matches its query.
    pub position: u64,
}

/// A stream is not at the version that an append expected; in a batch, the first such stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionConflict {
    /// The stream.
    pub stream: String,
    /// The version that the append expected.
    pub expected: ExpectedVersion,
    /// The actual version: the number of events in the stream.
    pub actual: u64,
    violations: Arc<Violations>,
}

impl VersionConflict {
    /// Every violated version check, in the order of the batch: at least one.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.violations.conflicts
    }

    /// Every violated condition of the batch, in order.
    pub fn conditions(&self) -> &[FailedCondition] {
        &self.violations.conditions
    }
}

impl fmt::Display for VersionConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.violations.fmt(f)
    }
}

impl std::error::Error for VersionConflict {}

/// A condition of a batch excludes an event that exists. This is the first such condition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConditionFailed {
    /// The index of the condition in the batch, counted from 0.
    pub index: usize,
    /// The first event after the condition's position that matches its query.
    pub position: u64,
    violations: Arc<Violations>,
}

impl ConditionFailed {
    /// Every violated version check: always empty, since these are reported first.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.violations.conflicts
    }

    /// Every violated condition of the batch, in order: at least one.
    pub fn conditions(&self) -> &[FailedCondition] {
        &self.violations.conditions
    }
}

impl fmt::Display for ConditionFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.violations.fmt(f)
    }
}

impl std::error::Error for ConditionFailed {}

/// Combines all violations of an append or a batch into one error, if there are any.
pub(crate) fn check_violations(
    conflicts: Vec<Conflict>,
    conditions: Vec<FailedCondition>,
) -> Result<(), AppendError> {
    let violations = Arc::new(Violations { conflicts, conditions });
    if let Some(Conflict { stream, expected, actual, .. }) = violations.conflicts.first() {
        let (stream, expected, actual) = (stream.clone(), *expected, *actual);
        let violations = Arc::clone(&violations);
        return Err(VersionConflict { stream, expected, actual, violations }.into());
    }
    if let Some(&FailedCondition { index, position }) = violations.conditions.first() {
        let violations = Arc::clone(&violations);
        return Err(ConditionFailed { index, position, violations }.into());
    }
    Ok(())
}
