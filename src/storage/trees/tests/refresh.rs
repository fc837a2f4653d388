//! sled's snapshot after a close.

use std::{cell::Cell, path::Path};

use super::{Home, noise};

fn has_snapshot(directory: &Path) -> bool {
    let entries = std::fs::read_dir(directory).expect("it is there");
    let names = entries.map(|entry| entry.expect("it is readable").file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with("snap."))
}

#[test]
fn a_close_after_much_was_logged_refreshes_the_snapshot() {
    let mut home = Home::new();
    let small = home.window(10, 2);
    home.add(small);
    let Home { _directory, how, trees, events, versions } = home;
    let calls = Cell::new(0);
    let count = |_| calls.set(calls.get() + 1);
    trees.close(count).expect("it can be synced");
    assert_eq!((calls.get(), has_snapshot(&how.directory)), (0, false), "a small log is read");
    let trees = how.open().expect("it was closed well");
    let mut home = Home { _directory, how, trees, events, versions };

    let data = noise(30_000, 5);
    for _ in 0..4 {
        let mut window = home.window(600, 50);
        window.iter_mut().for_each(|event| event.data.clone_from(&data));
        home.add(window);
    }
    std::fs::read_dir(&home.how.directory)
        .expect("it is there")
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| path.to_string_lossy().contains("snap."))
        .for_each(|path| std::fs::remove_file(path).expect("it is ours"));
    let Home { _directory, how, trees, events, versions } = home;
    trees.close(count).expect("it can be synced");
    assert_eq!((calls.get(), has_snapshot(&how.directory)), (1, true));
    // There is nothing left to do for another close.
    let trees = how.open().expect("it was closed well");
    trees.close(count).expect("it can be synced");
    assert_eq!(calls.get(), 1);
    let trees = how.open().expect("it was closed well");
    Home { _directory, how, trees, events, versions }.check();
}
