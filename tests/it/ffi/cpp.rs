//! `include/annals.hpp`: every compiler takes it, and it does what it says.

use std::os::unix::process::ExitStatusExt;

use crate::support::c::{Linkage, Workshop, root, succeed};

const COMPILERS: [&str; 2] = ["g++", "clang++"];
const STRICT: [&str; 4] = ["-Wconversion", "-Wshadow", "-Wundef", "-Wnon-virtual-dtor"];
const SIGABRT: i32 = 6;

/// The programs with exceptions, each with its sources.
const SUITES: [&[&str]; 5] = [
    &["suite.cpp", "other.cpp"],
    &["derived.cpp"],
    &["failures.cpp"],
    &["values.cpp"],
    &["mixed.cpp", "without.cpp"],
];

fn sources(names: &[&str]) -> Vec<std::path::PathBuf> {
    names.iter().map(|name| root().join("tests/cpp").join(name)).collect()
}

#[test]
fn compilers_take_the_layer() {
    for compiler in COMPILERS {
        let Some(shop) = Workshop::with(compiler) else { continue };
        let use_it =
            "#include <annals.hpp>\nint main() { return ANNALS_CHECK_VERSION() ? 0 : 1; }\n";
        let source = shop.source("use.cpp", use_it);
        for standard in ["-std=c++17", "-std=c++20", "-std=c++2b"] {
            shop.check(compiler, &[&STRICT[..], &[standard]].concat(), &source);
        }
        let without = ["-std=c++17", "-fno-exceptions", "-DANNALS_NO_EXCEPTIONS"];
        shop.check(compiler, &[&STRICT[..], &without].concat(), &source);
    }
}

#[test]
fn the_suites_pass() {
    let ways = [("g++", "-std=c++17", Linkage::Shared), ("clang++", "-std=c++20", Linkage::Static)];
    for (compiler, standard, linkage) in ways {
        let Some(shop) = Workshop::with(compiler) else { continue };
        let flags = [&STRICT[..], &[standard, "-g"]].concat();
        for suite in SUITES {
            let program = shop.compile(compiler, &flags, &sources(suite), linkage);
            succeed(&mut shop.command(&program));
        }
    }
}

#[test]
fn the_suites_are_clean_under_the_sanitizers() {
    let Some(shop) = Workshop::with("g++") else { return };
    let flags = ["-std=c++17", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    for suite in SUITES {
        let program = shop.compile("g++", &flags, &sources(suite), Linkage::Shared);
        succeed(&mut shop.command(&program));
    }
}

#[test]
fn without_exceptions_there_are_results() {
    let Some(shop) = Workshop::with("g++") else { return };
    let flags = [&STRICT[..], &["-std=c++17", "-fno-exceptions"]].concat();
    let program = shop.compile("g++", &flags, &sources(&["no_exceptions.cpp"]), Linkage::Shared);
    succeed(&mut shop.command(&program));
}

#[test]
fn a_stray_exception_ends_the_program_where_it_happens() {
    let Some(shop) = Workshop::with("g++") else { return };
    let program = shop.compile("g++", &["-std=c++17"], &sources(&["stray.cpp"]), Linkage::Shared);
    let output = shop.command(&program).output().unwrap();
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    assert_eq!(output.stdout, b"", "nothing comes through");
}
