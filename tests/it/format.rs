//! The format on the disk: stores of earlier versions open forever, and files that are not what
//! they were are found out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::units::{AppendUnits, Unit};
use annals::{
    Error, ErrorCode, EventStore, ExpectedVersion, NewEvent, Options, Query, QueryItem,
    SnapshotKey, Timestamp,
};

use crate::support::{
    files::{active, copy, copy_moment, frames, unpublish},
    trees::open_trees,
};

/// Small stores of each format version, which are not made anew once that is released: `clean` was
/// closed, `killed` was not, `saved` was not and has what consumers save. Made by
/// `ANNALS_WRITE_FIXTURES=tests/fixtures/v1 cargo test --test it fixtures_are_written_on_request`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// What the fixtures hold: every kind of event, small and split.
fn units(round: u64) -> Vec<Vec<Unit>> {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let naive = time("2024-05-01T12:30:00.000001");
    let json = NewEvent::raw_json("OrderPlaced", "{\"total\": 10.50, \"n\": [1, 2]}").unwrap();
    let json = json.timestamp(naive).metadata(&serde_json::json!({"user": "ada"})).unwrap();
    let binary =
        NewEvent::binary("Photographed", vec![round as u8; if round == 7 { 70_000 } else { 70 }])
            .unwrap();
    let binary = binary.timestamp(time("2024-05-01T14:30:00+02:00"));
    let id = uuid::Uuid::from_u128(u128::from(round) + 1);
    let with_id = NewEvent::json("Paid", &round).unwrap().id(id).timestamp(naive);
    let with_id = with_id.tags([format!("round:{round}"), "paid".to_owned()]);
    let empty = NewEvent::binary("Closed", []).unwrap().timestamp(time("1969-12-31T23:59:59Z"));
    let order = format!("order-{round}");
    vec![
        vec![Unit::to(order.clone(), ExpectedVersion::NoStream, [json])],
        vec![
            Unit::to(order.clone(), ExpectedVersion::Exact(1), [binary, with_id]),
            Unit::to("caf\u{e9}", ExpectedVersion::Any, [empty]),
        ],
    ]
}

const ROUNDS: u64 = 20;

fn fill(store: &EventStore) {
    for round in 0..ROUNDS {
        for unit in units(round) {
            store.append_multi(unit).unwrap();
        }
    }
}

#[track_caller]
fn check_contents(store: &EventStore) {
    let expected = EventStore::in_memory().unwrap();
    fill(&expected);
    assert_eq!(store.head().unwrap(), 4 * ROUNDS);
    for (one, other) in store.read_all().zip(expected.read_all()) {
        assert_eq!(one.unwrap(), other.unwrap());
    }
    assert_eq!(store.read_stream("caf\u{e9}").count() as u64, ROUNDS);
    let by_tag = |tag: &str| store.query(&Query::new().item(QueryItem::new().tags([tag]))).count();
    assert_eq!((by_tag("paid") as u64, by_tag("round:7")), (ROUNDS, 1));
    assert_eq!(store.verify().unwrap().findings, []);
}

#[test]
fn stores_of_format_1_open() {
    for name in ["v1/clean", "v1/killed"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        copy(&fixture(name), &path);
        for _ in 0..2 {
            let store = Options::new().create(false).open(&path).unwrap();
            check_contents(&store);
            // An exact retry finds the ids.
            let paid = NewEvent::json("Paid", &0).unwrap().id(uuid::Uuid::from_u128(1));
            let paid = paid.tags(["paid", "round:0"]);
            let again = store.append("order-0", ExpectedVersion::NoStream, [paid]).unwrap();
            assert_eq!((again.positions(), again.versions()), (3..=3, 3..=3));
        }
        let store = EventStore::open(&path).unwrap();
        store.append("new", ExpectedVersion::NoStream, [NewEvent::json("T", &1).unwrap()]).unwrap();
        assert_eq!(store.verify().unwrap().findings, []);
    }
}

/// What consumers had saved in the fixture `saved`, which was left as by a kill: first what is in
/// the trees and in sealed files, then what came after that.
fn save(store: &EventStore) {
    let large: Vec<u8> = (0..40_000_u32).map(|n| (n % 251) as u8).collect();
    store.save_checkpoint("mailer", 7).unwrap();
    store.save_snapshot("large", 20, large).unwrap();
    store.save_snapshot(SnapshotKey::of_projection("sums", 3), 30, b"{\"a\":1}").unwrap();
}

fn save_later(store: &EventStore) {
    store.save_checkpoint("mailer", 60).unwrap();
    store.save_checkpoint("caf\u{e9}", 61).unwrap();
    store.save_snapshot(SnapshotKey::of_projection("sums", 3), 62, b"{\"a\":2}").unwrap();
    store.save_snapshot("empty", 0, b"").unwrap();
}

#[test]
fn what_was_saved_in_stores_of_format_1_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    copy(&fixture("v1/saved"), &path);
    let expected = EventStore::in_memory().unwrap();
    fill(&expected);
    save(&expected);
    save_later(&expected);
    for _ in 0..2 {
        let store = Options::new().create(false).open(&path).unwrap();
        check_contents(&store);
        for name in ["mailer", "caf\u{e9}", "none"] {
            assert_eq!(store.checkpoint(name).unwrap(), expected.checkpoint(name).unwrap());
        }
        let listed = |store: &EventStore| store.snapshots().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(listed(&store), listed(&expected));
        for info in listed(&expected) {
            let load = |store: &EventStore| store.load_snapshot(info.key.clone()).unwrap().unwrap();
            assert_eq!(load(&store).data(), load(&expected).data());
        }
        store.close().unwrap();
    }
}

/// Enough events for the trees to be compressed with a dictionary: what the fixture `trained` has.
fn many() -> Vec<NewEvent> {
    let time: Timestamp = "2024-05-01T12:30:00Z".parse().unwrap();
    let event = |number: u64| {
        let data = serde_json::json!({
            "number": number,
            "customer": format!("customer-{}", number * 7_919 % 1_000),
            "remark": "to be delivered to the neighbours if nobody opens the door".repeat(3),
        });
        NewEvent::json("OrderPlaced", &data).unwrap().timestamp(time)
    };
    (0..1_500).map(event).collect()
}

#[test]
fn a_store_of_format_1_with_a_dictionary_opens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    copy(&fixture("v1/trained"), &path);
    let trees = open_trees(&path);
    let dictionaries = trees.open_tree("meta").unwrap().scan_prefix(b"dictionary/").count();
    assert_eq!(dictionaries, 1);
    drop(trees);
    for _ in 0..2 {
        let store = Options::new().create(false).open(&path).unwrap();
        for read in [store.read_all(), store.read_stream("s")] {
            let data: Vec<_> = read.map(|event| event.unwrap().data().to_vec()).collect();
            let due: Vec<_> = many().iter().map(|event| event.data().to_vec()).collect();
            assert!(data == due, "they are what was appended");
        }
        assert_eq!(store.verify().unwrap().findings, []);
        store.close().unwrap();
    }
}

/// Names the directory that the fixtures are written to.
const WRITE: &str = "ANNALS_WRITE_FIXTURES";

/// Several journal files, and a tail that is drained at the close.
fn fixture_options() -> Options {
    Options::new().journal_bytes(64 << 10)
}

/// Copies a store as a kill would leave it, without the file that was prepared. Its active file has
/// the zeros that it was made with.
fn kill(store: &Path, to: &Path) {
    copy_moment(store, to);
    let prepared = to.join("journal/next.tmp");
    if prepared.exists() {
        fs::remove_file(prepared).unwrap();
    }
}

#[test]
fn fixtures_are_written_on_request() {
    let Some(target) = std::env::var_os(WRITE).map(PathBuf::from) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let store = fixture_options().open(path("trained")).unwrap();
    store.append("s", ExpectedVersion::NoStream, many()).unwrap();
    store.close().unwrap();
    copy(&path("trained"), &target.join("trained"));
    for name in ["clean", "killed", "saved"] {
        let store = fixture_options().open(path(name)).unwrap();
        fill(&store);
        if name == "killed" {
            kill(&path(name), &target.join(name));
        }
        if name == "saved" {
            save(&store);
        }
        store.close().unwrap();
        if name == "saved" {
            let store = fixture_options().open(path(name)).unwrap();
            save_later(&store);
            kill(&path(name), &target.join(name));
        }
        if name == "clean" {
            copy(&path(name), &target.join(name));
        }
    }
}

/// A store whose events are all in the trees, and one that a kill left with a tail.
fn make(path: &Path, is_clean: bool) {
    let options = Options::new().journal_bytes(64 << 10);
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("store");
    let store = options.open(&original).unwrap();
    for number in 0..40 {
        let event = NewEvent::json("T", &format!("{number:0>200}")).unwrap();
        store.append("s", ExpectedVersion::Any, [event]).unwrap();
    }
    if is_clean {
        store.close().unwrap();
    }
    copy(&original, path);
}

/// Opens a store and reads it whole: either everything is right, or somebody says that it is not.
fn check_honest(path: &Path, what: &str) -> Result<(), ErrorCode> {
    let store = match Options::new().create(false).open(path) {
        Ok(store) => store,
        Err(Error::Io { source, .. }) => panic!("{what}: {source}"),
        Err(error) => return Err(error.code()),
    };
    let mut count = 0;
    for event in store.read_all() {
        match event {
            Ok(event) => {
                assert_eq!(event.position(), count + 1, "{what}");
                let due = format!("\"{count:0>200}\"");
                assert_eq!(event.data(), due.as_bytes(), "{what}");
                count += 1;
            }
            Err(error) => return Err(error.code()),
        }
    }
    let findings = store.verify().unwrap().findings;
    assert!(count == 40 || !findings.is_empty(), "{what}: {count} events, and nobody says so");
    assert_eq!(count, 40, "{what}: the other copy has them all");
    Ok(())
}

#[test]
fn a_flip_anywhere_in_the_journal_is_found_or_harmless() {
    for is_clean in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let original = directory.path().join("original");
        make(&original, is_clean);
        let name = "journal/00000000000000000001.journal";
        let bytes = fs::read(original.join(name)).unwrap();
        let used = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        let mut refused = 0;
        for offset in (0..used).step_by(if is_clean { 401 } else { 97 }) {
            let path = directory.path().join("damaged");
            copy(&original, &path);
            let mut damaged = bytes.clone();
            damaged[offset] ^= 0x40;
            fs::write(path.join(name), damaged).unwrap();
            let outcome = check_honest(&path, &format!("byte {offset}, clean: {is_clean}"));
            if let Err(code) = outcome {
                assert_eq!(code, ErrorCode::Corrupted);
                refused += 1;
            }
            fs::remove_dir_all(&path).unwrap();
        }
        assert!(is_clean || refused > 50, "only the journal has the events: {refused}");
    }
}

#[test]
fn a_cut_journal_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    make(&original, false);
    let name = "journal/00000000000000000001.journal";
    let bytes = fs::read(original.join(name)).unwrap();
    for len in (0..bytes.len()).step_by(1_009) {
        let path = directory.path().join("damaged");
        copy(&original, &path);
        fs::write(path.join(name), &bytes[..len]).unwrap();
        assert_eq!(check_honest(&path, &format!("{len}")), Err(ErrorCode::Corrupted), "{len}");
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_write_that_never_finished_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("original");
    make(&original, false);
    let name = "journal/00000000000000000001.journal";
    let bytes = fs::read(original.join(name)).unwrap();
    let last = bytes.windows(4).rposition(|window| window == b"ANFR").unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    // Cut after any byte but the last, or with any of its sectors unwritten.
    let cuts = (last..end).step_by(13).map(|from| from..end);
    let first_sector = last.next_multiple_of(512);
    let sectors = (first_sector..end).step_by(512).map(|from| from..(from + 512).min(end));
    for lost in cuts.chain(sectors).chain(std::iter::once(last..end)) {
        let path = directory.path().join("torn");
        copy(&original, &path);
        let mut torn = bytes.clone();
        torn[lost.clone()].fill(0);
        fs::write(path.join(name), torn).unwrap();
        unpublish(&path);
        let store = EventStore::open(&path).unwrap();
        assert_eq!(store.head().unwrap(), 39, "{lost:?}");
        let event = NewEvent::json("Next", &1).unwrap();
        store.append("s", ExpectedVersion::Exact(39), [event]).unwrap();
        drop(store);
        let store = EventStore::open(&path).unwrap();
        assert_eq!(store.read_all().last().unwrap().unwrap().event_type(), "Next");
        assert_eq!(store.verify().unwrap().findings, []);
        drop(store);
        fs::remove_dir_all(&path).unwrap();
    }
}

/// The remains of the first write to a file, after which nothing is known to be durable.
#[test]
fn the_remains_of_a_first_write_are_cleared() {
    let directory = tempfile::tempdir().unwrap();
    let (path, torn) = (directory.path().join("store"), directory.path().join("torn"));
    let store = EventStore::open(&path).unwrap();
    let event = NewEvent::json("T", &"x".repeat(2_000)).unwrap();
    store.append("s", ExpectedVersion::NoStream, [event]).unwrap();
    copy(&path, &torn);
    drop(store);
    let file = active(&torn).pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let (start, _) = *frames(&bytes).last().unwrap();
    bytes[start + 1_000..].fill(0);
    fs::write(&file, bytes).unwrap();
    unpublish(&torn);
    let store = EventStore::open(&torn).unwrap();
    assert_eq!(store.head().unwrap(), 0);
    assert!(fs::read(&file).unwrap()[start..].iter().all(|&byte| byte == 0));
}

#[test]
fn frames_after_many_zeros_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let (path, damaged) = (directory.path().join("store"), directory.path().join("damaged"));
    let store = EventStore::open(&path).unwrap();
    let event = NewEvent::json("T", &"x".repeat(16_000)).unwrap();
    store.append("s", ExpectedVersion::Any, [event.clone()]).unwrap();
    let early = fs::read(path.join("HEAD")).unwrap();
    // How large the last file is depends on when each one was prepared.
    let frames_in_last = || frames(&fs::read(active(&path).pop().unwrap()).unwrap()).len();
    while frames_in_last() < 45 {
        store.append("s", ExpectedVersion::Any, [event.clone()]).unwrap();
    }
    copy_moment(&path, &damaged);
    drop(store);
    // Nothing else knows of the frames.
    fs::write(damaged.join("HEAD"), early).unwrap();
    let file = active(&damaged).pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let frames = frames(&bytes);
    let zeros = frames[1].0..frames[frames.len() - 2].0;
    assert!(zeros.len() > 512 << 10, "{zeros:?}");
    bytes[zeros].fill(0);
    fs::write(&file, bytes).unwrap();
    assert_eq!(EventStore::open(&damaged).unwrap_err().code(), ErrorCode::Corrupted);
}

#[test]
fn a_lost_or_exchanged_file_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (directory.path().join("one"), directory.path().join("other"));
    make(&one, true);
    make(&other, true);
    let names = ["ANNALS", "journal/00000000000000000001.journal", "trees/db", "trees/conf"];
    for name in names {
        let path = directory.path().join("lost");
        copy(&one, &path);
        fs::remove_file(path.join(name)).unwrap();
        // Trees are rebuilt.
        let due = if name.starts_with("trees") { Ok(()) } else { Err(ErrorCode::Corrupted) };
        assert_eq!(check_honest(&path, name), due, "{name} is lost");
        fs::remove_dir_all(&path).unwrap();
    }
    for name in ["journal", "trees"] {
        let path = directory.path().join("lost");
        copy(&one, &path);
        fs::remove_dir_all(path.join(name)).unwrap();
        let due = if name == "trees" { Ok(()) } else { Err(ErrorCode::Corrupted) };
        assert_eq!(check_honest(&path, name), due, "{name} is lost");
        fs::remove_dir_all(&path).unwrap();
    }
    for name in names.iter().take(2) {
        let path = directory.path().join("mixed");
        copy(&one, &path);
        fs::copy(other.join(name), path.join(name)).unwrap();
        let outcome = check_honest(&path, name);
        assert_eq!(outcome, Err(ErrorCode::Corrupted), "{name} is another store's");
        fs::remove_dir_all(&path).unwrap();
    }
    let path = directory.path().join("mixed");
    copy(&one, &path);
    fs::remove_dir_all(path.join("trees")).unwrap();
    copy(&other.join("trees"), &path.join("trees"));
    assert_eq!(check_honest(&path, "trees"), Ok(()));
}
