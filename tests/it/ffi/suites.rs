//! The C suites in `tests/c`, against the shared and the static library, and under tools that watch
//! memory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use annals::{EventStore, ExpectedVersion, NewEvent};

use crate::support::{
    c::{Linkage, Workshop, root, shared_library, succeed},
    system::has_program,
};

/// Each is a program whose exit code says whether all of it held.
const SUITES: [&str; 16] = [
    "store",
    "append",
    "batch",
    "limits",
    "hostile",
    "tickets",
    "read",
    "saved",
    "subscribe",
    "projection",
    "watched",
    "ndjson",
    "threads",
    "fork",
    "findings",
    "healing",
];

const FLAGS: [&str; 3] = ["-std=gnu11", "-g", "-Wstrict-prototypes"];

/// What a suite gets besides: `findings` a store with a damaged journal.
fn prepared(suite: &str, shop: &Workshop) -> Option<PathBuf> {
    (suite == "findings").then(|| damaged(&shop.path("damaged.annals")))
}

/// A store of which one copy of an event is damaged.
fn damaged(path: &Path) -> PathBuf {
    let store = EventStore::open(path).unwrap();
    for number in 0..100 {
        let event = NewEvent::json("Counted", &number).unwrap();
        store.append("counter", ExpectedVersion::Any, [event]).unwrap();
    }
    store.close().unwrap();
    let mut journals: Vec<PathBuf> = fs::read_dir(path.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| fs::read(file).unwrap().iter().any(|&byte| byte != 0))
        .collect();
    journals.sort();
    let mut bytes = fs::read(&journals[0]).unwrap();
    let place = bytes.windows(7).position(|window| window == b"Counted").unwrap();
    bytes[place] ^= 1;
    fs::write(&journals[0], bytes).unwrap();
    path.to_owned()
}

fn run_all(linkage: Linkage, flags: &[&str], watch: impl Fn(&Workshop, &Path) -> Command) {
    for suite in SUITES {
        let Some(shop) = Workshop::with("cc") else { return };
        let source = root().join("tests/c").join(suite).with_extension("c");
        let program = shop.compile("cc", &[&FLAGS[..], flags].concat(), &[source], linkage);
        succeed(watch(&shop, &program).args(prepared(suite, &shop)));
    }
}

fn plain(shop: &Workshop, program: &Path) -> Command {
    shop.command(program)
}

#[test]
fn the_suites_pass_with_the_shared_library() {
    run_all(Linkage::Shared, &[], plain);
}

#[test]
fn the_suites_pass_with_the_static_library() {
    run_all(Linkage::Static, &[], plain);
}

/// Valgrind sees every read and write of the library as well.
#[test]
fn the_suites_are_clean_under_valgrind() {
    if !has_program("valgrind", "--version") {
        return;
    }
    run_all(Linkage::Shared, &[], |shop, program| {
        let mut command = shop.command(Path::new("valgrind"));
        command.args(["--quiet", "--error-exitcode=99", "--fair-sched=yes"]);
        // What an optimized library needs; without optimization it hides nothing.
        let known = root().join("cmake/annals.supp");
        command.arg(format!("--suppressions={}", known.display()));
        // A forked child has lost the other threads, and with them what they had.
        let leaks = if program.ends_with("fork") { "no" } else { "full" };
        command.arg(format!("--leak-check={leaks}"));
        command.arg("--errors-for-leak-kinds=definite,indirect").arg(program);
        command
    });
}

/// The programs are instrumented; of the library the sanitizer sees its allocations, so that a view
/// read after its end, a double free and a leak show.
#[test]
fn the_suites_are_clean_under_the_sanitizers() {
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    run_all(Linkage::Shared, &flags, |shop, program| {
        let mut command = shop.command(program);
        command.env("ASAN_OPTIONS", "detect_stack_use_after_return=1");
        command
    });
}

#[test]
fn the_library_may_be_a_plug_in() {
    let Some(shop) = Workshop::with("cc") else { return };
    let source = root().join("tests/c/dlopen.c");
    // The helpers that it does not use need the library; without them nothing does.
    let flags = [&FLAGS[..], &["-O1", "-ffunction-sections", "-Wl,--gc-sections"]].concat();
    let program = shop.compile("cc", &flags, &[source], Linkage::Loaded);
    succeed(shop.command(&program).arg(shared_library()));
}
