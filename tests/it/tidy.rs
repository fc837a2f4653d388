//! The rules of the code itself: layers, sizes, words, and places. They only tighten.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A file of the project and its text.
struct Source {
    name: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(directory: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, endings, found);
        } else if endings.iter().any(|ending| path.extension().is_some_and(|e| e == *ending)) {
            found.push(path);
        }
    }
}

/// The files with these endings in these places, each of which is a file or a directory.
fn sources(places: &[&str], endings: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for place in places.iter().map(|name| root().join(name)) {
        if place.is_file() {
            paths.push(place);
        } else if place.is_dir() {
            collect(&place, endings, &mut paths);
        }
    }
    paths.sort();
    let sources: Vec<Source> = paths
        .into_iter()
        .map(|path| Source {
            name: path.strip_prefix(root()).unwrap().display().to_string(),
            text: fs::read_to_string(&path).unwrap(),
        })
        .collect();
    assert!(!sources.is_empty(), "the rules must have something to look at");
    sources
}

/// The library and the program.
fn library() -> Vec<Source> {
    sources(&["src"], &["rs"])
}

fn everything() -> Vec<Source> {
    let places = ["build.rs", "src", "include", "tests", "benches", "examples"];
    sources(&places, &["rs", "c", "h", "hpp", "cpp"])
}

fn sources_of_prose() -> Vec<Source> {
    let prose =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "src/docs", "benches/peers/README.md"];
    sources(&prose, &["md"])
}

#[track_caller]
fn check_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// The lines of a source that are neither comments nor tests, with their numbers.
fn code(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let lines = source.text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Rows that match, as `file:line: text`.
fn matching(sources: &[Source], is_broken: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        for (number, line) in code(source).filter(|(_, line)| is_broken(source, line)) {
            broken.push(format!("{}:{number}: {}", source.name, line.trim()));
        }
    }
    broken
}

/// The layer that a file of the library belongs to, and those that stand below it.
const LAYERS: [(&str, &[&str]); 22] = [
    ("sync", &[]),
    ("defect", &[]),
    ("trace", &[]),
    ("error", &["event"]),
    ("event", &["error"]),
    ("codec", &["error", "event"]),
    ("metrics", &[]),
    ("storage", &["sync", "defect", "trace", "error", "event", "codec", "metrics"]),
    ("store", &["sync", "defect", "trace", "error", "event", "codec", "metrics", "storage"]),
    ("snapshot", &["error", "event", "codec", "storage", "store"]),
    ("subscription", &["error", "event", "storage", "store"]),
    ("projection", &["sync", "error", "event", "store", "snapshot"]),
    ("ndjson", &["error", "event", "codec", "storage", "store"]),
    ("verify", &["trace", "error", "event", "codec", "storage", "store", "snapshot"]),
    (
        "maintenance",
        &["error", "event", "codec", "storage", "store", "snapshot", "ndjson", "verify"],
    ),
    (
        "reader",
        &[
            "error",
            "event",
            "metrics",
            "store",
            "snapshot",
            "subscription",
            "projection",
            "ndjson",
            "verify",
            "maintenance",
        ],
    ),
    ("guide", &[]),
    ("testing", &["error", "event", "store", "projection"]),
    ("ffi", &["sync"]),
    ("fuzzing", &["error", "event", "codec", "storage", "store", "ndjson"]),
    (
        "lib",
        &[
            "sync",
            "defect",
            "trace",
            "error",
            "event",
            "codec",
            "metrics",
            "storage",
            "store",
            "snapshot",
            "subscription",
            "projection",
            "ndjson",
            "verify",
            "maintenance",
            "reader",
            "testing",
            "ffi",
            "fuzzing",
        ],
    ),
    ("cli", &[]),
];

fn layer_of(name: &str) -> &str {
    let inside = name.strip_prefix("src/").unwrap();
    inside.split(['/', '.']).next().unwrap()
}

#[test]
fn a_layer_uses_only_what_stands_below_it() {
    let names: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    let mut broken = Vec::new();
    for source in library() {
        let layer = layer_of(&source.name);
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            broken.push(format!("{} belongs to no layer", source.name));
            continue;
        };
        // `use crate::{a, b::..}` blocks have one name a line; single paths have it after
        // `crate::`.
        let mut in_block = false;
        for (number, line) in code(&source) {
            let line = line.trim();
            if line.starts_with("use crate::{") {
                in_block = true;
            }
            let named = names.iter().filter(|name| {
                let path = format!("crate::{name}");
                let at_path = line.match_indices(&path).any(|(index, _)| {
                    let behind = line[index + path.len()..].chars().next();
                    behind.is_none_or(|c| !c.is_alphanumeric() && c != '_')
                });
                let in_list = in_block
                    && line
                        .trim_start_matches("use crate::{")
                        .split([',', ' '])
                        .any(|item| item.starts_with(&format!("{name}::")) || item == **name);
                at_path || in_list
            });
            for used in named {
                if *used != layer && !below.contains(used) {
                    broken.push(format!("{}:{number}: uses {used}", source.name));
                }
            }
            if line.ends_with("};") {
                in_block = false;
            }
        }
    }
    check_none("layers", &broken);
}

#[test]
fn sled_is_named_only_in_the_storage() {
    let broken = matching(&library(), |source, line| {
        line.contains("sled")
            && !line.starts_with("mod ")
            && !source.name.starts_with("src/storage/")
    });
    check_none("sled", &broken);
}

#[test]
fn the_poisoning_of_locks_is_ignored_in_one_place() {
    let broken = matching(&library(), |source, line| {
        let names = ["PoisonError", "LockResult", "Poisoned("];
        source.name != "src/sync.rs" && names.iter().any(|name| line.contains(name))
    });
    check_none("poisoning", &broken);
}

#[test]
fn byte_layout_is_the_business_of_the_codec() {
    let allowed = ["src/codec/", "src/storage/trees/"];
    let broken = matching(&library(), |source, line| {
        let is_layout = line.contains("e_bytes()") || line.contains("e_bytes(");
        let is_layout = is_layout && (line.contains("to_") || line.contains("from_"));
        let is_number = ["to_le_bytes", "to_be_bytes", "from_le_bytes", "from_be_bytes"];
        is_layout
            && is_number.iter().any(|name| line.contains(name))
            && !allowed.iter().any(|place| source.name.starts_with(place))
    });
    check_none("byte layout", &broken);
}

#[test]
fn values_and_bytes_do_no_io() {
    let broken = matching(&library(), |source, line| {
        let is_pure = ["src/event/", "src/codec/"].iter().any(|p| source.name.starts_with(p));
        let does_io = ["std::fs", "std::net", "std::thread", "SystemTime", "Instant"];
        is_pure && does_io.iter().any(|name| line.contains(name))
    });
    check_none("pure layers", &broken);
}

#[test]
fn files_are_small_and_say_what_they_are() {
    let mut broken = Vec::new();
    for source in everything() {
        let lines = source.text.lines().count();
        // One header is made from many small files, the other has to be a single one.
        if lines > 500 && !source.name.starts_with("include/") {
            broken.push(format!("{} has {lines} lines", source.name));
        }
        let header = if source.name.ends_with(".rs") { "//!" } else { "/" };
        if !source.text.starts_with(header) {
            broken.push(format!("{} does not start by saying what it is", source.name));
        }
        if !source.text.is_ascii() {
            broken.push(format!("{} is not ASCII", source.name));
        }
        for (index, line) in source.text.lines().enumerate() {
            if line.chars().count() > 100 {
                broken.push(format!("{}:{}: past 100 columns", source.name, index + 1));
            }
        }
    }
    check_none("files", &broken);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut broken = Vec::new();
    for source in everything().iter().filter(|source| source.name.ends_with(".rs")) {
        let mut open: Option<(usize, String, String)> = None;
        for (number, line) in source.text.lines().enumerate() {
            let trimmed = line.trim_start();
            let indent = &line[..line.len() - trimmed.len()];
            let starts =
                ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "unsafe fn ", "pub unsafe "];
            let is_start = starts.iter().any(|start| trimmed.starts_with(start));
            if is_start && !line.trim_end().ends_with(['}', ';']) {
                open = Some((number, indent.to_owned(), trimmed.to_owned()));
            }
            let is_end = line.trim_end() == format!("{}}}", open.as_ref().map_or("", |o| &o.1));
            if is_end && let Some((start, _, name)) = open.take() {
                let lines = number + 1 - start;
                if lines > 70 {
                    broken.push(format!("{}:{}: {lines} lines: {name}", source.name, start + 1));
                }
            }
        }
    }
    check_none("functions of at most 70 lines", &broken);
}

#[test]
fn folders_can_be_seen_at_a_look() {
    let mut folders = BTreeMap::<PathBuf, usize>::new();
    for source in library() {
        let parent = Path::new(&source.name).parent().unwrap().to_owned();
        *folders.entry(parent).or_default() += 1;
    }
    let broken: Vec<String> = folders
        .iter()
        .filter(|(_, count)| **count > 12)
        .map(|(folder, count)| format!("{} holds {count} files", folder.display()))
        .collect();
    check_none("folders of at most 12 files", &broken);
}

#[test]
fn some_words_stay_out() {
    // Spelled so that this file does not hold them itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("dbg", "!("),
        concat!("todo", "!("),
        concat!("unimpl", "emented!("),
        concat!("#[ig", "nore"),
        concat!("#[should_", "panic"),
    ];
    let broken = matching(&everything(), |_, line| words.iter().any(|word| line.contains(word)));
    check_none("words", &broken);
    // A comparison as a statement of its own tests nothing.
    let idle = matching(&everything(), |_, line| {
        let line = line.trim();
        line.starts_with("matches!(") && line.ends_with(");")
    });
    check_none("statements that test nothing", &idle);
}

/// Words that a reader of English stumbles over where another one is meant, and how many lines of
/// code and prose may have them.
const STUMBLING_WORDS: [(&str, usize); 9] = [
    // What stays is left behind; what comes later in a log comes after.
    ("behind", 9),
    ("told", 0),
    ("whoever", 0),
    ("circle", 0),
    ("left aside", 0),
    ("takes account", 0),
    ("can be had", 0),
    ("for ever", 0),
    ("gives free", 0),
];

#[test]
fn words_that_are_going_away_do_not_come_back() {
    let mut sources = everything();
    sources.extend(sources_of_prose());
    let mut broken = Vec::new();
    for (words, lines_max) in STUMBLING_WORDS {
        let has_them = |line: &&str| {
            let line = line.to_lowercase();
            let found = line.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
            format!(" {} ", found.collect::<Vec<_>>().join(" ")).contains(&format!(" {words} "))
        };
        let mut lines = Vec::new();
        for source in sources.iter().filter(|source| source.name != "tests/it/tidy.rs") {
            let found = source.text.lines().filter(has_them);
            lines.extend(found.map(|line| format!("{}: {}", source.name, line.trim())));
        }
        if lines.len() > lines_max {
            broken.push(format!("{words:?}, at most {lines_max} times:\n{}", lines.join("\n")));
        }
    }
    check_none("words that are going away", &broken);
}

#[test]
fn the_library_prints_nothing_and_asks_no_environment() {
    let broken = matching(&library(), |source, line| {
        let prints = ["println!", "eprintln!", "print!(", "std::env", "env::var", "set_hook"];
        // In a normal build the defects are constants.
        let is_exempt = source.name.starts_with("src/cli/") || source.name == "src/defect.rs";
        !is_exempt && prints.iter().any(|word| line.contains(word))
    });
    check_none("output and environment", &broken);
    let printing = matching(&library(), |source, line| {
        let is_output = source.name == "src/cli/output.rs";
        !is_output && ["println!", "eprintln!"].iter().any(|word| line.contains(word))
    });
    check_none("output outside of src/cli/output.rs", &printing);
}

#[test]
fn unsafe_code_is_only_at_the_c_boundary() {
    let keyword = concat!("uns", "afe ");
    let broken = matching(&library(), |source, line| {
        line.contains(keyword) && !source.name.starts_with("src/ffi/")
    });
    check_none("unsafe", &broken);
}

#[test]
fn the_top_level_holds_what_it_should() {
    let allowed: BTreeSet<&str> = [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "cbindgen.toml",
        "src",
        "include",
        "tests",
        "README.md",
        "examples",
        "benches",
        "cmake",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "rustfmt.toml",
        "deny.toml",
        ".gitignore",
        ".ci",
        "fuzz",
        ".git",
        "target",
    ]
    .into();
    let broken: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !allowed.contains(name.as_str()))
        .collect();
    check_none("top level", &broken);
}

#[test]
fn every_module_of_the_tests_is_run() {
    for folder in ["tests/it", "tests/crash", "tests/endurance"] {
        let main = root().join(folder).join("main.rs");
        let Ok(text) = fs::read_to_string(main) else { continue };
        let broken: Vec<String> = fs::read_dir(root().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .filter(|name| name != "main" && !text.contains(&format!("mod {name};")))
            .collect();
        check_none(folder, &broken);
    }
}

/// The names that a file of the C ABI defines: its items, and itself where it is named as a module.
fn defined(source: &Source) -> BTreeSet<&str> {
    let parts: Vec<&str> = source.name.trim_end_matches(".rs").split('/').collect();
    let module = parts.last().filter(|_| parts.len() == 3 || parts.contains(&"glue")).copied();
    let items = source.text.lines().filter(|line| line.starts_with("pub")).filter_map(|line| {
        let mut words = line.split(' ');
        words.find(|word| ["fn", "struct", "enum", "type", "const", "trait"].contains(word))?;
        words.next()?.split(|c: char| c != '_' && !c.is_alphanumeric()).next()
    });
    items.chain(module).collect()
}

/// A reader of the C ABI never comes back to where they were.
#[test]
fn no_files_of_the_c_abi_use_each_other_in_turn() {
    let mut files = sources(&["src/ffi"], &["rs"]);
    files.retain(|source| !source.name.ends_with("mod.rs"));
    let used = |source: &Source| -> BTreeSet<String> {
        let uses = source.text.split("use crate::ffi::").skip(1);
        let uses = uses.map(|rest| rest.split(';').next().unwrap_or_default());
        let words = uses.flat_map(|text| text.split(|c: char| c != '_' && !c.is_alphanumeric()));
        words.map(str::to_owned).collect()
    };
    assert!(files.iter().any(|file| used(file).contains("guard")));
    // Take away the files that use none of those that remain, again and again.
    loop {
        let uses_another = |file: &Source| {
            let used = used(file);
            let others = files.iter().filter(|other| other.name != file.name);
            others.flat_map(defined).any(|name| used.contains(name))
        };
        let (left, gone): (Vec<&Source>, Vec<&Source>) =
            files.iter().partition(|file| uses_another(file));
        if gone.is_empty() {
            break;
        }
        let names: Vec<String> = left.iter().map(|file| file.name.clone()).collect();
        files.retain(|file| names.contains(&file.name));
    }
    let cyclic: Vec<String> = files.into_iter().map(|file| file.name).collect();
    check_none("a cycle of files", &cyclic);
}
