//! The checks of an append or a batch that do not hold.

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
            write!(f, "{separator}condition {index} fails: the event at {position} matches")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// A violated check of the version of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// Which entry of the batch, counted from 0 over its streams and its checks of streams; 0 for
    /// the append to one stream.
    pub index: usize,
    /// The stream.
    pub stream: String,
    /// What was expected of it.
    pub expected: ExpectedVersion,
    /// The version it has: the number of its events.
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
    /// Which condition of the batch, counted from 0.
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
    /// What the append expected of it.
    pub expected: ExpectedVersion,
    /// The version it has: the number of its events.
    pub actual: u64,
    violations: Arc<Violations>,
}

impl VersionConflict {
    /// Every violated check of a version, in the order of the batch: at least one.
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

/// An event matches that a condition of a batch excludes. This is the first such condition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConditionFailed {
    /// Which condition of the batch, counted from 0.
    pub index: usize,
    /// The first event after the condition's position that matches its query.
    pub position: u64,
    violations: Arc<Violations>,
}

impl ConditionFailed {
    /// Every violated check of a version: none, since these come first.
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

/// Makes one error of all the violations of an append or a batch, if there are any.
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
