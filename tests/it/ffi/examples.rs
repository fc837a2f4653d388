//! The examples in `examples/c`, and the commands of the README, do what they say.

use std::{fs, path::PathBuf, process::Command};

use crate::support::{
    c::{Linkage, Workshop, root, succeed},
    samples,
    system::skipped,
};

/// An example in both languages, compiled as strictly as they have it, each in its own folder.
fn examples(name: &str) -> Vec<(Workshop, PathBuf)> {
    let languages = [("c", "cc", "-std=c99"), ("cpp", "c++", "-std=c++17")];
    let compiled = languages.into_iter().filter_map(|(language, compiler, standard)| {
        let shop = Workshop::with(compiler)?;
        let source = root().join("examples").join(language).join(name).with_extension(language);
        let program = shop.compile(compiler, &[standard, "-O2"], &[source], Linkage::Shared);
        Some((shop, program))
    });
    compiled.collect()
}

#[track_caller]
fn check_output(command: &mut Command, due: &str) {
    let output = succeed(command);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), due);
}

#[test]
fn quickstart() {
    for (shop, program) in examples("quickstart") {
        let first = "1 OrderPlaced {\"customer\": \"ada\"}\n\
                 2 ItemAdded {\"sku\": \"tea\", \"quantity\": 2}\n";
        check_output(&mut shop.command(&program), first);
        let second = first.replace("1 Order", "3 Order").replace("2 Item", "4 Item");
        check_output(&mut shop.command(&program), &(first.to_owned() + &second));
        let output = shop.command(&program).arg("/dev/null/none").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.starts_with("quickstart: cannot "), "{words}");
    }
}

#[test]
fn ledger() {
    for (shop, program) in examples("ledger") {
        let due = "somebody deposits 5 meanwhile\n\
               conflict: expected version 1, is at 2\n\
               withdrawn: 70, in attempt 2\n\
               refused: 70 of 35\n\
               balance: 35 at version 3\n";
        check_output(&mut shop.command(&program), due);
    }
}

#[test]
fn user_names() {
    let Some(shop) = Workshop::with("cc") else { return };
    let source = root().join("examples/c/user_names.c");
    let program = shop.compile("cc", &["-std=c99", "-O2"], &[source], Linkage::Shared);
    let due = "user-1 is countess, at 1\ncountess is taken since 1\nuser-2 is admiral, at 2\n";
    check_output(&mut shop.command(&program), due);
}

#[test]
fn live() {
    for (shop, program) in examples("live") {
        let first = "restored: nothing\n\
               deposited: 100\n\
               withdrawn: 100\n\
               stopped: the handler for Withdrawn failed at position 2: \
               the callback failed with -1\n\
               because: overdrawn by 400\n\
               processed: 1\n\
               balance: -400\n\
               saved: at position 2\n";
        check_output(&mut shop.command(&program), first);
        let second = "restored: -400 at position 2\n\
               deposited: -300\n\
               withdrawn: -300\n\
               stopped: the handler for Withdrawn failed at position 4: \
               the callback failed with -1\n\
               because: overdrawn by 800\n\
               processed: 1\n\
               balance: -800\n\
               saved: at position 4\n";
        check_output(&mut shop.command(&program), second);
        let output = shop.command(&program).arg("/dev/null/none").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.starts_with("live: ") && words.contains("cannot"), "{words}");
    }
}

#[test]
fn exchange() {
    for (shop, program) in examples("exchange") {
        let orders = root().join("examples/data/orders.ndjson");
        for _ in 0..2 {
            check_output(
                shop.command(&program).arg("copy.annals").arg(&orders),
                &samples::orders(),
            );
        }
        let broken = shop.path("broken.ndjson");
        fs::write(&broken, "{\"event_id\": 1}\n").unwrap();
        let output = shop.command(&program).arg("new.annals").arg(&broken).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains("broken.ndjson:1:"), "{words}");
    }
}

/// The program at the top of a header.
fn program_of(header: &str, marks: (&str, &str), margin: &str) -> String {
    let text = fs::read_to_string(root().join("include").join(header)).unwrap();
    let (_, code) = text.split_once(marks.0).unwrap();
    let (code, _) = code.split_once(marks.1).unwrap();
    let margin = margin.trim_end();
    let lines = code.lines().map(|line| line.strip_prefix(margin).unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn the_programs_at_the_top_of_the_headers() {
    if let Some(shop) = Workshop::with("cc") {
        let text = program_of("annals.h", ("@code{.c}", "@endcode"), " * ");
        let source = shop.source("top.c", &text);
        let program = shop.compile("cc", &["-std=c99"], &[source], Linkage::Shared);
        check_output(&mut shop.command(&program), "1 ItemAdded {\"sku\": \"tea\"}\n");
    }
    if let Some(shop) = Workshop::with("c++") {
        let text = program_of("annals.hpp", ("@code{.cpp}", "@endcode"), "/// ");
        let source = shop.source("top.cpp", &text);
        let program = shop.compile("c++", &["-std=c++17"], &[source], Linkage::Shared);
        let due = "1 OrderPlaced {\"customer\": \"ada\"}\n2 ItemAdded {\"sku\": \"tea\"}\n";
        check_output(&mut shop.command(&program), due);
    }
}

/// The block of commands below a heading of the README.
fn commands(heading: &str) -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = readme.split_once(&format!("\n{heading}\n")).unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// The first command is a build of some minutes, so that it runs where that was done, or must be.
#[test]
fn the_way_to_a_c_program_is_as_the_readme_has_it() {
    let commands = commands("### In C");
    assert!(commands.lines().count() <= 3, "{commands}");
    let is_built = root().join("target/release/libannals.so").is_file();
    if !is_built && std::env::var("CI").as_deref() != Ok("true") {
        skipped("there is no release build for the commands of the README");
        return;
    }
    let store = root().join("target/orders.annals");
    if store.is_dir() {
        fs::remove_dir_all(&store).unwrap();
    }
    let mut shell = Command::new("sh");
    shell.arg("-euc").arg(&commands).current_dir(root());
    // What Cargo tells the tests is not what a shell has.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG") || name == "LD_LIBRARY_PATH" || name == "CARGO_TARGET_DIR"
        {
            shell.env_remove(&*name);
        }
    }
    let output = succeed(&mut shell);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("2 ItemAdded {\"sku\": \"tea\", \"quantity\": 2}"), "{said}");
}
