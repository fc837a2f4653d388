//! Annals as UmaDB and Tephra are used: an event has the stream as its tag, and an append is
//! guarded by a condition in the place of a version. See `dcb`.

use std::path::Path;

use annals::{
    AppendError, Batch, Durability, EventStore, ExpectedVersion::Any, Options, Query, QueryItem,
};

use crate::{
    store::{Conflict, Event, Mode, Seen, Store},
    stores::{
        annals::{new_event, seen},
        dcb::Known,
    },
};

/// Every event is in this stream: decisions do not rest on streams.
const STREAM: &str = "events";

pub(crate) struct AnnalsDcb {
    store: EventStore,
    known: Known,
}

impl AnnalsDcb {
    pub(crate) fn open(path: &Path, mode: Mode, cache_bytes: u64) -> AnnalsDcb {
        let durability = match mode {
            Mode::Durable => Durability::Sync,
            Mode::Buffered => Durability::buffered(),
        };
        let options = Options::new().durability(durability).cache_bytes(cache_bytes);
        AnnalsDcb { store: options.open(path.join("store")).unwrap(), known: Known::default() }
    }

    fn positions(&self, stream: &str) -> Vec<u64> {
        self.store.query(&by_tag([stream])).map(|event| event.unwrap().position()).collect()
    }
}

impl Store for AnnalsDcb {
    fn append(&self, events: &[Event<'_>]) -> Result<(), Conflict> {
        let head = self.store.head().unwrap();
        let condition = self.known.condition(events, head, |stream| self.positions(stream))?;
        let tagged = events.iter().map(|event| new_event(event).tag(event.stream));
        let batch = Batch::new().append(STREAM, Any, tagged);
        let batch = batch.require_none(&by_tag(condition.streams), condition.after);
        match batch.commit(&self.store) {
            Ok(committed) => self.known.appended(events, *committed.positions().end()),
            Err(AppendError::Condition(_)) => return Err(Conflict),
            Err(error) => panic!("{error}"),
        }
        Ok(())
    }

    fn scan(&self) -> Seen {
        seen(self.store.read_all())
    }

    fn read_stream(&self, stream: &str) -> Seen {
        seen(self.store.query(&by_tag([stream])))
    }

    fn close(self: Box<Self>) {
        self.store.close().unwrap();
    }
}

/// The events of these streams.
fn by_tag<'a>(streams: impl IntoIterator<Item = &'a str>) -> Query {
    streams
        .into_iter()
        .fold(Query::new(), |query, stream| query.item(QueryItem::new().tags([stream])))
}
