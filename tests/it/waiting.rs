//! Damage to the journal of a store that is open, where only the journal has the bytes of events.

use std::path::Path;

use annals::{
    Error, ErrorCode, EventStore, Events, ExpectedVersion::Any, NewEvent, Options, salvage,
};

use crate::support::files::{active, flip, frames, sealed};

const EVENTS: u64 = 215;

fn data(position: u64) -> Vec<u8> {
    vec![position as u8; 1_000]
}

/// More than the tail keeps in memory, and less than a drain waits for.
fn fill(path: &Path) -> EventStore {
    let store = Options::new().journal_bytes(64 << 10).tail_bytes(128 << 10).open(path).unwrap();
    for position in 1..=EVENTS {
        let event = NewEvent::binary("T", data(position)).unwrap().tag("t");
        store.append(format!("s-{}", position % 3), Any, [event]).unwrap();
    }
    assert!(active(path).len() > 2 && sealed(path).is_empty(), "nothing is drained yet");
    store
}

/// The positions of the events before the first error, each of which is as it was appended.
#[track_caller]
fn served(events: Events) -> (Vec<u64>, Option<Error>) {
    let mut positions = Vec::new();
    for event in events {
        match event {
            Ok(event) => {
                assert!(event.data() == data(event.position()), "{} is altered", event.position());
                positions.push(event.position());
            }
            Err(error) => return (positions, Some(error)),
        }
    }
    (positions, None)
}

#[test]
fn bytes_that_change_on_the_disk_are_neither_served_nor_copied() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = fill(&path);
    let file = active(&path).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    flip(&file, frames(&bytes)[6].0 + 500);
    let (positions, error) = served(store.read_all());
    assert_eq!(positions, [1, 2, 3, 4, 5, 6]);
    assert!(matches!(error, Some(Error::Corrupted { position: Some(7), .. })), "{error:?}");
    let (positions, error) = served(store.read_stream("s-1"));
    assert!(positions.is_empty() || positions == [1, 4], "{positions:?}");
    assert_eq!(error.map(|error| error.code()), Some(ErrorCode::Corrupted));
    assert_eq!(served(store.read_all().from_position(8)).0.len() as u64, EVENTS - 7);
    // The drain of the close needs it.
    store.close().unwrap_err();
    assert!(!path.join("trees").join("damaged").exists(), "the trees are sound");
    let error = EventStore::open(&path).unwrap_err();
    assert!(matches!(error, Error::Corrupted { position: Some(7), .. }), "{error:?}");
    let mut saved = Vec::new();
    let report = salvage(&path, &mut saved).unwrap();
    assert_eq!((report.events, report.missing.len()), (EVENTS - 1, 1), "{:?}", report.missing);
}
