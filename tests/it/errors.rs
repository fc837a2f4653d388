//! Errors as values: clones, causes, and stable numbers.

use std::{error::Error as _, fmt, io};

use annals::{
    AppendError, Error, ErrorCode, EventStore, ExpectedVersion, HandlerError, Handlers, NewEvent,
    Options, Projection, RecordedEvent,
};
use serde::{Deserialize, Serialize, Serializer};

#[derive(Debug, PartialEq)]
struct Sick(u64);

impl fmt::Display for Sick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sick of {}", self.0)
    }
}

impl std::error::Error for Sick {}

/// A store with one event.
fn store() -> EventStore {
    let store = EventStore::in_memory().unwrap();
    let event = NewEvent::json("T", &1).unwrap();
    store.append("s", ExpectedVersion::Any, [event]).unwrap();
    store
}

/// The error and a clone of it, which say the same.
fn twice(error: Error) -> [Error; 2] {
    let clone = error.clone();
    assert_eq!((clone.code(), clone.chain()), (error.code(), error.chain()));
    [error, clone]
}

#[test]
fn a_clone_of_an_error_has_its_cause() {
    let missing = Options::new().create(false).open("no/such/store").unwrap_err();
    for error in twice(missing) {
        let cause: &io::Error = error.source().unwrap().downcast_ref().unwrap();
        assert_eq!(cause.kind(), io::ErrorKind::NotFound);
        assert!(matches!(error, Error::Io { source, .. } if source.raw_os_error().is_some()));
    }
}

#[test]
fn a_clone_of_a_handlers_error_has_the_handlers_own() {
    let fail = |_: &mut u64, event: &RecordedEvent| -> Result<(), HandlerError> {
        Err(Box::new(Sick(event.position())))
    };
    let store = store();
    let mut failing = Projection::new("p", &store, 0, Handlers::new().when("T", fail));
    for error in twice(failing.catch_up().unwrap_err()) {
        assert_eq!(error.chain(), "the handler for T failed at position 1: sick of 1");
        assert_eq!(error.source().unwrap().downcast_ref::<Sick>(), Some(&Sick(1)));
        let Error::Handler { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(source.downcast_ref::<Sick>(), Some(&Sick(1)));
    }
}

#[test]
fn a_clone_of_a_refusal_has_its_conflicts() {
    let event = NewEvent::json("T", &1).unwrap();
    let refusal = store().append("s", ExpectedVersion::NoStream, [event]).unwrap_err();
    let clone = refusal.clone();
    assert_eq!(clone.to_string(), refusal.to_string());
    assert!(matches!(clone, AppendError::Conflict(conflict) if conflict.actual == 1));
    assert_eq!(refusal.code(), ErrorCode::VersionConflict);
}

/// A state that panics when it is saved after its first event.
#[derive(Default, Deserialize)]
struct Touchy(u64);

impl Serialize for Touchy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_eq!(self.0, 0, "a state that cannot be saved");
        serializer.serialize_u64(self.0)
    }
}

#[test]
fn a_defect_is_no_damage() {
    let store = EventStore::in_memory().unwrap();
    let count = |state: &mut Touchy, _: &RecordedEvent| -> Result<(), HandlerError> {
        state.0 += 1;
        Ok(())
    };
    let handlers = Handlers::new().when("T", count);
    let projection = Projection::new("p", &store, Touchy::default(), handlers);
    let live = projection.snapshot_every(1).live().unwrap();
    let event = NewEvent::json("T", &1).unwrap();
    store.append("s", ExpectedVersion::Any, [event]).unwrap();
    let failure = live.failure().unwrap();
    assert_eq!((failure.code(), ErrorCode::Internal as i32), (ErrorCode::Internal, -99));
    let words = "internal error in annals: a live projection stopped in the middle of an event";
    assert_eq!(failure.chain(), words);
    assert!(matches!(&*failure, Error::Internal { reason } if words.ends_with(reason)));
}
