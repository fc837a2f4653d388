//! Events as the variants of an enum, there and back, and the handlers for them.

use std::panic::catch_unwind;

use annals::{
    Error, EventStore, ExpectedVersion::Any, Handlers, NewEvent, Projection, RecordedEvent,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum OrderEvent {
    Placed,
    Paid(u128),
    Moved(i64, String),
    ItemAdded {
        sku: String,
        quantity: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    #[serde(rename = "order-closed", alias = "OrderEnded")]
    Closed {
        by: Person,
    },
    Empty(),
    Bare {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Person {
    Customer,
    Clerk(u32),
}

fn recorded(event: NewEvent) -> RecordedEvent {
    let store = EventStore::in_memory().unwrap();
    store.append("s", Any, [event]).unwrap();
    store.read_all().next().unwrap().unwrap()
}

#[track_caller]
fn check(event: &OrderEvent, event_type: &str, data: &str) {
    let new = NewEvent::of(event).unwrap();
    assert_eq!((new.event_type(), str::from_utf8(new.data()).unwrap()), (event_type, data));
    assert_eq!(recorded(new).to::<OrderEvent>().unwrap(), *event);
}

#[test]
fn a_variant_becomes_a_type_and_its_content_the_data() {
    check(&OrderEvent::Placed, "Placed", "null");
    check(&OrderEvent::Paid(u128::MAX), "Paid", "340282366920938463463374607431768211455");
    check(&OrderEvent::Moved(i64::MIN, "ab".into()), "Moved", r#"[-9223372036854775808,"ab"]"#);
    let item = |note| OrderEvent::ItemAdded { sku: "\"t\"".into(), quantity: 2, note };
    check(&item(None), "ItemAdded", r#"{"sku":"\"t\"","quantity":2}"#);
    check(&item(Some("x".into())), "ItemAdded", r#"{"sku":"\"t\"","quantity":2,"note":"x"}"#);
    let closed = |by| OrderEvent::Closed { by };
    check(&closed(Person::Customer), "order-closed", r#"{"by":"Customer"}"#);
    check(&closed(Person::Clerk(7)), "order-closed", r#"{"by":{"Clerk":7}}"#);
    check(&OrderEvent::Empty(), "Empty", "[]");
    check(&OrderEvent::Bare {}, "Bare", "{}");
}

#[test]
fn numbers_keep_their_digits() {
    #[derive(Serialize, Deserialize)]
    enum Measured {
        Exactly(Box<RawValue>),
        About(f64),
    }
    let digits = "0.1000000000000000055511151231257827021181583404541015625";
    let exact = Measured::Exactly(RawValue::from_string(digits.to_owned()).unwrap());
    let event = recorded(NewEvent::of(&exact).unwrap());
    assert_eq!(event.data(), digits.as_bytes());
    let Measured::Exactly(read) = event.to().unwrap() else { panic!("another variant") };
    assert_eq!(read.get(), digits);
    for number in [5e-324, f64::MAX, 0.1 + 0.2] {
        let event = recorded(NewEvent::of(&Measured::About(number)).unwrap());
        let Measured::About(read) = event.to().unwrap() else { panic!("another variant") };
        assert_eq!(read.to_bits(), number.to_bits());
    }
}

#[test]
fn what_wraps_an_enum_is_that_enum() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapped(Box<OrderEvent>);

    let wrapped = Wrapped(Box::new(OrderEvent::Paid(3)));
    let event = recorded(NewEvent::of(&wrapped).unwrap());
    assert_eq!((event.event_type(), event.data()), ("Paid", &b"3"[..]));
    assert_eq!(event.to::<Wrapped>().unwrap(), wrapped);
    assert_eq!(Handlers::new().each(|(): &mut (), _: Wrapped, _| Ok(())).event_types().len(), 8);
}

#[track_caller]
fn refused<T: DeserializeOwned + std::fmt::Debug>(event: NewEvent, due: &str) {
    let error = recorded(event).to::<T>().unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error:?}");
    assert_eq!(error.to_string(), due);
}

#[test]
fn what_is_no_variant_is_an_error_that_says_why() {
    let known = "Placed, Paid, Moved, ItemAdded, OrderEnded, order-closed, Empty, Bare";
    refused::<OrderEvent>(
        NewEvent::json("Burnt", &1).unwrap(),
        &format!("invalid event type: event at position 1: \"Burnt\" is not one of {known}"),
    );
    refused::<OrderEvent>(
        NewEvent::json("Moved", &"x").unwrap(),
        "invalid data: event at position 1: invalid type: string \"x\", expected tuple \
         variant OrderEvent::Moved at line 1 column 3",
    );
    refused::<OrderEvent>(
        NewEvent::raw_json("ItemAdded", "{\"sku\": \"tea\"}").unwrap(),
        "invalid data: event at position 1: missing field `quantity` at line 1 column 14",
    );
    // An unknown variant inside of the data is not one of the event.
    refused::<OrderEvent>(
        NewEvent::raw_json("order-closed", "{\"by\": \"Ghost\"}").unwrap(),
        "invalid data: event at position 1: unknown variant `Ghost`, expected `Customer` or \
         `Clerk` at line 1 column 14",
    );
    refused::<OrderEvent>(
        NewEvent::json("Placed", &1).unwrap(),
        "invalid data: event at position 1: invalid type: integer `1`, expected unit at \
         line 1 column 1",
    );
    refused::<OrderEvent>(
        NewEvent::binary("Paid", "1").unwrap(),
        "invalid data: event at position 1: it is binary, not JSON",
    );
    refused::<u64>(
        NewEvent::json("Paid", &1).unwrap(),
        "invalid data: event at position 1: the target type is not an enum in serde's default \
             form (externally tagged)",
    );
    assert_eq!(
        recorded(NewEvent::raw_json("OrderEnded", "{\"by\":\"Customer\"}").unwrap())
            .to::<OrderEvent>()
            .unwrap(),
        OrderEvent::Closed { by: Person::Customer }
    );
}

#[test]
fn what_is_no_enum_makes_no_event() {
    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Paid { cents: u64 },
    }
    #[derive(Serialize)]
    enum Odd {
        Keys(std::collections::BTreeMap<Vec<u8>, u8>),
    }
    let refused = [
        NewEvent::of(&Tagged::Paid { cents: 1 }),
        NewEvent::of(&1),
        NewEvent::of("text"),
        NewEvent::of(&Some(OrderEvent::Placed)),
        NewEvent::of(&[OrderEvent::Placed][..]),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert!(error.to_string().starts_with("invalid event: it is not an enum"), "{error}");
    }
    let odd = NewEvent::of(&Odd::Keys([(vec![1], 1)].into())).unwrap_err();
    assert_eq!(
        odd.to_string(),
        "invalid event: it cannot be written as JSON: key must be a string"
    );
}

/// Data of any depth that an append takes, and no deeper.
#[test]
fn content_nests_as_deep_as_other_data() {
    #[derive(Debug, Serialize, Deserialize)]
    enum Nested {
        Deep(serde_json::Value),
    }
    let nested =
        |depth| (1..depth).fold(serde_json::json!([]), |value, _| serde_json::json!([value]));
    let event = recorded(NewEvent::of(&Nested::Deep(nested(128))).unwrap());
    let Nested::Deep(read) = event.to().unwrap();
    assert_eq!(read, nested(128));
    assert!(NewEvent::of(&Nested::Deep(nested(129))).is_err());
}

type Seen = Vec<String>;

fn state(store: &EventStore, handlers: Handlers<Seen>) -> Result<Seen, Error> {
    let mut projection = Projection::new("seen", store, Seen::new(), handlers);
    projection.catch_up().map(|_| projection.state().clone())
}

fn store() -> EventStore {
    let store = EventStore::in_memory().unwrap();
    let event = |event| NewEvent::of(&event).unwrap();
    let other = NewEvent::json("Burnt", &1).unwrap();
    let events = [event(OrderEvent::Paid(1)), other, event(OrderEvent::Placed)];
    store.append("s", Any, events).unwrap();
    store
}

#[test]
fn each_takes_the_variants_and_otherwise_the_rest() {
    let each = || {
        Handlers::new().each(|seen: &mut Seen, event: OrderEvent, recorded| {
            seen.push(format!("{event:?} at {}", recorded.position()));
            Ok(())
        })
    };
    let rest = |seen: &mut Seen, event: &RecordedEvent| {
        seen.push(format!("rest {}", event.event_type()));
        Ok(())
    };
    let store = store();
    assert_eq!(state(&store, each()).unwrap(), ["Paid(1) at 1", "Placed at 3"]);
    assert!(each().handles("Placed") && !each().handles("Burnt"));

    let both = each().otherwise(rest);
    assert!(both.handles("Burnt") && both.clone().handles("Burnt"));
    assert_eq!(both.event_types(), each().event_types());
    assert_eq!(state(&store, both).unwrap(), ["Paid(1) at 1", "rest Burnt", "Placed at 3"]);
    // The last one that names a type has it.
    let when = each().when("Paid", rest).when("Burnt", rest);
    assert_eq!(state(&store, when).unwrap(), ["rest Paid", "rest Burnt", "Placed at 3"]);
    let each_last = Handlers::new().when("Paid", rest).otherwise(rest);
    assert_eq!(state(&store, each_last).unwrap(), ["rest Paid", "rest Burnt", "rest Placed"]);
}

#[test]
fn an_enum_with_a_variant_for_others_takes_them_too() {
    #[derive(Debug, Deserialize)]
    enum Some {
        Paid(u64),
        #[serde(other)]
        Other,
    }
    let handlers = Handlers::new().each(|seen: &mut Seen, event: Some, _| {
        if let Some::Paid(cents) = event {
            assert_eq!(cents, 1);
        }
        seen.push(format!("{event:?}"));
        Ok(())
    });
    assert_eq!(state(&store(), handlers).unwrap(), ["Paid(1)", "Other", "Other"]);
    let binary = NewEvent::binary("Photographed", [0xFF]).unwrap();
    assert!(matches!(recorded(binary).to::<Some>().unwrap(), Some::Other));
}

#[test]
fn data_that_does_not_fit_stops_a_projection_there() {
    let store = store();
    store.append("s", Any, [NewEvent::json("Paid", &"x").unwrap()]).unwrap();
    let handlers = Handlers::new().each(|_: &mut Seen, _: OrderEvent, _| Ok(()));
    let error = state(&store, handlers).unwrap_err();
    assert!(matches!(error, Error::Handler { position: 4, .. }), "{error:?}");
}

#[test]
fn handlers_for_what_is_no_enum_do_not_come_about() {
    let made = catch_unwind(|| Handlers::new().each(|(): &mut (), _: u64, _| Ok(())));
    let text = *made.unwrap_err().downcast::<String>().unwrap();
    assert!(text.ends_with("and u64 is not one"), "{text}");
}

#[test]
fn types_are_counted() {
    let store = store();
    store.append("t", Any, [NewEvent::json("Burnt", &2).unwrap()]).unwrap();
    let due = [("Burnt".to_owned(), 2), ("Paid".to_owned(), 1), ("Placed".to_owned(), 1)];
    assert_eq!(store.event_types().unwrap(), due);
    assert!(EventStore::in_memory().unwrap().event_types().unwrap().is_empty());
}
