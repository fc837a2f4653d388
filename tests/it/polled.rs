//! A subscription as a stream: a task waits without a thread.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use annals::{
    ErrorCode, EventStore, ExpectedVersion::Any, NewEvent, Query, QueryItem, Reader, Subscription,
};
use futures_core::{FusedStream, Stream};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

async fn next(events: &mut Subscription) -> Option<Result<u64, annals::Error>> {
    let next = poll_fn(|context| Pin::new(&mut *events).poll_next(context)).await;
    next.map(|event| event.map(|event| event.position()))
}

/// Polls once with a waker that does nothing.
fn poll(events: &mut Subscription) -> Poll<Option<u64>> {
    let polled = Pin::new(events).poll_next(&mut Context::from_waker(Waker::noop()));
    polled.map(|event| event.map(|event| event.unwrap().position()))
}

fn append(store: &EventStore, stream: &str) {
    store.append(stream, Any, [NewEvent::json("T", &1).unwrap()]).unwrap();
}

#[test]
fn history_comes_first_and_an_append_wakes_the_task() {
    let store = EventStore::in_memory().unwrap();
    append(&store, "s");
    append(&store, "other");
    let mut events = store.subscribe(1).unwrap().stream("s");
    assert_eq!(poll(&mut events), Poll::Ready(Some(1)));
    assert_eq!(poll(&mut events), Poll::Pending);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            block_on(async {
                for _ in 0..100 {
                    sender.send(next(&mut events).await.unwrap().unwrap()).unwrap();
                }
            });
        });
        for number in 0..100 {
            append(&store, "other");
            append(&store, "s");
            assert_eq!(receiver.recv().unwrap(), 4 + 2 * number);
        }
    });
}

#[test]
fn a_cancel_and_a_close_wake_the_task() {
    let store = EventStore::in_memory().unwrap();
    let mut cancelled = store.subscribe(1).unwrap();
    let mut closed = store.subscribe(1).unwrap();
    let handle = cancelled.cancel_handle();
    let cancelling = thread::spawn(move || {
        let ended = block_on(next(&mut cancelled)).is_none();
        (ended, cancelled.is_terminated(), block_on(next(&mut cancelled)).is_none())
    });
    handle.cancel();
    assert_eq!(cancelling.join().unwrap(), (true, true, true));
    let closing = thread::spawn(move || {
        let code = block_on(next(&mut closed)).unwrap().unwrap_err().code();
        (code, block_on(next(&mut closed)).is_none())
    });
    store.close().unwrap();
    assert_eq!(closing.join().unwrap(), (ErrorCode::Closed, true));
}

#[test]
fn many_tasks_of_one_thread_wait_at_once() {
    let store = EventStore::in_memory().unwrap();
    let mut all: Vec<Subscription> = (0..50).map(|_| store.subscribe(1).unwrap()).collect();
    assert!(all.iter_mut().all(|events| poll(events).is_pending()));
    append(&store, "s");
    assert!(all.iter_mut().all(|events| poll(events) == Poll::Ready(Some(1))));
    let mut refused = store.subscribe(1).unwrap().stream("");
    let code = block_on(next(&mut refused)).unwrap().unwrap_err().code();
    assert_eq!(code, ErrorCode::InvalidArgument);
}

struct Panic;

impl Wake for Panic {
    fn wake(self: Arc<Self>) {
        panic!("as the test wants it");
    }
}

#[test]
fn an_executor_that_panics_harms_no_append() {
    let directory = tempfile::tempdir().unwrap();
    for store in [EventStore::in_memory(), EventStore::open(directory.path().join("store"))] {
        let store = store.unwrap();
        let (mut events, mut others) = (store.subscribe(1).unwrap(), store.subscribe(1).unwrap());
        let (panic, count) = (Waker::from(Arc::new(Panic)), Arc::new(Count::default()));
        assert!(Pin::new(&mut events).poll_next(&mut Context::from_waker(&panic)).is_pending());
        let waker = Waker::from(Arc::clone(&count));
        assert!(Pin::new(&mut others).poll_next(&mut Context::from_waker(&waker)).is_pending());
        append(&store, "s");
        append(&store, "s");
        assert_eq!(poll(&mut events), Poll::Ready(Some(1)));
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "the others are woken");
        store.close().unwrap();
    }
}

#[derive(Default)]
struct Count(AtomicU64);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// An executor that runs a task where it is woken.
struct Inline(EventStore);

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        append(&self.0, "answer");
    }
}

#[test]
fn a_task_that_runs_where_it_is_woken_may_append() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::open(directory.path().join("store")).unwrap();
    let mut events = store.subscribe(1).unwrap();
    let waker = Waker::from(Arc::new(Inline(store.clone())));
    assert!(Pin::new(&mut events).poll_next(&mut Context::from_waker(&waker)).is_pending());
    append(&store, "s");
    assert_eq!(store.stream_version("answer").unwrap(), 1);
}

/// Rejects a poll that passes over everything that the filters leave out while other tasks of the
/// thread wait.
#[test]
fn a_poll_that_passes_over_much_gives_way() {
    let store = EventStore::in_memory().unwrap();
    let event = NewEvent::json("T", &1).unwrap();
    store.append("s", Any, vec![event.clone(); 99_999]).unwrap();
    store.append("s", Any, [NewEvent::json("Last", &1).unwrap(), event]).unwrap();
    let query = Query::new().item(QueryItem::new().types(["Last"]));
    for (mut events, at_once) in [
        (store.subscribe(1).unwrap().event_types(["Last"]), 2_000),
        (store.subscribe(1).unwrap().query(&query), 50_000),
    ] {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut polls = 1;
        while Pin::new(&mut events).poll_next(&mut Context::from_waker(&waker)).is_pending() {
            assert!(events.position() <= at_once * polls, "{} at {polls}", events.position());
            assert_eq!(count.0.load(Ordering::Relaxed), polls, "it is polled again");
            polls += 1;
        }
        assert_eq!(events.position(), 100_000);
        assert!(at_once * polls >= 100_000, "{polls} polls");
        // The search for the query first ends its part.
        (0..2).for_each(|_| assert_eq!(poll(&mut events), Poll::Pending));
        assert_eq!((events.position(), count.0.load(Ordering::Relaxed)), (100_001, polls - 1));
        events.cancel_handle().cancel();
        assert_eq!(poll(&mut events), Poll::Ready(None));
    }
}

#[test]
fn a_subscription_that_is_gone_or_elsewhere_leaves_no_waker() {
    let store = EventStore::in_memory().unwrap();
    let count = [Arc::new(Count::default()), Arc::new(Count::default())];
    let mut events = store.subscribe(1).unwrap();
    for one in &count {
        let waker = Waker::from(Arc::clone(one));
        assert!(Pin::new(&mut events).poll_next(&mut Context::from_waker(&waker)).is_pending());
    }
    let held = || [Arc::strong_count(&count[0]), Arc::strong_count(&count[1])];
    assert_eq!(held(), [1, 2], "the last task that it was polled in");
    drop(events);
    assert_eq!(held(), [1, 1]);
    append(&store, "s");
    assert_eq!(count[1].0.load(Ordering::Relaxed), 0);
}

#[test]
fn a_reader_is_woken_by_what_another_handle_writes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store, "s");
    let reader = Reader::open(&path).unwrap();
    let mut events = reader.subscribe(1).unwrap();
    let (sender, receiver) = mpsc::channel();
    let task = thread::spawn(move || {
        block_on(async {
            for _ in 0..5 {
                sender.send(next(&mut events).await.unwrap().unwrap()).unwrap();
            }
        });
    });
    for position in 1..=5 {
        assert_eq!(receiver.recv().unwrap(), position);
        append(&store, "s");
    }
    task.join().unwrap();
}
