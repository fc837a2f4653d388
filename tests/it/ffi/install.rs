//! The ways in which a project of C or C++ gets the library: CMake and pkg-config, shared and
//! static, also when the folder that it was installed to has been moved.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{
    c::{NATIVE_LIBRARIES, Workshop, libraries, root, succeed},
    system::has_program,
};

const NAMES: [&str; 2] = ["libannals.so", "libannals.a"];

/// The libraries of the tests, as a build leaves them.
fn built(shop: &Workshop) -> PathBuf {
    let folder = shop.path("built");
    fs::create_dir_all(&folder).unwrap();
    for name in NAMES {
        fs::hard_link(libraries().join(name), folder.join(name)).unwrap();
    }
    #[cfg(feature = "cli")]
    fs::hard_link(env!("CARGO_BIN_EXE_annals"), folder.join("annals")).unwrap();
    let name = concat!("libannals.so.0.", env!("CARGO_PKG_VERSION_MINOR"));
    std::os::unix::fs::symlink("libannals.so", folder.join(name)).unwrap();
    folder
}

/// The compiler says what a static library needs, and it is written down in several places.
#[test]
fn the_native_libraries_are_those_that_rust_names() {
    if !has_program("rustc", "--version") {
        return;
    }
    let Some(shop) = Workshop::with("cc") else { return };
    let source = shop.source("empty.rs", "");
    let mut rustc = Command::new("rustc");
    rustc.args(["--crate-type=staticlib", "--print=native-static-libs", "--crate-name=empty"]);
    let output = succeed(rustc.arg(source).arg("-o").arg(shop.path("empty.a")));
    let listed = String::from_utf8(output.stderr).unwrap();
    let (_, listed) = listed.split_once("native-static-libs: ").unwrap();
    let listed = listed.lines().next().unwrap().trim();
    assert_eq!(listed, NATIVE_LIBRARIES.join(" "));
    let guide = fs::read_to_string(root().join("src/docs/guide/c_and_cpp.md")).unwrap();
    assert!(guide.contains(&format!("`{listed}`")), "the guide names {listed}");
    let cmake = fs::read_to_string(root().join("cmake/CMakeLists.txt")).unwrap();
    let list = listed.replace("-l", "");
    assert!(cmake.contains(&format!("(annals_native_libraries {list})")), "CMake links {list}");
}

fn cmake(shop: &Workshop) -> Command {
    let mut command = Command::new("cmake");
    command.current_dir(shop.path(""));
    command
}

/// Installs, and then moves what was installed.
fn installed(shop: &Workshop) -> PathBuf {
    let built = format!("-DANNALS_PREBUILT={}", built(shop).display());
    succeed(cmake(shop).arg("-S").arg(root().join("cmake")).args(["-B", "build", &built]));
    succeed(cmake(shop).args(["--build", "build"]));
    succeed(cmake(shop).args(["--install", "build", "--prefix"]).arg(shop.path("first")));
    let moved = shop.path("moved");
    fs::rename(shop.path("first"), &moved).unwrap();
    moved
}

fn example(language: &str) -> PathBuf {
    root().join("examples").join(language).join("quickstart").with_extension(language)
}

/// A project with one program for each language and kind, which gets the library by `way`.
fn check_project(shop: &Workshop, way: &str, flag: &str) {
    let mut text = format!(
        "cmake_minimum_required(VERSION 3.19)\nproject(consumer C CXX)\n\
         set(CMAKE_CXX_STANDARD 17)\n{way}\n"
    );
    let mut programs = Vec::new();
    for language in ["c", "cpp"] {
        for kind in ["shared", "static", "annals"] {
            let (name, source) = (format!("{language}_{kind}"), example(language));
            text.push_str(&format!(
                "add_executable({name} {})\ntarget_link_libraries({name} annals::{kind})\n",
                source.display()
            ));
            programs.push(name);
        }
    }
    fs::create_dir_all(shop.path("consumer")).unwrap();
    shop.source("consumer/CMakeLists.txt", &text);
    succeed(cmake(shop).args(["-S", "consumer", "-B", "consumer/build", flag]));
    succeed(cmake(shop).args(["--build", "consumer/build"]));
    for name in programs {
        check_quickstart(shop, &shop.path("consumer/build").join(name));
    }
}

/// The program finds the shared library without any help, by the name of its ABI, or does without.
#[track_caller]
fn check_quickstart(shop: &Workshop, program: &Path) {
    let is_static = program.to_string_lossy().ends_with("static");
    let needed = succeed(Command::new("readelf").arg("--dynamic").arg(program)).stdout;
    let name = concat!("[libannals.so.0.", env!("CARGO_PKG_VERSION_MINOR"), "]");
    let needed = String::from_utf8(needed).unwrap();
    assert_eq!(needed.contains("libannals"), !is_static, "{needed}");
    assert_eq!(needed.contains(name), !is_static, "{needed}");
    let store = program.with_extension("annals");
    let output = succeed(Command::new(program).arg(store).current_dir(shop.path("")));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.ends_with("2 ItemAdded {\"sku\": \"tea\", \"quantity\": 2}\n"), "{said}");
}

#[test]
fn cmake_finds_the_package_in_a_moved_prefix() {
    let Some(shop) = Workshop::with("c++") else { return };
    if has_program("cmake", "--version") {
        let moved = installed(&shop);
        assert!(moved.join("share/annals/annals.supp").is_file(), "what valgrind may ignore");
        let version =
            concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
        let way = format!("find_package(annals {version} REQUIRED)");
        check_project(&shop, &way, &format!("-DCMAKE_PREFIX_PATH={}", moved.display()));
        if !cfg!(feature = "cli") {
            return;
        }
        let said = succeed(Command::new(moved.join("bin/annals")).arg("--version")).stdout;
        let due = concat!("annals ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!(String::from_utf8(said).unwrap(), due);
        for page in ["annals.1", "annals-read.1", "annals-import.1"] {
            let text = fs::read_to_string(moved.join("share/man/man1").join(page)).unwrap();
            assert!(text.contains(".TH annals") && !text.contains("manual"), "{page}");
        }
    }
}

/// Some distributions name every directory by its absolute path, and collect the files elsewhere.
#[test]
fn cmake_installs_into_absolute_directories() {
    let Some(shop) = Workshop::with("cc") else { return };
    if !has_program("cmake", "--version") {
        return;
    }
    let built = format!("-DANNALS_PREBUILT={}", built(&shop).display());
    let place = |name: &str, path: &str| format!("-DCMAKE_INSTALL_{name}=/opt/annals/{path}");
    let places = [place("LIBDIR", "lib64"), place("INCLUDEDIR", "inc"), place("MANDIR", "man")];
    succeed(
        cmake(&shop)
            .arg("-S")
            .arg(root().join("cmake"))
            .args(["-B", "build", &built, "-DCMAKE_INSTALL_PREFIX=/opt/annals"])
            .args(places),
    );
    succeed(cmake(&shop).args(["--build", "build"]));
    // Twice: a second installation replaces the first.
    for _ in 0..2 {
        succeed(cmake(&shop).args(["--install", "build"]).env("DESTDIR", shop.path("stage")));
    }
    let stage = shop.path("stage/opt/annals");
    let mut names = vec!["lib64/libannals.a", "lib64/cmake/annals/annals-config.cmake"];
    names.extend(["inc/annals.h", "inc/annals.hpp"]);
    if cfg!(feature = "cli") {
        names.extend(["bin/annals", "man/man1/annals.1", "man/man1/annals-read.1"]);
    }
    for name in names {
        assert!(stage.join(name).is_file(), "{name}");
    }
    let package = fs::read_to_string(stage.join("lib64/pkgconfig/annals.pc")).unwrap();
    assert!(package.contains("/opt/annals/lib64\n"), "{package}");
    let manifest = fs::read_to_string(shop.path("build/install_manifest.txt")).unwrap();
    assert_eq!(manifest.contains("man1/annals.1"), cfg!(feature = "cli"), "{manifest}");
}

#[test]
fn cmake_adds_the_directory_to_a_project() {
    let Some(shop) = Workshop::with("c++") else { return };
    if has_program("cmake", "--version") {
        let built = format!("-DANNALS_PREBUILT={}", built(&shop).display());
        let way = format!("add_subdirectory({} annals)", root().join("cmake").display());
        check_project(&shop, &way, &built);
    }
}

#[test]
fn pkg_config_finds_the_package_in_a_moved_prefix() {
    let Some(shop) = Workshop::with("c++") else { return };
    if !has_program("cmake", "--version") || !has_program("pkg-config", "--version") {
        return;
    }
    let moved = installed(&shop);
    let library = moved.join("lib");
    for (kind, words) in [("shared", "--libs"), ("static", "--static --libs")] {
        if kind == "static" {
            for file in fs::read_dir(&library).unwrap().map(|entry| entry.unwrap().path()) {
                if file.to_string_lossy().contains(".so") {
                    fs::remove_file(file).unwrap();
                }
            }
        }
        for (language, compiler) in [("c", "cc -std=c99"), ("cpp", "c++ -std=c++17")] {
            let program = shop.path(&format!("{language}-{kind}"));
            let line = format!(
                "{compiler} {} $(pkg-config --cflags {words} annals) -o {} -Wl,-rpath,{}",
                example(language).display(),
                program.display(),
                library.display()
            );
            let mut shell = Command::new("sh");
            shell.args(["-euc", &line]).env("PKG_CONFIG_PATH", library.join("pkgconfig"));
            succeed(&mut shell);
            check_quickstart(&shop, &program);
        }
    }
}
