//! The state of one stream as it was.

use annals::{
    ErrorCode, EventStore, ExpectedVersion, Handlers, NewEvent, Timestamp, UpTo, UtcOffset,
};

use ExpectedVersion::Any;

fn at(store: &EventStore, stream: &str, amount: i64, time: Timestamp) {
    let event = NewEvent::json("Deposited", &amount).unwrap().timestamp(time);
    store.append(stream, Any, [event]).unwrap();
}

fn utc(micros: i64) -> Timestamp {
    Timestamp::utc(micros).unwrap()
}

fn handlers() -> Handlers<i64> {
    Handlers::new().when("Deposited", |balance: &mut i64, event| {
        *balance += event.json::<i64>()?;
        Ok(())
    })
}

/// Positions 1 to 7; the account's are 1, 3, 4, 6 and 7, with times out of order.
fn store() -> EventStore {
    let store = EventStore::in_memory().unwrap();
    at(&store, "account", 1, utc(100));
    at(&store, "other", 5_000, utc(150));
    at(&store, "account", 10, utc(300));
    at(&store, "account", 100, utc(200));
    store.append("other", Any, [NewEvent::json("Renamed", &1).unwrap()]).unwrap();
    at(&store, "account", 1_000, Timestamp::naive(250).unwrap());
    // One minute ahead of UTC says nothing about when it was.
    at(&store, "account", 10_000, Timestamp::new(400, UtcOffset::Minutes(1)).unwrap());
    store
}

#[track_caller]
fn check(store: &EventStore, up_to: UpTo, due: i64) {
    let state = store.reconstruct_state("account", 0, &handlers(), up_to).unwrap();
    assert_eq!(state, due, "{up_to:?}");
}

#[test]
fn up_to_a_version() {
    let store = store();
    for (version, due) in [(0, 0), (1, 1), (2, 11), (3, 111), (4, 1_111), (5, 11_111), (6, 11_111)]
    {
        check(&store, UpTo::Version(version), due);
    }
    check(&store, UpTo::Version(u64::MAX), 11_111);
    check(&store, UpTo::Now, 11_111);
    check(&store, UpTo::default(), 11_111);
}

#[test]
fn up_to_a_position_inclusive() {
    let store = store();
    let due = [(0, 0), (1, 1), (2, 1), (3, 11), (4, 111), (5, 111), (6, 1_111), (7, 11_111)];
    for (position, due) in due {
        check(&store, UpTo::Position(position), due);
    }
    check(&store, UpTo::Position(u64::MAX), 11_111);
}

#[test]
fn up_to_a_time_whatever_the_order() {
    let store = store();
    for (micros, due) in
        [(99, 0), (100, 1), (199, 1), (200, 101), (250, 1_101), (300, 1_111), (400, 11_111)]
    {
        check(&store, UpTo::Timestamp(utc(micros)), due);
        check(&store, UpTo::Timestamp(Timestamp::naive(micros).unwrap()), due);
    }
    check(&store, UpTo::Timestamp(utc(-1)), 0);
}

#[test]
fn a_stream_that_is_not_there_has_the_first_state() {
    let store = store();
    assert_eq!(store.reconstruct_state("none", 7, &handlers(), UpTo::Now).unwrap(), 7);
    let code = |stream: &str| {
        let state = store.reconstruct_state(stream, 0, &handlers(), UpTo::Now);
        state.unwrap_err().code()
    };
    assert_eq!(code(""), ErrorCode::InvalidArgument);
    assert_eq!(code(&"x".repeat(256)), ErrorCode::LimitExceeded);
}

#[test]
fn a_failing_handler_is_reported() {
    let store = store();
    let failing = Handlers::new().when("Deposited", |_: &mut i64, event| {
        if event.version() == 3 { Err("three".into()) } else { Ok(()) }
    });
    let error = store.reconstruct_state("account", 0, &failing, UpTo::Now).unwrap_err();
    assert_eq!(error.chain(), "the handler for Deposited failed at position 4: three");
    assert_eq!(store.reconstruct_state("account", 0, &failing, UpTo::Version(2)).unwrap(), 0);
}

#[test]
fn a_snapshot_is_used_when_it_is_not_past_the_point() {
    let store = store();
    let from =
        |up_to| store.reconstruct_state_from("snap", "account", 0, &handlers(), up_to).unwrap();
    assert_eq!(from(UpTo::Now), 11_111, "there is none yet");
    // Numbers that no events could have led to show which snapshot was used.
    store.save_snapshot("snap", 3, "500000").unwrap();
    store.save_snapshot("snap", 6, "600000").unwrap();
    assert_eq!(from(UpTo::Now), 610_000);
    assert_eq!(from(UpTo::Version(5)), 610_000);
    assert_eq!(from(UpTo::Version(4)), 600_000);
    assert_eq!(from(UpTo::Version(3)), 500_100);
    assert_eq!(from(UpTo::Version(2)), 500_000);
    assert_eq!(from(UpTo::Version(1)), 1);
    assert_eq!(from(UpTo::Position(7)), 610_000);
    assert_eq!(from(UpTo::Position(5)), 500_100);
    assert_eq!(from(UpTo::Position(2)), 1);
    assert_eq!(from(UpTo::Timestamp(utc(400))), 11_111, "times need not be in order");
    store.save_snapshot("snap", 7, "no number").unwrap();
    assert_eq!(from(UpTo::Now), 610_000, "anything that is not a state is ignored");
    let named = store.reconstruct_state_from("", "account", 0, &handlers(), UpTo::Now);
    assert_eq!(named.unwrap_err().code(), ErrorCode::InvalidArgument);
}
