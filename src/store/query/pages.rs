//! Reading single events that an index has found.

use std::sync::Arc;

use crate::{Error, codec::page::Page, event::RecordedEvent, storage::Storage};

/// The number of pages that a search keeps: events of a few streams may alternate.
const PAGES: usize = 4;

/// The pages that were read last.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// Most recently used first.
    recent: Vec<Page>,
}

impl Pages {
    /// The event at a position. It is read from the run of the trees that `place` leads to, if that
    /// is known; otherwise, or if the trees fail, from a block of the journal.
    pub(super) fn event(
        &mut self,
        storage: &Storage,
        position: u64,
        place: Option<(Arc<str>, u64)>,
    ) -> Result<RecordedEvent, Error> {
        for (index, page) in self.recent.iter().enumerate() {
            if let Some(event) = page.event_at(position) {
                self.use_again(index);
                return Ok(event);
            }
        }
        // Once per page: the check for a forked child is a system call.
        storage.check_open()?;
        if let Some((stream, version)) = place
            && let Some(page) = storage.run_of(&stream, version, self.spare())
            && let Some(event) = page.event_at(position)
        {
            self.recent.insert(0, page);
            return Ok(event);
        }
        let page = storage.page(position, self.spare())?;
        let event = page.event_at(position).ok_or_else(|| {
            Error::corrupted("the journal", Some(position), "neither copy has the event")
        })?;
        self.recent.insert(0, page);
        Ok(event)
    }

    fn use_again(&mut self, index: usize) {
        if let Some(front) = self.recent.get_mut(..=index) {
            front.rotate_right(1);
        }
    }

    /// Takes the allocations of the least recently used page.
    fn spare(&mut self) -> Page {
        if self.recent.len() < PAGES {
            return Page::default();
        }
        self.recent.pop().unwrap_or_default()
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test stops at what should not be")]
mod tests {
    use crate::{
        Batch, EventStore, ExpectedVersion::Any, NewEvent, Query, QueryItem, storage::SpoiledTree,
    };

    fn positions(store: &EventStore, query: &Query) -> Vec<u64> {
        store.query(query).map(|event| event.expect("it can be read").position()).collect()
    }

    #[test]
    fn where_the_trees_fail_a_query_finds_the_same_in_the_journal() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("store");
        let store = EventStore::open(&path).expect("a new store");
        let batch = (0..2_000).fold(Batch::new(), |batch, number| {
            let event = NewEvent::binary("T", vec![7; 300]).expect("within the limits");
            batch.append(format!("s-{}", number % 90), Any, [event.tag(format!("{}", number % 50))])
        });
        batch.commit(&store).expect("it is sound");
        store.close().expect("it has room");
        let store = EventStore::open(&path).expect("it is intact");
        let query = Query::new().item(QueryItem::new().tags(["7"]));
        let due: Vec<u64> = (0..2_000).filter(|number| number % 50 == 7).map(|at| at + 1).collect();
        assert_eq!(positions(&store, &query), due);
        store.storage().spoil(SpoiledTree::Streams);
        assert_eq!(positions(&store, &query), due, "the index leads to runs that are damaged");
        store.storage().spoil(SpoiledTree::Tags);
        assert_eq!(positions(&store, &query), due, "the index is damaged as well");
        let batch = Batch::new().append("s", Any, [NewEvent::binary("T", vec![]).expect("sound")]);
        let refused = batch.require_none(&query, 1_900).commit(&store).expect_err("it is violated");
        assert_eq!(refused.code(), crate::ErrorCode::Condition);
    }
}
