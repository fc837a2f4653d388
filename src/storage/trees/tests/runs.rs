//! Streams of several runs.

use std::collections::BTreeSet;

use super::{Home, noise};
use crate::{
    codec::{key, page::Page},
    storage::trees::RunsAhead,
};

#[test]
fn a_stream_of_many_runs_is_read_to_its_end() {
    let mut home = Home::new();
    // One run of each stream in each window: as many as are kept ahead, and more.
    for windows in [16, 1, 1, 20] {
        for _ in 0..windows {
            let window = home.window(4, 2);
            home.add(window);
        }
        home.check();
    }
    // Long values: their size ends the search ahead.
    for _ in 0..8 {
        let mut window = home.window(2, 2);
        window.iter_mut().for_each(|event| event.data = noise(20_000, event.position));
        home.add(window);
    }
    home.check();
}

#[test]
fn the_place_of_a_run_that_is_not_written_is_no_end() {
    let mut home = Home::new();
    for _ in 0..3 {
        let window = home.window(4, 1);
        home.add(window);
    }
    let place = key::run("order-0000", 13);
    home.trees.streams.insert(place, &[]).expect("the disk is well");
    let mut ahead = RunsAhead::default();
    for version in [1, 5, 9] {
        let found = home.trees.stream_run("order-0000", version, Page::default(), &mut ahead);
        let (page, is_last) = found.expect("intact").expect("it is there");
        assert_eq!((page.len(), is_last), (4, false), "{version}");
    }
    let read = home.trees.stream_run("order-0000", 13, Page::default(), &mut ahead);
    assert!(read.expect("intact").is_none());
    // Once it is written, a read that continues finds it.
    let window = home.window(4, 1);
    home.add(window);
    let read = home.trees.stream_run("order-0000", 13, Page::default(), &mut ahead);
    assert!(read.expect("intact").is_some_and(|(page, is_last)| page.len() == 4 && is_last));
}

/// A discard removes the runs of tags last. One that was killed before them must be repeated, or
/// they would come back with the next window.
#[test]
fn trees_with_staged_tags_alone_are_not_blank() {
    let mut home = Home::new();
    assert_eq!(home.trees.is_blank().ok(), Some(true));
    let window = home.window(300, 20);
    home.stage(&window, false);
    let streams = window.iter().map(|event| (event.stream.as_str(), 1));
    home.trees.discard_above(0, streams, &BTreeSet::new(), || Ok(())).expect("the disk is well");
    assert_eq!((home.trees.runs().count(), home.trees.places().count()), (0, 0));
    assert_eq!(home.trees.is_blank().ok(), Some(false));
    home.discard();
    assert_eq!(home.trees.is_blank().ok(), Some(true));
}

/// A query decompresses a run for each event that it finds by its tag.
#[test]
fn runs_with_tags_are_half_as_large() {
    let runs = |tags: &[&str]| {
        let mut home = Home::new();
        let mut window = home.window(110, 1);
        for event in &mut window {
            event.data = noise(100, event.position);
            event.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        }
        home.add(window);
        home.check();
        home.trees.runs().count()
    };
    assert_eq!((runs(&[]), runs(&["t"])), (1, 2));
}
