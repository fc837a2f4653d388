//! What must not change within an ABI version: the exported symbols and the layout of structs.
//!
//! `ANNALS_UPDATE=1 cargo test --test it ffi::abi` writes both files anew.

use std::{fs, mem::offset_of, process::Command};

use annals::ffi::{ANNALS_ABI_VERSION, annals_event, annals_new_event, annals_string, annals_unit};

use crate::{
    ffi::prototypes::{header, prototypes},
    support::{
        c::{Workshop, root, shared_library, succeed},
        system::has_program,
    },
};

#[track_caller]
fn check_file(name: &str, due: &str) {
    let path = root().join("tests/abi").join(name);
    if std::env::var_os("ANNALS_UPDATE").is_some() {
        fs::write(&path, due).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), due, "tests/abi/{name} is due to change");
}

#[test]
fn the_library_exports_what_the_header_declares() {
    let mut declared: Vec<String> = prototypes().into_iter().map(|found| found.name).collect();
    declared.sort();
    check_file("annals.symbols", &(declared.join("\n") + "\n"));
    if !has_program("nm", "--version") {
        return;
    }
    let mut nm = Command::new("nm");
    let listed = succeed(nm.args(["--dynamic", "--defined-only"]).arg(shared_library()));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut exported: Vec<&str> =
        listed.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    // Made for the tests alone.
    exported.retain(|name| *name != "annals_test_panic");
    exported.sort();
    assert_eq!(exported, declared);
}

#[test]
fn the_shared_library_has_its_name_and_stays_loaded() {
    if !has_program("readelf", "--version") {
        return;
    }
    let dynamic = succeed(Command::new("readelf").arg("--dynamic").arg(shared_library()));
    let dynamic = String::from_utf8(dynamic.stdout).unwrap();
    let name = concat!("[libannals.so.0.", env!("CARGO_PKG_VERSION_MINOR"), "]");
    assert!(dynamic.contains(name), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

macro_rules! layout {
    ($text:ident, $type:ident: $($field:ident as $name:literal),*) => {
        let name = stringify!($type);
        let size = size_of::<$type>();
        $text.push_str(&format!("\nASSERT(sizeof({name}) == {size});\n"));
        $(
            let (offset, field) = (offset_of!($type, $field), $name);
            $text.push_str(&format!("ASSERT(offsetof({name}, {field}) == {offset});\n"));
        )*
    };
}

/// The sizes and offsets of Rust, as assertions in C.
fn layout() -> String {
    let mut text = String::from(
        "/* The layout of structs on machines with pointers of 64 bits, as Rust has it. */\n\n\
         #include <annals.h>\n\n\
         #define ASSERT(condition) _Static_assert(condition, #condition)\n",
    );
    text.push_str(&format!("\nASSERT(ANNALS_ABI_VERSION == {ANNALS_ABI_VERSION});\n"));
    layout!(text, annals_event: position as "position", version as "version",
        timestamp_us as "timestamp_us", utc_offset_minutes as "utc_offset_minutes",
        flags as "flags", id as "id", stream as "stream", stream_len as "stream_len",
        r#type as "type", type_len as "type_len", data as "data", data_len as "data_len",
        metadata as "metadata", metadata_len as "metadata_len", tags as "tags",
        tag_count as "tag_count");
    layout!(text, annals_string: ptr as "ptr", len as "len");
    layout!(text, annals_new_event: struct_size as "struct_size", flags as "flags", id as "id",
        r#type as "type", type_len as "type_len", data as "data", data_len as "data_len",
        metadata as "metadata", metadata_len as "metadata_len", timestamp_us as "timestamp_us",
        utc_offset_minutes as "utc_offset_minutes", tags as "tags", tag_count as "tag_count");
    layout!(text, annals_unit: struct_size as "struct_size", stream as "stream",
        stream_len as "stream_len", expected_version as "expected_version", events as "events",
        event_count as "event_count");
    text
}

#[test]
#[cfg(target_pointer_width = "64")]
fn c_and_rust_agree_on_the_layout() {
    check_file("layout.c", &layout());
    let Some(shop) = Workshop::with("cc") else { return };
    shop.check("cc", &["-std=c11"], &root().join("tests/abi/layout.c"));
}

#[test]
fn the_header_has_no_name_without_its_prefix() {
    let header = header();
    let mut names: Vec<String> = prototypes().into_iter().map(|found| found.name).collect();
    for line in header.lines() {
        if let Some(name) = line.strip_prefix("#define ") {
            let name = name.split([' ', '(']).next().unwrap();
            assert!(name.starts_with("ANNALS_"), "{line}");
        }
    }
    for line in header.lines().filter(|line| line.ends_with(';')) {
        let callback = line.split_once("(*").and_then(|(_, rest)| rest.split_once(')'));
        if let Some(name) = line.strip_prefix("} ").and_then(|rest| rest.strip_suffix(';')) {
            names.push(name.to_owned());
        } else if let (true, Some((name, _))) = (line.starts_with("typedef "), callback) {
            names.push(name.to_owned());
        } else if line.starts_with("typedef ") {
            names.push(line.rsplit(' ').next().unwrap().to_owned());
        }
    }
    assert!(names.len() > 55, "types and functions: {names:?}");
    let foreign: Vec<&String> = names.iter().filter(|name| !name.starts_with("annals_")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
