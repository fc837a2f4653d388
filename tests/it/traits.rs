//! What the types of the API can be used for: shared by threads, moved to one, printed.

use std::{fmt::Debug, panic::UnwindSafe};

use annals::{
    AppendError, Appended, Error, EventStore, Events, ExpectedVersion, Handlers, LiveProjection,
    Loaded, Metrics, NewEvent, Options, Projection, Reader, RecordedEvent, Report, Snapshot,
    Streams, Subscription, Timestamp, Upcasters, UpdateError,
};

fn shared<T: Send + Sync + Debug + 'static>() {}

fn moved<T: Send + Debug + 'static>() {}

/// A type that loses one of these is another API.
#[test]
fn threads_may_share_and_take_what_they_need() {
    shared::<EventStore>();
    shared::<Reader>();
    shared::<Options>();
    shared::<Upcasters>();
    shared::<NewEvent>();
    shared::<RecordedEvent>();
    shared::<Appended>();
    shared::<ExpectedVersion>();
    shared::<Timestamp>();
    shared::<Snapshot>();
    shared::<Report>();
    shared::<Metrics>();
    shared::<Loaded<u64>>();
    shared::<Error>();
    shared::<AppendError>();
    shared::<UpdateError<String>>();
    shared::<Handlers<u64>>();
    shared::<LiveProjection<u64>>();
    moved::<Events>();
    moved::<Streams>();
    moved::<Subscription>();
    moved::<Projection<u64>>();
}

#[test]
fn values_may_cross_a_caught_panic() {
    fn crosses<T: UnwindSafe>() {}
    crosses::<NewEvent>();
    crosses::<RecordedEvent>();
    crosses::<Timestamp>();
}
