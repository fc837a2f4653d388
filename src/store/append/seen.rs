//! What a request looked up before it queued: its event ids, and the events that violate its
//! conditions.
//!
//! The submitter of a request searches up to the current head, so the leader, for whom the whole
//! group waits, needs to examine only newer events, which are in the tail. What is found stays
//! valid, because committed events are never removed.

use std::ops::RangeInclusive;

use foldhash::HashMap;
use uuid::Uuid;

use super::contents::{Condition, Unit};
use crate::{
    Error, Query,
    error::FailedCondition,
    storage::{Direction, Storage},
    store::query::Search,
};

/// The event ids of a request that are already stored.
#[derive(Debug, Default)]
pub(crate) struct SeenIds {
    /// The head at that time.
    pub(super) head: u64,
    /// The positions of the ids that were already stored.
    pub(super) positions: HashMap<Uuid, u64>,
}

impl SeenIds {
    /// Looks up the ids of the units.
    pub(super) fn look(storage: &Storage, units: &[Unit]) -> Result<SeenIds, Error> {
        let mut seen = SeenIds { head: storage.head(), ..SeenIds::default() };
        for id in units.iter().flat_map(|unit| unit.events.iter().filter_map(|event| event.id)) {
            if let Some(position) = storage.position_of(id)? {
                seen.positions.insert(id, position);
            }
        }
        Ok(seen)
    }
}

/// The results of checking conditions before their batch queued.
#[derive(Debug, Default)]
pub(crate) struct SeenConditions {
    /// The head at that time.
    head: u64,
    /// For each condition, the first matching event after its position.
    matches: Vec<Option<u64>>,
}

impl SeenConditions {
    pub(super) fn look(
        storage: &Storage,
        conditions: &[Condition],
    ) -> Result<SeenConditions, Error> {
        let head = storage.head();
        let first = |condition: &Condition| first_match(storage, condition, condition.after, head);
        let matches = conditions.iter().map(first).collect::<Result<_, Error>>()?;
        Ok(SeenConditions { head, matches })
    }

    /// The conditions that are violated by the events up to `base`, the head before the group, or
    /// by the events that the group has before this batch: `in_group` returns the first match among
    /// those.
    pub(super) fn violated(
        &self,
        storage: &Storage,
        conditions: &[Condition],
        base: u64,
        in_group: impl Fn(&Condition) -> Option<u64>,
    ) -> Result<Vec<FailedCondition>, Error> {
        let mut violated = Vec::new();
        for (index, condition) in conditions.iter().enumerate() {
            let seen = self.matches.get(index).copied().flatten();
            let start = condition.after.max(self.head);
            let found = match seen {
                Some(position) => Some(position),
                None => first_match(storage, condition, start, base)?,
            };
            if let Some(position) = found.or_else(|| in_group(condition)) {
                violated.push(FailedCondition { index, position });
            }
        }
        Ok(violated)
    }
}

/// The first matching event after `after` and up to `head`.
fn first_match(
    storage: &Storage,
    condition: &Condition,
    after: u64,
    head: u64,
) -> Result<Option<u64>, Error> {
    if after >= head {
        return Ok(None);
    }
    let range = after + 1..=head;
    if !may_match(storage, &condition.query, &range)? {
        return Ok(None);
    }
    Search::new(condition.query.clone(), range, Direction::Forward).next_position(storage)
}

/// False if no event in a range has the first tag of any item, which is what most conditions find:
/// a search would have to copy the query before it finds the same.
fn may_match(storage: &Storage, query: &Query, range: &RangeInclusive<u64>) -> Result<bool, Error> {
    for item in &query.items {
        let Some(tag) = item.tags.first() else { return Ok(true) };
        if !storage.tagged(tag, range.clone(), Direction::Forward, 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(query.needs_scan())
}
