//! Tags and queries: every combination against a scan with a matching of its own.

use std::collections::BTreeSet;

use annals::{
    AppendError, Error, ErrorCode, EventStore, ExpectedVersion, ExportOptions, ImportOptions,
    NewEvent, Options, Query, QueryItem, Reader, RecordedEvent, limits,
};

use crate::support::seed::Random;

fn tags_of(event: &RecordedEvent) -> Vec<String> {
    event.tags().map(str::to_owned).collect()
}

fn append(store: &EventStore, event: NewEvent) -> Result<annals::Appended, AppendError> {
    store.append("s", ExpectedVersion::Any, [event])
}

fn plain() -> NewEvent {
    NewEvent::raw_json("T", "1").unwrap()
}

#[test]
fn tags_come_back_sorted_and_once_from_wherever_the_event_lies() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    append(&store, plain().tags(["b", "\u{fc}", "a", "b"]).tag("a:1")).unwrap();
    append(&store, plain()).unwrap();
    let expected: [&[&str]; 2] = [&["a", "a:1", "b", "\u{fc}"], &[]];
    let check = |events: Vec<RecordedEvent>| {
        let found: Vec<Vec<String>> = events.iter().map(tags_of).collect();
        assert_eq!(found, expected);
        assert_eq!(events[0].tags().len(), 4);
    };
    check(store.read_all().collect::<Result<_, _>>().unwrap());
    check(store.read_stream("s").collect::<Result<_, _>>().unwrap());
    store.close().unwrap();
    let store = EventStore::open(&path).unwrap();
    check(store.read_all().collect::<Result<_, _>>().unwrap());
    check(store.read_stream("s").collect::<Result<_, _>>().unwrap());
    store.close().unwrap();
    let reader = Reader::open(&path).unwrap();
    check(reader.read_stream("s").collect::<Result<_, _>>().unwrap());
    assert!(EventStore::open(&path).unwrap().verify().unwrap().findings.is_empty());
}

#[test]
fn tags_are_content_that_a_retry_must_repeat() {
    let store = EventStore::in_memory().unwrap();
    let id = uuid::Uuid::from_u128(1);
    append(&store, plain().id(id).tags(["a", "b"])).unwrap();
    assert!(append(&store, plain().id(id).tags(["b", "a", "a"])).unwrap().is_replay());
    for other in [plain().id(id), plain().id(id).tag("a"), plain().id(id).tags(["a", "c"])] {
        assert_eq!(append(&store, other).unwrap_err().code(), ErrorCode::DuplicateEventId);
    }
}

#[test]
fn each_limit_of_tags_holds_at_it_and_not_past_it() {
    let store = EventStore::in_memory().unwrap();
    let many = |count: usize| plain().tags((0..count).map(|number| format!("tag-{number}")));
    append(&store, many(limits::TAGS_MAX)).unwrap();
    let past = append(&store, many(limits::TAGS_MAX + 1)).unwrap_err();
    let AppendError::Failed(Error::LimitExceeded { what, limit, actual }) = past else {
        panic!("{past:?}");
    };
    assert_eq!((what, limit, actual), ("event (tags)", 1_000, 1_001));
    // Repeats do not count.
    append(&store, many(limits::TAGS_MAX).tags(["tag-1", "tag-2"])).unwrap();
    append(&store, plain().tag("x".repeat(255))).unwrap();
    let long = append(&store, plain().tag("x".repeat(256))).unwrap_err();
    assert_eq!(long.code(), ErrorCode::LimitExceeded);
    for wrong in ["", "a\0b"] {
        let refused = append(&store, plain().tag(wrong)).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidArgument, "{wrong:?}");
    }
    // Tags count towards the size of an event: of the stream, the type, the tag and the data.
    let sized = |bytes: usize| {
        let data = vec![0; limits::EVENT_BYTES_MAX - 2 - 3 + bytes];
        NewEvent::binary("T", data).unwrap().tag("abc")
    };
    append(&store, sized(0)).unwrap();
    assert_eq!(append(&store, sized(1)).unwrap_err().code(), ErrorCode::LimitExceeded);
    assert_eq!(store.head().unwrap(), 4);
}

#[test]
fn tags_go_through_ndjson_in_order() {
    let store = EventStore::in_memory().unwrap();
    let line = |tags: &str| {
        format!(
            "{{\"event_id\": 1, \"stream_id\": \"s\", \"event_type\": \"T\", \"data\": 1, \
             \"timestamp\": \"2024-05-01T12:30:00\", \"metadata\": null{tags}}}\n"
        )
    };
    let import = |store: &EventStore, text: &str| {
        store.import_ndjson(text.as_bytes(), &ImportOptions::new())
    };
    import(
        &store,
        &line(
            r#", "tags": ["b", "\u00fc", "a", "b"], "id": "00000000-0000-0000-0000-000000000001""#,
        ),
    )
    .unwrap();
    let mut text = Vec::new();
    store.export_ndjson(&mut text, &ExportOptions::new()).unwrap();
    let text = String::from_utf8(text).unwrap();
    let end = r#", "id": "00000000-0000-0000-0000-000000000001", "tags": ["a", "b", "\u00fc"]"#;
    assert_eq!(text, line(end));
    let again = EventStore::in_memory().unwrap();
    import(&again, &text).unwrap();
    assert_eq!(tags_of(&again.read_all().next().unwrap().unwrap()), ["a", "b", "\u{fc}"]);
    let none = EventStore::in_memory().unwrap();
    import(&none, &line(", \"tags\": []")).unwrap();
    let mut text = Vec::new();
    none.export_ndjson(&mut text, &ExportOptions::new()).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), line(""));
}

#[test]
fn tags_of_a_line_come_before_binary_data_and_have_the_limits_of_an_append() {
    let store = EventStore::in_memory().unwrap();
    let id = uuid::Uuid::from_u128(1);
    append(&store, NewEvent::binary("T", b"x".to_vec()).unwrap().tag("a").id(id)).unwrap();
    let mut text = Vec::new();
    store.export_ndjson(&mut text, &ExportOptions::new()).unwrap();
    let text = String::from_utf8(text).unwrap();
    let end =
        r#""id": "00000000-0000-0000-0000-000000000001", "tags": ["a"], "data_base64": "eA=="}"#;
    assert!(text.trim_end().ends_with(end), "{text}");

    let head = "{\"event_id\": 1, \"stream_id\": \"s\", \"event_type\": \"T\", \"data\": 1, \
                \"timestamp\": \"2024-05-01T12:30:00\", \"tags\": ";
    let import = |tags: Vec<String>| {
        let text = format!("{head}{}}}\n", serde_json::to_string(&tags).unwrap());
        let store = EventStore::in_memory().unwrap();
        let imported = store.import_ndjson(text.as_bytes(), &ImportOptions::new());
        imported.map(drop).map_err(|error| error.error)
    };
    let many = |count: usize| (0..count).map(|number| format!("tag-{number}")).collect::<Vec<_>>();
    import(many(limits::TAGS_MAX)).unwrap();
    import([many(limits::TAGS_MAX), many(3)].concat()).expect("repeats do not count");
    import(vec!["x".repeat(255)]).unwrap();
    for (tags, reason) in [
        (many(limits::TAGS_MAX + 1), "event (tags) exceeds the limit of 1000: 1001"),
        (vec!["x".repeat(256)], "tag (bytes) exceeds the limit of 255: 256"),
    ] {
        let Err(Error::Parse { line: 1, reason: found, .. }) = import(tags) else {
            panic!("a parse error was due: {reason}");
        };
        assert!(found.contains(reason), "{found}");
    }
}

#[test]
fn wrong_tags_of_a_line_are_named_with_their_column() {
    let head = "{\"event_id\": 1, \"stream_id\": \"s\", \"event_type\": \"T\", \"data\": 1, \
                \"timestamp\": \"2024-05-01T12:30:00\", \"tags\": ";
    for (tags, offset, reason) in [
        ("\"a\"", 0, "array of strings"),
        ("null", 0, "array of strings"),
        ("[\"a\", 1]", 6, "must be a string"),
        ("[\"\"]", 1, "empty"),
        ("[\"a\", \"b\\u0000\"]", 6, "NUL"),
    ] {
        let store = EventStore::in_memory().unwrap();
        let text = format!("{head}{tags}}}\n");
        let error = store.import_ndjson(text.as_bytes(), &ImportOptions::new()).unwrap_err().error;
        let Error::Parse { line: 1, column, reason: found } = error else { panic!("{error:?}") };
        assert_eq!(column, (head.len() + offset + 1) as u64, "{tags}");
        assert!(found.contains(reason), "{tags}: {found}");
    }
}

#[test]
fn a_query_that_means_nothing_is_refused() {
    let store = EventStore::in_memory().unwrap();
    let item = QueryItem::new;
    let code = |query: &Query| {
        let first = store.query(query).next().unwrap().unwrap_err();
        assert_eq!(query.check().unwrap_err().code(), first.code());
        first.code()
    };
    for query in [
        Query::new(),
        Query::new().item(item()),
        Query::all().item(item().tags(["a"])),
        Query::new().item(item().tags([""])),
        Query::new().item(item().types(["a\0"])),
        Query::new().item(item().stream("")),
    ] {
        assert_eq!(code(&query), ErrorCode::InvalidArgument, "{query:?}");
    }
    let numbered = |count: usize| (0..count).map(|number| number.to_string());
    let items = |count: usize| numbered(count).fold(Query::new(), |q, n| q.item(item().tags([n])));
    for (exact, past) in [
        (items(1_000), items(1_001)),
        (
            Query::new().item(item().types(numbered(1_000))),
            Query::new().item(item().types(numbered(1_001))),
        ),
        (
            Query::new().item(item().tags(numbered(1_000))),
            Query::new().item(item().tags(numbered(1_001))),
        ),
        (
            Query::new().item(item().tags(["x".repeat(255)])),
            Query::new().item(item().tags(["x".repeat(256)])),
        ),
    ] {
        exact.check().unwrap();
        assert_eq!(store.query(&exact).count(), 0);
        assert_eq!(code(&past), ErrorCode::LimitExceeded);
    }
    let query = Query::new().item(item().tags(["a"]));
    for read in [
        store.read_all().event_types(["T"]).query(&query),
        store.read_all().stream_prefix("s").query(&query),
        store.read_stream("s").query(&query),
    ] {
        assert_eq!(read.check().unwrap_err().code(), ErrorCode::InvalidArgument);
    }
}

#[test]
fn queries_find_events_of_which_none_is_in_the_tail() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = EventStore::open(&path).unwrap();
    let large = NewEvent::binary("T", vec![7; 4 << 20]).unwrap();
    append(&store, large.clone().tag("a")).unwrap();
    append(&store, large.tag("b")).unwrap();
    store.close().unwrap();
    let files = std::fs::read_dir(path.join("journal")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(names.iter().all(|name| name.extension().is_some_and(|end| end == "sealed")));
    let query = Query::new().item(QueryItem::new().tags(["a"]));
    assert_eq!(Reader::open(&path).unwrap().query(&query).count(), 1);
    let store = EventStore::open(&path).unwrap();
    assert_eq!(store.query(&query).count(), 1);
    let batch = annals::Batch::new().append("s", ExpectedVersion::Any, [plain()]);
    let refused = batch.require_none(&query, 0).commit(&store).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Condition);
}

#[test]
fn a_query_is_bounded_by_positions_and_times() {
    let store = EventStore::in_memory().unwrap();
    for second in 0..6_i64 {
        let time = annals::Timestamp::utc(second * 1_000_000).unwrap();
        append(&store, plain().tag("t").timestamp(time)).unwrap();
    }
    let query = Query::new().item(QueryItem::new().tags(["t"]));
    let at = |second: i64| annals::Timestamp::utc(second * 1_000_000).unwrap();
    let positions = |events: annals::Events| -> Vec<u64> {
        events.map(|event| event.unwrap().position()).collect()
    };
    let all = || store.read_all().query(&query);
    assert_eq!(positions(all().since(at(2)).until(at(4))), [3, 4, 5]);
    assert_eq!(positions(all().until_position(3).since(at(1))), [2, 3]);
    assert_eq!(positions(all().backward().until_position(4)), [6, 5, 4]);
    assert_eq!(positions(all().since(at(2)).limit(1)), [3]);
}

/// A query as a list of what its items ask for, matched without any of the library's code.
#[derive(Clone, Debug)]
struct Asked {
    items: Vec<(BTreeSet<String>, BTreeSet<String>, Option<String>)>,
}

impl Asked {
    fn random(random: &mut Random) -> Asked {
        let item = |random: &mut Random| loop {
            let some = |random: &mut Random, names: &[&str]| -> BTreeSet<String> {
                let count = [0, 0, 1, 1, 2, 3][random.below(6) as usize];
                let pick = |_| names[random.below(names.len() as u64) as usize].to_owned();
                (0..count).map(pick).collect()
            };
            let types = some(random, &TYPES);
            let tags = some(random, &TAGS);
            let stream = (random.below(4) == 0).then(|| format!("stream-{}", random.below(4)));
            if !types.is_empty() || !tags.is_empty() || stream.is_some() {
                return (types, tags, stream);
            }
        };
        Asked { items: (0..1 + random.below(3)).map(|_| item(random)).collect() }
    }

    fn query(&self) -> Query {
        self.items.iter().fold(Query::new(), |query, (types, tags, stream)| {
            let item = QueryItem::new().types(types.iter().cloned()).tags(tags.iter().cloned());
            query.item(match stream {
                Some(stream) => item.stream(stream.clone()),
                None => item,
            })
        })
    }

    fn matches(&self, event: &RecordedEvent) -> bool {
        let own: BTreeSet<String> = event.tags().map(str::to_owned).collect();
        self.items.iter().any(|(types, tags, stream)| {
            (types.is_empty() || types.contains(event.event_type()))
                && tags.is_subset(&own)
                && stream.as_ref().is_none_or(|stream| stream == event.stream_id())
        })
    }
}

const TYPES: [&str; 4] = ["A", "B", "C", "Missing"];
const TAGS: [&str; 7] = ["t", "t:1", "t:2", "t:23", "u", "\u{fc}", "missing"];

fn random_event(random: &mut Random) -> (String, NewEvent) {
    let event_type = TYPES[random.below(3) as usize];
    let count = [0, 1, 1, 2, 4][random.below(5) as usize];
    let tags: Vec<&str> = (0..count).map(|_| TAGS[random.below(6) as usize]).collect();
    let data = "x".repeat(random.below(40) as usize);
    let event = NewEvent::json(event_type, &data).unwrap().tags(tags);
    (format!("stream-{}", random.below(4)), event)
}

/// Asks every question in both directions, from everywhere and up to every limit.
fn check_queries(
    random: &mut Random,
    all: &[RecordedEvent],
    query: impl Fn(&Query) -> annals::Found,
) {
    let head = all.len() as u64;
    for _ in 0..60 {
        let asked = Asked::random(random);
        let is_backward = random.below(2) == 0;
        let from = (random.below(2) == 0).then(|| random.below(head + 3));
        let limit = (random.below(2) == 0).then(|| random.below(7));
        let mut expected: Vec<u64> = all
            .iter()
            .filter(|event| asked.matches(event))
            .map(RecordedEvent::position)
            .filter(|at| match (from, is_backward) {
                (None, _) => true,
                (Some(from), false) => *at >= from,
                (Some(from), true) => *at <= from,
            })
            .collect();
        if is_backward {
            expected.reverse();
        }
        if let Some(limit) = limit {
            expected.truncate(limit as usize);
        }
        let mut found = query(&asked.query());
        if is_backward {
            found = found.backward();
        }
        if let Some(from) = from {
            found = found.from_position(from);
        }
        if let Some(limit) = limit {
            found = found.limit(limit);
        }
        let due = match limit {
            Some(0) if !is_backward => 0,
            Some(limit) if !is_backward && expected.len() as u64 == limit => {
                *expected.last().unwrap()
            }
            _ => head,
        };
        assert_eq!(found.head(), due, "{asked:?} {from:?} {limit:?} {is_backward}");
        let positions: Vec<u64> = found.map(|event| event.unwrap().position()).collect();
        assert_eq!(positions, expected, "{asked:?} {from:?} {limit:?} {is_backward}");
    }
    let everything = query(&Query::all()).map(|event| event.unwrap().position());
    assert!(everything.eq(1..=head));
}

#[test]
fn queries_find_what_a_scan_finds_wherever_the_events_lie() {
    let mut random = Random::new();
    for round in 0..6 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let options = Options::new().tail_bytes(1 << 20).journal_bytes(64 << 10);
        let mut store = options.clone().open(&path).unwrap();
        for _ in 0..3 {
            for _ in 0..random.below(400) {
                let (stream, event) = random_event(&mut random);
                store.append(stream, ExpectedVersion::Any, [event]).unwrap();
            }
            if round % 4 == 0 {
                // A close seals a file of this size: nothing is left for the next tail.
                let wide = NewEvent::binary("A", vec![0; 300 << 10]).unwrap();
                store.append("stream-0", ExpectedVersion::Any, [wide.tag("u")]).unwrap();
            }
            let all: Vec<_> = store.read_all().collect::<Result<_, _>>().unwrap();
            check_queries(&mut random, &all, |query| store.query(query));
            let reader = Reader::open(&path).unwrap();
            check_queries(&mut random, &all, |query| reader.query(query));
            if round % 2 == 0 {
                store.close().unwrap();
                let reader = Reader::open(&path).unwrap();
                check_queries(&mut random, &all, |query| reader.query(query));
                store = options.clone().open(&path).unwrap();
                check_queries(&mut random, &all, |query| store.query(query));
            }
        }
        assert_eq!(store.verify().unwrap().findings, []);
        store.close().unwrap();
        // Rebuilt trees have the index as well.
        std::fs::remove_dir_all(path.join("trees")).unwrap();
        let store = options.open(&path).unwrap();
        let all: Vec<_> = store.read_all().collect::<Result<_, _>>().unwrap();
        check_queries(&mut random, &all, |query| store.query(query));
        assert_eq!(store.verify().unwrap().findings, []);
    }
}

#[test]
fn a_subscription_delivers_what_matches_and_passes_over_the_rest() {
    let store = EventStore::in_memory().unwrap();
    let query = Query::new().item(QueryItem::new().tags(["t"]));
    let mut events = store.subscribe(1).unwrap().query(&query);
    let now = std::time::Duration::ZERO;
    assert!(events.next_timeout(now).unwrap().is_none());
    append(&store, plain()).unwrap();
    append(&store, plain().tag("t")).unwrap();
    append(&store, plain().tag("u")).unwrap();
    assert_eq!(events.next_timeout(now).unwrap().map(|event| event.position()), Some(2));
    assert!(events.next_timeout(now).unwrap().is_none());
    assert_eq!(events.position(), 3, "what does not match is passed over");
    append(&store, plain().tag("t")).unwrap();
    assert_eq!(events.next().unwrap().unwrap().position(), 4);
}

#[test]
fn the_head_of_a_query_is_that_of_all_its_choices() {
    let store = EventStore::in_memory().unwrap();
    for _ in 0..10 {
        append(&store, plain().tag("t")).unwrap();
    }
    let found = store.query(&Query::new().item(QueryItem::new().tags(["t"])));
    assert_eq!(found.head(), 10);
    let found = found.limit(2);
    assert_eq!(found.head(), 2);
    assert_eq!(found.limit(0).backward().head(), 10, "backwards a limit changes nothing");
}
