//! `include/annals.h` declares the functions of `src/ffi`, and every compiler takes it.
//!
//! Whether the rest of it is up to date needs cbindgen: see `generated.rs`.

use std::{fs, path::Path};

use crate::{
    ffi::prototypes::prototypes,
    support::{
        c::{Linkage, Workshop, root, succeed},
        system::has_program,
    },
};

/// The files of the C ABI, in the order in which the header declares them.
pub(crate) const SOURCES: [&str; 32] = [
    "version.rs",
    "status.rs",
    "error/names.rs",
    "error/object.rs",
    "error/read.rs",
    "event.rs",
    "store/options.rs",
    "store/object.rs",
    "expected.rs",
    "append.rs",
    "batch/object.rs",
    "batch/ticket.rs",
    "read/options.rs",
    "read/bounds.rs",
    "read/query.rs",
    "read/iter.rs",
    "read/by_id.rs",
    "read/streams.rs",
    "callback.rs",
    "store/checkpoint.rs",
    "read/subscription.rs",
    "snapshot.rs",
    "projection/object.rs",
    "projection/setup.rs",
    "projection/run.rs",
    "projection/snapshot.rs",
    "projection/reconstruct.rs",
    "ndjson.rs",
    "store/upcast.rs",
    "maintenance/verify.rs",
    "maintenance/healing.rs",
    "store/metrics.rs",
];

/// The functions that a source file of the library exports, as C declares them.
fn exported(source: &str) -> Vec<String> {
    let (start, middle) = ("#[unsafe(no_mangle)]", "extern \"C\" fn ");
    let exports = source.split(start).skip(1).map(|text| text.split_once(middle).unwrap().1);
    let declarations = exports.map(|text| {
        let (name, rest) = text.split_once('(').unwrap();
        let (params, rest) = rest.split_once(')').unwrap();
        let returns = rest.split_once('{').unwrap().0.trim().trim_start_matches("-> ").trim();
        let params = params.split(',').map(str::trim).filter(|param| !param.is_empty());
        let params = params.map(|param| {
            let (name, ty) = param.split_once(": ").unwrap();
            declaration(ty, name.trim_start_matches("r#"))
        });
        let returns = if returns.is_empty() { "void" } else { returns };
        format!("{}({})", declaration(returns, name), params.collect::<Vec<_>>().join(", "))
    });
    declarations.collect()
}

/// The declaration in C of a name with a type of Rust.
fn declaration(ty: &str, name: &str) -> String {
    for (pointer, qualifier) in [("*mut ", ""), ("*const ", "const ")] {
        let Some(target) = ty.strip_prefix(pointer) else { continue };
        let name = format!("*{name}");
        return match target.starts_with('*') {
            true => declaration(target, &format!("{qualifier}{name}")),
            false => format!("{qualifier}{}", declaration(target, &name)),
        };
    }
    let ty = match ty {
        "u8" => "uint8_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "i32" => "int32_t",
        "i64" => "int64_t",
        "usize" => "size_t",
        "c_char" => "char",
        "c_void" => "void",
        ty => ty,
    };
    format!("{ty} {name}")
}

/// Rejects a header that was not generated again after a function was added, removed or changed.
#[test]
fn the_header_declares_what_the_library_exports() {
    let files = SOURCES.iter().map(|source| root().join("src/ffi").join(source));
    let due: Vec<String> =
        files.flat_map(|file| exported(&fs::read_to_string(file).unwrap())).collect();
    let declared = prototypes().into_iter().map(|function| {
        let join = |ty: &str, name: &str| match ty.ends_with('*') {
            true => format!("{ty}{name}"),
            false => format!("{ty} {name}"),
        };
        let params = function.params.iter().map(|param| join(&param.ty, &param.name));
        let params = params.collect::<Vec<_>>().join(", ");
        format!("{}({params})", join(&function.returns, &function.name))
    });
    let declared: Vec<String> = declared.collect();
    let stale: Vec<&String> = declared.iter().filter(|text| !due.contains(text)).collect();
    let missing: Vec<&String> = due.iter().filter(|text| !declared.contains(text)).collect();
    assert!(
        stale.is_empty() && missing.is_empty(),
        "include/annals.h declares {stale:#?}\nand src/ffi exports {missing:#?}\n\
         run ANNALS_UPDATE=1 cargo test --features header --test it ffi::generated"
    );
    assert_eq!(declared, due, "the order differs");
}

/// Adding a file to the C ABI needs a place in the header.
#[test]
fn every_file_that_exports_a_function_is_in_the_header() {
    let mut folders = vec![root().join("src/ffi")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).unwrap().contains("#[unsafe(no_mangle)]") {
                let name = path.strip_prefix(root().join("src/ffi")).unwrap();
                found.push(name.display().to_string());
            }
        }
    }
    let is_known = |name: &String| SOURCES.contains(&name.as_str());
    // This one is for tests alone.
    let is_for_tests = |name: &String| name == "glue/panic_injection.rs";
    let unknown: Vec<_> = found.iter().filter(|n| !is_known(n) && !is_for_tests(n)).collect();
    assert!(unknown.is_empty(), "SOURCES lacks {unknown:?}");
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
