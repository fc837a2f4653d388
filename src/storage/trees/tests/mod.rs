//! The trees in a separate directory: windows, discards, large events, damage.

mod errors;
mod refresh;
mod runs;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    Error,
    codec::{checksum::Checksum, key, page::Page, record::EventToEncode, saved::Checkpoint},
    event::{RecordedEvent, TagList, Timestamp},
    storage::{
        Direction, Hit,
        trees::{Head, OpenTrees, RunsAhead, Staging, Trees, pace::Budget},
    },
};

#[derive(Clone)]
struct Event {
    stream: String,
    version: u64,
    position: u64,
    data: Vec<u8>,
    tags: Vec<String>,
}

/// A store that consists only of trees, with the events that it should serve.
struct Home {
    _directory: TempDir,
    how: OpenTrees,
    trees: Trees,
    events: Vec<Event>,
    versions: BTreeMap<String, u64>,
}

impl Home {
    /// The event at a position, through the chunks of positions.
    fn event_at(&self, position: u64) -> Result<Option<RecordedEvent>, Error> {
        let Some((stream, version)) = self.trees.place_of(position)? else { return Ok(None) };
        let page = self.trees.stream_page(&stream, version, Page::default())?;
        Ok(page.and_then(|page| page.event_at(position)))
    }

    fn new() -> Home {
        let directory = tempfile::tempdir().expect("a directory");
        let store_id = Uuid::from_u128(7);
        let how = OpenTrees {
            directory: directory.path().join("trees"),
            store_id,
            checksum: Checksum::of_store(store_id),
            cache_bytes: 16 << 20,
            ignores_mark: false,
        };
        let trees = how.create().expect("they are new");
        let (events, versions) = (Vec::new(), BTreeMap::new());
        Home { _directory: directory, how, trees, events, versions }
    }

    fn reopen(self) -> Home {
        let Home { _directory, how, trees, events, versions } = self;
        trees.close(drop).expect("it can be synced");
        let trees = how.open().expect("they were closed well");
        Home { _directory, how, trees, events, versions }
    }

    /// The events of a window, cycling through the streams.
    fn window(&mut self, count: u64, streams: u64) -> Vec<Event> {
        let mut window = Vec::new();
        for _ in 0..count {
            let position = self.position() + 1 + window.len() as u64;
            let stream = format!("order-{:04}", position * 7 % streams);
            let version = self.versions.entry(stream.clone()).or_default();
            *version += 1;
            let data =
                format!("{{\"customer\":\"c-{position}\",\"currency\":\"EUR\"}}").into_bytes();
            let tags = tags_of(position);
            window.push(Event { stream, version: *version, position, data, tags });
        }
        window
    }

    fn position(&self) -> u64 {
        self.events.last().map_or(0, |event| event.position)
    }

    fn stage(&self, window: &[Event], finish: bool) {
        let mut beats = 0;
        let mut staging = Staging::new(&self.trees, || {
            beats += 1;
            Ok(())
        });
        staging.train(window.iter().map(to_encode)).expect("the disk is well");
        let mut by_stream: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        window.iter().for_each(|event| by_stream.entry(&event.stream).or_default().push(event));
        for events in by_stream.values() {
            staging.stream(events.iter().copied().map(to_encode)).expect("the disk is well");
        }
        let places = window.iter().map(|event| (event.position, &*event.stream, event.version));
        staging.places(places).expect("the disk is well");
        let mut ids: Vec<_> =
            window.iter().map(|event| (id_of(event.position), event.position)).collect();
        staging.ids(&mut ids).expect("the disk is well");
        staging.tags(window.iter().map(to_encode)).expect("the disk is well");
        let position = window.last().map_or(0, |event| event.position);
        let saved = [Checkpoint { name: "mailer".into(), position }];
        staging.checkpoints(&saved).expect("the disk is well");
        if finish {
            let head = Head { position, frame_number: 3, ..Head::default() };
            staging.finish(head).expect("the disk is well");
        }
        assert!(beats > 0);
    }

    fn add(&mut self, window: Vec<Event>) {
        self.stage(&window, true);
        self.events.extend(window);
    }

    /// Reads everything in every way, and compares the results.
    fn check(&self) {
        let head = self.trees.head().expect("it is intact").position;
        assert_eq!(head, self.position());
        let mut by_stream: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        self.events
            .iter()
            .for_each(|event| by_stream.entry(&event.stream).or_default().push(event));
        let mut spare = Page::default();
        for (stream, events) in &by_stream {
            let (mut version, mut ahead) = (1, RunsAhead::default());
            let mut read =
                |version, spare| self.trees.stream_run(stream, version, spare, &mut ahead);
            while let Some((page, is_last)) = read(version, spare).expect("intact") {
                let last = page.events().last().map(|event| event.version());
                assert_eq!(is_last, last == Some(events.len() as u64), "{stream}, {version}");
                for event in page.events() {
                    let expected = events[usize::try_from(event.version()).expect("few") - 1];
                    assert_eq!(
                        (event.position(), event.data()),
                        (expected.position, &*expected.data)
                    );
                    version += 1;
                }
                spare = page;
            }
            spare = Page::default();
            assert_eq!(version - 1, events.len() as u64, "{stream}");
            let half = head / 2;
            for head in [head, half] {
                let count = events.iter().filter(|event| event.position <= head).count();
                assert_eq!(self.trees.stream_version(stream, head).ok(), Some(count as u64));
            }
        }
        for event in self.events.iter().step_by(97) {
            let found = self.event_at(event.position).expect("intact").expect("it is there");
            assert_eq!((found.stream_id(), found.version()), (&*event.stream, event.version));
            let found = self.trees.position_of(id_of(event.position)).expect("intact");
            assert_eq!(found, Some(event.position));
        }
        self.check_tags(head);
        let listed = self.trees.streams(Bound::Unbounded, head, usize::MAX).expect("intact");
        let listed: Vec<_> = listed.iter().map(|(name, version)| (&**name, *version)).collect();
        let expected = by_stream.iter().map(|(name, events)| (*name, events.len() as u64));
        assert_eq!(listed, expected.collect::<Vec<_>>());
        let places = self.trees.places().flat_map(|chunk| chunk.expect("intact"));
        let expected =
            self.events.iter().map(|event| (event.position, &*event.stream, event.version));
        assert!(
            places
                .map(|(at, name, version)| (at, name.to_string(), version))
                .eq(expected.map(|(at, name, version)| (at, name.to_owned(), version)))
        );
        let runs = self.trees.runs().map(|run| run.expect("intact").2.len());
        assert_eq!(runs.sum::<usize>(), self.events.len());
        assert_eq!(self.trees.ids().filter(Result::is_ok).count(), self.events.len());
        let saved: Vec<_> = self.trees.checkpoints().map(|saved| saved.expect("intact")).collect();
        assert_eq!(saved, [("mailer".into(), head)]);
        assert_eq!(self.trees.flush().ok(), Some(0), "reading wrote something");
    }

    /// Looks up tags in both directions, over ranges that begin and end inside runs.
    fn check_tags(&self, head: u64) {
        let tags: BTreeSet<&str> =
            self.events.iter().flat_map(|event| event.tags.iter().map(String::as_str)).collect();
        for tag in tags.into_iter().chain(["missing"]) {
            for (range, limit) in [(1..=head, 5_000), (head / 3..=head / 2, 5_000), (1..=head, 7)] {
                let of_tag = self.events.iter().filter(|event| event.tags.iter().any(|t| t == tag));
                let hit = |event: &Event| Hit {
                    position: event.position,
                    place: Some((Arc::from(event.stream.as_str()), event.version)),
                };
                let mut expected: Vec<Hit> = of_tag.map(hit).collect();
                expected.retain(|hit| range.contains(&hit.position));
                let ask = |direction| self.trees.tagged(tag, &range, direction, limit);
                let forward = ask(Direction::Forward).expect("intact");
                assert!(forward.iter().eq(expected.iter().take(limit)), "{tag} {range:?}");
                let backward = ask(Direction::Backward).expect("intact");
                assert!(backward.iter().eq(expected.iter().rev().take(limit)), "{tag} {range:?}");
            }
        }
        let found: usize =
            self.trees.tagged_runs().map(|run| run.expect("intact").1.positions().len()).sum();
        let expected: usize = self.events.iter().map(|event| event.tags.len()).sum();
        assert_eq!(found, expected, "nothing stale is left");
    }

    fn discard(&self) {
        let head = self.trees.head().expect("it is intact").position;
        let staged: Vec<_> = self.trees.runs().filter_map(Result::ok).collect();
        let mut above: BTreeMap<&str, u64> = BTreeMap::new();
        for (stream, first_version, page) in &staged {
            if page.first_position() > head {
                above.entry(stream).or_insert(*first_version);
            }
        }
        // The tail has the tags of everything that was staged.
        let tags: BTreeSet<Arc<str>> =
            (0..40).flat_map(tags_of).map(|tag| Arc::from(tag.as_str())).collect();
        let mut beats = 0;
        let beat = || {
            beats += 1;
            Ok(())
        };
        self.trees.discard_above(head, above, &tags, beat).expect("the disk is well");
        assert!(beats > 0);
    }
}

fn id_of(position: u64) -> Uuid {
    Uuid::from_u128(u128::from(position).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// Every event has the tag of its class, some have two, and one is in every third.
fn tags_of(position: u64) -> Vec<String> {
    match position % 40 {
        0 => Vec::new(),
        class if class % 3 == 0 => vec!["all".to_owned(), format!("class:{class}")],
        class => vec![format!("class:{class}")],
    }
}

fn to_encode(event: &Event) -> EventToEncode<'_> {
    EventToEncode {
        position: event.position,
        stream: &event.stream,
        version: event.version,
        event_type: "OrderPlaced",
        timestamp: Timestamp::utc_clamped(1),
        id: Some(id_of(event.position)),
        is_binary: false,
        data: &event.data,
        metadata: None,
        tags: TagList::Given(&event.tags),
    }
}

/// Incompressible bytes.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn windows_come_back_and_readers_write_nothing() {
    let mut home = Home::new();
    assert_eq!(home.trees.head().ok(), Some(Head::default()));
    assert_eq!(home.trees.stream_version("order-0001", 9).ok(), Some(0));
    assert!(
        home.trees.stream_page("order-0001", 1, Page::default()).is_ok_and(|page| page.is_none())
    );
    for (count, streams) in [(3_000, 700), (1, 1), (2_500, 3), (4_000, 700)] {
        let window = home.window(count, streams);
        home.add(window);
        home.check();
    }
    let home = home.reopen();
    home.check();
    assert_eq!(home.trees.head().ok().map(|head| head.frame_number), Some(3));
}

#[test]
fn the_dictionary_comes_with_the_first_large_window_and_stays() {
    let mut home = Home::new();
    let small = home.window(1_000, 10);
    home.add(small);
    assert!(home.trees.dictionary.get().is_none());
    let large = home.window(6_000, 500);
    home.add(large);
    let trained = home.trees.dictionary.get().cloned().expect("it was trained");
    let mut home = home.reopen();
    assert_eq!(home.trees.dictionary.get(), Some(&trained));
    let another = home.window(6_000, 500);
    home.add(another);
    home.check();
    let home = home.reopen();
    assert_eq!(home.trees.dictionary.get(), Some(&trained), "it was trained again");
    home.check();
}

#[test]
fn what_a_drain_staged_and_did_not_finish_is_discarded() {
    let mut home = Home::new();
    let first = home.window(3_000, 400);
    home.add(first);
    let (events, versions) = (home.events.len(), home.versions.clone());
    let mut second = home.window(5_000, 600);
    second[17].data = noise(200_000, 3);
    home.stage(&second, false);
    let mut home = home.reopen();
    assert!(home.trees.parts.len() > 3, "the large event is split");
    assert_eq!(home.trees.head().ok().map(|head| head.position), Some(3_000));
    home.discard();
    assert_eq!(home.trees.parts.len(), 0);
    assert_eq!(home.trees.flush().ok(), Some(0));
    let runs: usize = home.trees.runs().map(|run| run.expect("intact").2.len()).sum();
    assert_eq!(runs, events);
    assert_eq!(home.trees.flush().ok(), Some(0), "the discard left merges to the readers");
    home.versions = versions;
    let second = home.window(5_000, 900);
    home.add(second);
    home.check();
}

#[test]
fn a_discard_leaves_no_merges_to_readers() {
    let mut home = Home::new();
    // What stays is spread thinly among what is discarded.
    let first = home.window(400, 1_200);
    home.add(first);
    let versions = home.versions.clone();
    for streams in 1_190..1_200 {
        let second = home.window(2_000, streams);
        home.stage(&second, false);
        home.discard();
        home.versions = versions.clone();
        for stream in versions.keys().cloned().chain(second.into_iter().map(|event| event.stream)) {
            home.trees.stream_version(&stream, 9).expect("intact");
        }
        assert_eq!(home.trees.flush().ok(), Some(0), "{streams} streams");
    }
}

#[test]
fn large_events_are_split_and_no_file_leaves_the_log() {
    let mut home = Home::new();
    let mut window = home.window(200, 3);
    for (seed, len) in [(5, 40_000), (50, 3_000_000), (51, 32_700), (52, 20_000), (199, 100_000)] {
        window[seed].data = noise(len, seed as u64);
    }
    home.add(window);
    home.check();
    let home = home.reopen();
    home.check();
    let blobs = home.how.directory.join("blobs");
    assert!(std::fs::read_dir(blobs).map_or(0, Iterator::count) == 0);
    let part = home.trees.parts.iter().keys().nth(1).expect("split").expect("intact");
    let position = u64::from_be_bytes(part[..8].try_into().expect("eight bytes"));
    home.trees.parts.remove(&part).expect("the disk is well");
    let error = home.event_at(position).expect_err("a part is missing");
    assert!(
        matches!(error, Error::Corrupted { position: Some(at), .. } if at == position),
        "{error}"
    );
}

#[test]
fn damage_is_an_item_after_which_the_walk_goes_on() {
    let mut home = Home::new();
    let window = home.window(2_000, 50);
    home.add(window);
    let (key, value) = home.trees.streams.iter().nth(9).expect("there are 50").expect("intact");
    let mut damaged = value.to_vec();
    *damaged.last_mut().expect("not empty") ^= 1;
    home.trees.streams.insert(&key, damaged).expect("the disk is well");
    let (stream, version) = key::parse_run(&key).expect("a key");
    let error = home.trees.stream_page(stream, version, Page::default()).expect_err("damaged");
    assert!(error.to_string().contains(stream), "{error}");
    assert!(home.trees.stream_version(stream, 2_000).is_err());
    let (good, bad): (Vec<_>, Vec<_>) = home.trees.runs().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (49, 1));
}

#[test]
fn the_list_of_streams_is_cut_bounded_and_as_of_a_head() {
    let mut home = Home::new();
    for _ in 0..12 {
        let window = home.window(60, 5);
        home.add(window);
    }
    let list = |after, head, limit| {
        let found = home.trees.streams(after, head, limit).expect("intact");
        found.iter().map(|(name, version)| format!("{name}:{version}")).collect::<Vec<_>>()
    };
    let all = |version| (0..5).map(|n| format!("order-000{n}:{version}")).collect::<Vec<_>>();
    assert_eq!(list(Bound::Unbounded, 720, 9), all(144));
    assert_eq!(list(Bound::Unbounded, 360, 9), all(72));
    assert_eq!(list(Bound::Included("order-0003"), 720, 9), all(144)[3..]);
    assert_eq!(list(Bound::Excluded("order-0003"), 720, 9), all(144)[4..]);
    assert_eq!(list(Bound::Unbounded, 720, 2), all(144)[..2]);
    assert_eq!(list(Bound::Unbounded, 720, 0), all(144)[..0]);
    assert_eq!(list(Bound::Unbounded, 2, 9).len(), 2);
}

#[test]
fn facts_of_sealed_files_are_kept_in_order() {
    let home = Home::new();
    for (position, number) in [(700, 2), (1, 1), (70_000, 3)] {
        home.trees.note_sealed(position, number, &[7; 30]).expect("the disk is well");
    }
    let home = home.reopen();
    let facts: Vec<_> = home.trees.sealed_facts().map(|facts| facts.expect("intact")).collect();
    let found: Vec<_> =
        facts.iter().map(|facts| (facts.first_position, facts.file_number)).collect();
    assert_eq!(found, [(1, 1), (700, 2), (70_000, 3)]);
    assert!(facts.iter().all(|facts| facts.facts == [7; 30]));
}

#[test]
fn zeros_are_given_back_and_everything_stays() {
    let mut home = Home::new();
    let window = home.window(10, 2);
    home.add(window);
    for _ in 0..10 {
        // A reopen first closes the trees.
        home = home.reopen();
        home.check();
    }
    let directory = home.how.directory.clone();
    let Home { trees, _directory, .. } = home;
    trees.close(drop).expect("it can be synced");
    let size = crate::storage::files::bytes_below(&directory).expect("it is there");
    assert!(size < 1 << 20, "{size} bytes");
    drop(_directory);
    let mut home = Home::new();
    let window = home.window(3_000, 20);
    home.add(window);
    home.reopen().check();
}

#[test]
fn a_sync_comes_before_two_steps_too_many() {
    // How much a step logs for each byte that it counts varies from one part of a tree to another.
    let mut budget = Budget::new();
    let (mut step, mut unsynced, mut most) = (0, 0, 0);
    for entry in 0_u64..100_000 {
        let factor = if entry / 1_000 % 2 == 0 { 1 } else { 3 };
        step += 4_096 * factor;
        if !budget.count(100) {
            continue;
        }
        unsynced += step;
        most = most.max(unsynced);
        if budget.logged(std::mem::take(&mut step)) {
            budget.synced();
            unsynced = 0;
        }
    }
    assert!(most < 4 << 20, "{most} bytes between two syncs");
}
