//! `include/annals.h` is what cbindgen makes of `src/ffi`, and fits every compiler.
//!
//! `ANNALS_UPDATE=1 cargo test --test it ffi::header` writes it anew.

use std::{fs, path::Path};

use crate::support::{
    c::{Linkage, Workshop, root, succeed},
    system::has_program,
};

/// The files of the C ABI, in the order in which the header tells of them.
const SOURCES: [&str; 25] = [
    "version.rs",
    "status.rs",
    "error.rs",
    "event.rs",
    "options.rs",
    "store.rs",
    "append.rs",
    "batch/object.rs",
    "batch/ticket.rs",
    "read/options.rs",
    "read/query.rs",
    "read/iter.rs",
    "read/streams.rs",
    "derived/callback.rs",
    "derived/checkpoint.rs",
    "derived/subscription.rs",
    "derived/snapshot.rs",
    "projection/object.rs",
    "projection/setup.rs",
    "projection/run.rs",
    "projection/snapshot.rs",
    "derived/reconstruct.rs",
    "ndjson.rs",
    "verify.rs",
    "healing.rs",
];

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
             run ANNALS_UPDATE=1 cargo test --test it ffi::header",
            number + 1
        );
    }
    assert_eq!(committed, due, "one of them is longer");
}

/// Uses of everything that is a macro, in the words of both languages.
const USE: &str = "#include <annals.h>
extern annals_new_event event;
annals_new_event event = ANNALS_NEW_EVENT_INIT;
extern annals_unit unit;
annals_unit unit = ANNALS_UNIT_INIT;
extern const uint64_t kinds[3];
const uint64_t kinds[3] = {
  ANNALS_EXPECT_ANY, ANNALS_EXPECT_STREAM_EXISTS, ANNALS_NUL_TERMINATED
};
int main(void) {
  annals_status status = ANNALS_E_INTERNAL;
  return status < 0 && ANNALS_CHECK_VERSION() && ANNALS_OFFSET_NAIVE < 0 ? 0 : 1;
}
";

#[test]
fn c_compilers_take_the_header() {
    for compiler in ["gcc", "clang"] {
        let Some(shop) = Workshop::with(compiler) else { continue };
        let source = shop.source("use.c", USE);
        for standard in ["-std=c99", "-std=c11", "-std=c17", "-std=c2x", "-std=gnu11"] {
            let flags = ["-Wstrict-prototypes", "-Wconversion", "-Wc++-compat", "-Wundef"];
            shop.check(compiler, &[&flags[..], &[standard]].concat(), &source);
        }
    }
}

#[test]
fn cpp_compilers_take_the_header() {
    for compiler in ["g++", "clang++"] {
        let Some(shop) = Workshop::with(compiler) else { continue };
        let source = shop.source("use.cpp", USE);
        for standard in ["-std=c++11", "-std=c++14", "-std=c++17", "-std=c++20"] {
            shop.check(compiler, &["-Wconversion", "-Wundef", "-Wshadow", standard], &source);
        }
    }
}

#[test]
fn two_files_may_include_the_header() {
    let Some(shop) = Workshop::with("cc") else { return };
    let main = shop.source("main.c", USE);
    let other = shop.source("other.c", "#include <annals.h>\n#include <annals.h>\n");
    let program = shop.compile("cc", &["-std=c99"], &[main, other], Linkage::Shared);
    assert!(shop.command(&program).status().unwrap().success());
}

/// Every function, argument and result has its words.
#[test]
fn doxygen_takes_the_header_without_a_warning() {
    if !has_program("doxygen", "--version") {
        return;
    }
    let Some(shop) = Workshop::with("cc") else { return };
    let header = root().join("include/annals.h");
    let settings = format!(
        "INPUT = {}\nOUTPUT_DIRECTORY = {}\nQUIET = YES\nGENERATE_LATEX = NO\nHAVE_DOT = NO\n\
         OPTIMIZE_OUTPUT_FOR_C = YES\nWARN_NO_PARAMDOC = YES\nWARN_AS_ERROR = YES\n\
         MACRO_EXPANSION = YES\nEXPAND_ONLY_PREDEF = YES\n\
         PREDEFINED = ANNALS_API= ANNALS_NODISCARD= ANNALS_NOEXCEPT=\n",
        header.display(),
        shop.path("").display()
    );
    let settings = shop.source("Doxyfile", &settings);
    succeed(shop.command(Path::new("doxygen")).arg(settings));
    assert!(shop.path("html/annals_8h.html").is_file());
}
