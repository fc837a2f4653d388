//! `include/annals.h` is what cbindgen generates from `src/ffi`.
//!
//! `ANNALS_UPDATE=1 cargo test --features header --test it ffi::generated` writes it anew.

use std::fs;

use crate::{ffi::header::SOURCES, support::c::root};

fn generated() -> String {
    let ffi = root().join("src/ffi");
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(ffi.join(source));
    }
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    finished(&String::from_utf8(text).unwrap())
}

/// Fills in the version, and takes out what rustdoc alone needs: the sections on safety, which say
/// for Rust what each `@param` says for C.
fn finished(text: &str) -> String {
    let (major, minor, patch) = (
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    );
    let number = |text: &str| text.parse::<u32>().unwrap();
    let all = number(major) * 1_000_000 + number(minor) * 1_000 + number(patch);
    let text = text
        .replace("@MAJOR@", major)
        .replace("@MINOR@", minor)
        .replace("@PATCH@", patch)
        .replace("@NUMBER@", &all.to_string())
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    let mut lines: Vec<String> = Vec::new();
    let mut is_on_safety = false;
    for line in text.lines().map(str::trim_end) {
        if line == " * # Safety" {
            is_on_safety = true;
            // The empty line in front of it.
            lines.pop();
        } else if line.ends_with(" */") {
            is_on_safety = false;
        }
        let is_second_empty = line.is_empty() && lines.last().is_some_and(String::is_empty);
        if !is_on_safety && !is_second_empty {
            lines.push(line.to_owned());
        }
        shorten(&mut lines);
    }
    lines.join("\n").trim_start().to_owned() + "\n"
}

/// Makes one line of a comment that has just ended and says only one.
fn shorten(lines: &mut Vec<String>) {
    let [.., opening, text, closing] = lines.as_slice() else { return };
    if opening.trim_start() != "/**" || closing.trim_start() != "*/" {
        return;
    }
    let indent = opening.len() - opening.trim_start().len();
    let text = text.trim_start().trim_start_matches("* ");
    let short = format!("{}/** {text} */", " ".repeat(indent));
    if short.len() <= 100 {
        lines.truncate(lines.len() - 3);
        lines.push(short);
    }
}

#[test]
fn the_committed_header_is_what_the_code_makes() {
    let path = root().join("include/annals.h");
    let due = generated();
    if std::env::var_os("ANNALS_UPDATE").is_some() {
        fs::write(&path, &due).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    if let Some((number, (old, new))) =
        committed.lines().zip(due.lines()).enumerate().find(|(_, (old, new))| old != new)
    {
        panic!(
            "include/annals.h:{} is\n{old}\nbut the code makes\n{new}\n\
             run ANNALS_UPDATE=1 cargo test --features header --test it ffi::generated",
            number + 1
        );
    }
    assert_eq!(committed, due, "one of them is longer");
}
