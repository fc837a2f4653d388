//! UmaDB's embedded engine, with the writer thread of its server, which groups concurrent appends.
//! An event has the stream as its tag; see `dcb` for how exact versions are checked. It knows no
//! buffered mode, and closing leaves nothing undone.

use std::{
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot, watch};
use umadb_core::{
    db::UmaDb,
    mvcc::{Mvcc, StorageOptions},
    writer_thread_blocking::writer_thread_blocking,
    writer_thread_request::WriterThreadRequest,
};
use umadb_dcb::{
    DcbAppendCondition, DcbError, DcbEvent, DcbEventStoreSync, DcbQuery, DcbQueryItem,
    DcbSequencedEvent,
};

use crate::{
    store::{Conflict, Event, Seen, Store},
    stores::dcb::Known,
};

/// How many requests wait, and how many events share a commit.
const QUEUE: usize = 1024;
const GROUP_EVENTS: usize = 5_000;

/// A read gathers what it returns, so a long one is made in steps.
const STEP: u32 = 5_000;

pub(crate) struct Umadb {
    database: UmaDb,
    requests: mpsc::Sender<WriterThreadRequest>,
    writer: JoinHandle<()>,
    known: Known,
}

impl Umadb {
    pub(crate) fn open(path: &Path, cache_bytes: u64) -> Umadb {
        let cache_mib = usize::try_from(cache_bytes >> 20).unwrap();
        let options = StorageOptions::default().db_path(path).page_cache_max_mb(cache_mib);
        let mvcc = Arc::new(Mvcc::new(false, options).unwrap());
        let (requests, queue) = mpsc::channel(QUEUE);
        let database = UmaDb::from_arc(Arc::clone(&mvcc));
        let (head, _) = watch::channel(None);
        let writer = thread::spawn(move || writer_thread_blocking(mvcc, queue, head, GROUP_EVENTS));
        Umadb { database, requests, writer, known: Known::default() }
    }

    fn read(&self, query: &DcbQuery, mut each: impl FnMut(DcbSequencedEvent)) {
        let mut start = None;
        loop {
            let read = self.database.read_with_head(Some(query.clone()), start, false, Some(STEP));
            let events = read.unwrap().0;
            let (count, last) = (events.len(), events.last().map(|event| event.position));
            events.into_iter().for_each(&mut each);
            if count < STEP as usize {
                break;
            }
            start = last.map(|last| last + 1);
        }
    }

    fn positions(&self, stream: &str) -> Vec<u64> {
        let mut positions = Vec::new();
        self.read(&query([stream]), |event| positions.push(event.position));
        positions
    }

    fn seen(&self, query: &DcbQuery) -> Seen {
        let mut seen = Seen::default();
        self.read(query, |event| {
            let metadata = event.event.metadata.first().map_or(0, |(_, value)| value.len());
            seen.add(event.event.data.len(), metadata);
        });
        seen
    }
}

impl Store for Umadb {
    fn append(&self, events: &[Event<'_>]) -> Result<(), Conflict> {
        let head = self.database.head().unwrap().unwrap_or(0);
        let condition = self.known.condition(events, head, |stream| self.positions(stream))?;
        let after = Some(condition.after).filter(|after| *after > 0);
        let guard = DcbAppendCondition::new(query(condition.streams)).after(after);
        let (response_tx, response) = oneshot::channel();
        let request = WriterThreadRequest::Append {
            events: events.iter().map(encode).collect(),
            condition: Some(guard),
            tracking_info: None,
            response_tx,
            cancel: None,
        };
        assert!(self.requests.blocking_send(request).is_ok());
        match response.blocking_recv().unwrap() {
            Ok(last) => self.known.appended(events, last),
            Err(DcbError::IntegrityError(_)) => return Err(Conflict),
            Err(error) => panic!("{error}"),
        }
        Ok(())
    }

    fn scan(&self) -> Seen {
        self.seen(&DcbQuery::new())
    }

    fn read_stream(&self, stream: &str) -> Seen {
        self.seen(&query([stream]))
    }

    fn close(self: Box<Self>) {
        assert!(self.requests.blocking_send(WriterThreadRequest::Shutdown).is_ok());
        self.writer.join().unwrap();
    }
}

fn query<'a>(streams: impl IntoIterator<Item = &'a str>) -> DcbQuery {
    DcbQuery::with_items(streams.into_iter().map(|stream| DcbQueryItem::new().tags([stream])))
}

fn encode(event: &Event<'_>) -> DcbEvent {
    DcbEvent::new()
        .event_type(event.kind)
        .tags([event.stream])
        .data(event.data)
        .metadata([("metadata", event.metadata), ("time", &event.time.to_string())])
}
