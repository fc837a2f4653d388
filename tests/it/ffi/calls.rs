//! Calls of every function of the header, written as C, with valid arguments except for one.

use crate::ffi::prototypes::{Param, Prototype};

/// What a call may answer, as a range of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due(pub(crate) &'static str, pub(crate) &'static str);

pub(crate) const FINE: Due = Due("0", "INT32_MAX");
pub(crate) const ANYTHING: Due = Due("INT32_MIN", "INT32_MAX");
pub(crate) const INVALID: Due = Due("ANNALS_E_INVALID_ARGUMENT", "ANNALS_E_INVALID_ARGUMENT");
pub(crate) const MISUSE: Due = Due("ANNALS_E_MISUSE", "ANNALS_E_MISUSE");
pub(crate) const CLOSED: Due = Due("ANNALS_E_CLOSED", "ANNALS_E_CLOSED");
pub(crate) const FORKED: Due = Due("ANNALS_E_FORKED", "ANNALS_E_FORKED");

/// The object of the world that a type stands for, if it is an object.
pub(crate) fn object(param: &Param) -> Option<&'static str> {
    Some(match param.ty.trim_start_matches("const ") {
        "annals_store *" => "w.store",
        "annals_iter *" => "w.iter",
        "annals_stream_iter *" => "w.streams",
        "annals_options *" => "w.options",
        "annals_read_options *" => "w.read_options",
        "annals_error *" => "w.failure",
        "annals_snapshot *" => "w.snapshot",
        "annals_subscription *" => "w.subscription",
        "annals_projection *" => "w.projection",
        "annals_query *" => "w.query",
        "annals_batch *" => "w.batch",
        "annals_ticket *" => "w.ticket",
        _ => return None,
    })
}

/// Whether an argument is a place for a result: all but the strings and structs are pointers to
/// what they receive.
pub(crate) fn is_out(param: &Param) -> bool {
    param.name.starts_with("out") || param.name == "err"
}

/// An argument that every function takes.
pub(crate) fn valid(function: &Prototype, param: &Param) -> String {
    if is_out(param) {
        return format!("&o_{}", param.name);
    }
    if let Some(object) = object(param) {
        return object.to_owned();
    }
    let text = match (function.name.as_str(), param.ty.as_str(), param.name.as_str()) {
        ("annals_open", "const char *", _) => "\"abuse.annals\"",
        (
            "annals_repair"
            | "annals_salvage"
            | "annals_compact"
            | "annals_reader_open"
            | "annals_reader_open_with_options",
            "const char *",
            _,
        ) => "CLOSED_STORE",
        ("annals_backup", "const char *", _) => "unused_directory(\"copy.annals\")",
        ("annals_export_ndjson_file", "const char *", _) => "unused(\"out.ndjson\")",
        ("annals_import_ndjson_file", "const char *", _) => "empty_file(\"in.ndjson\")",
        (_, "const char *", _) => "\"text\"",
        (_, "size_t", "len" | "path_len" | "stream_len") => "NT",
        (_, "size_t", "n" | "max" | "type_count" | "tag_count") => "1",
        ("annals_options_add_upcaster", "uint32_t", _) => "1",
        (_, "const uint8_t *", "id") => "(const uint8_t *)\"sixteen bytes...\"",
        (_, "annals_upcast_fn", _) => "upcast",
        (_, "const annals_string *", _) => "&w.text",
        (_, "size_t", "index") => "0",
        (_, "uint64_t", "expected_version") => "ANNALS_EXPECT_ANY",
        (_, "uint64_t", "up_to") => "0",
        (_, "int64_t", "timeout_ms") => "0",
        (_, "int64_t", "timestamp_us") => "1",
        (_, "const uint8_t *", "data" | "state") => "(const uint8_t *)\"x\"",
        (_, "annals_event_fn", _) => "see",
        (_, "annals_restore_fn", _) => "restore",
        (_, "annals_destroy_fn", _) => "NULL",
        (_, "uint64_t", _) => "1",
        (_, "uint32_t" | "int32_t", _) => "0",
        (_, "bool", _) => "true",
        (_, "const annals_new_event *", _) => "&w.event",
        (_, "const annals_unit *", _) => "&w.unit",
        (_, "annals_write_fn", _) => "take",
        (_, "annals_read_fn", _) => "give",
        (_, "annals_finding_fn", _) => "find",
        (_, "void *", "user_data") => "NULL",
        other => panic!("no valid argument is known for {other:?}: add one here"),
    };
    text.to_owned()
}

/// One call in a world of its own, as a block of C: `change` is an argument and what to pass for
/// it.
pub(crate) fn block(
    function: &Prototype,
    change: Option<(usize, &str)>,
    before: &str,
    due: Due,
) -> String {
    let mut code = String::from("  {\n    world w;\n");
    let mut arguments = Vec::new();
    for (index, param) in function.params.iter().enumerate() {
        if is_out(param) {
            let ty = param.ty.strip_suffix('*').unwrap().trim();
            let garbage = if ty.ends_with('*') { "(void *)&w" } else { "77" };
            code.push_str(&format!("    {ty} o_{} = {garbage};\n", param.name));
        }
        arguments.push(match change {
            Some((changed, text)) if changed == index => text.to_owned(),
            _ => valid(function, param),
        });
    }
    let what = match change {
        Some((index, text)) => {
            format!("{}, {} = {text}", function.name, function.params[index].name)
        }
        None => function.name.clone(),
    };
    let what = what.replace('\\', "\\\\").replace('"', "'");
    let call = format!("{}({})", function.name, arguments.join(", "));
    code.push_str(&format!("    make_world(&w);\n    {before}\n"));
    if function.can_fail() {
        code.push_str(&judged(function, &arguments, &call, &what, due));
    } else if function.name.ends_with("_new") || function.name.ends_with("_new_all") {
        let free = function.name.replace("_new_all", "_new").replace("_new", "_free");
        code.push_str(&format!("    {free}({call});\n    judged++;\n"));
    } else {
        code.push_str(&format!("    (void){call};\n    judged++;\n"));
    }
    if function.name.ends_with("_free") && change.is_none() {
        code.push_str(&format!("    {} = NULL;\n", arguments[0]));
    }
    code + "    end_world(&w);\n  }\n"
}

/// A call whose status is judged, and whose results are cleared on an error, and given back.
fn judged(function: &Prototype, arguments: &[String], call: &str, what: &str, due: Due) -> String {
    let has_error = arguments.iter().any(|argument| argument == "&o_err");
    let error = if has_error { "o_err" } else { "NULL" };
    let mut code = format!("    annals_status rc = {call};\n");
    code.push_str(&format!(
        "    judge(\"{what}\", rc, {}, {}, {has_error}, {error});\n",
        due.0, due.1
    ));
    for (param, argument) in function.params.iter().zip(arguments) {
        if is_out(param) && param.name != "err" && argument.starts_with("&o_") {
            code.push_str(&format!("    CHECK(rc >= 0 || o_{} == 0);\n", param.name));
        }
        let free = match param.ty.as_str() {
            "annals_store **" => "if (rc >= 0) close_store",
            "annals_iter **" => "if (rc >= 0) annals_iter_free",
            "annals_stream_iter **" => "if (rc >= 0) annals_stream_iter_free",
            "annals_snapshot **" => "if (rc >= 0) annals_snapshot_free",
            "annals_subscription **" => "if (rc >= 0) annals_subscription_free",
            "annals_ticket **" => "if (rc >= 0) annals_ticket_free",
            "annals_projection **" => "if (rc >= 0) annals_projection_free",
            _ => continue,
        };
        if argument.starts_with("&o_") {
            code.push_str(&format!("    {free}(o_{});\n", param.name));
        }
    }
    if function.name == "annals_close" && arguments[0] == "w.store" {
        code.push_str("    w.store = NULL;\n");
    }
    code
}

/// A whole program of blocks.
pub(crate) fn program(functions: &[Prototype], blocks: impl Fn(&Prototype) -> String) -> String {
    let mut code = String::from("/* Generated from annals.h. */\n\n#include \"world.h\"\n");
    let mut calls = String::new();
    for function in functions {
        let name = &function.name;
        code.push_str(&format!("\nstatic void test_{name}(void) {{\n{}}}\n", blocks(function)));
        calls.push_str(&format!("  test_{name}();\n"));
    }
    code + &format!("\nint main(void) {{\n{calls}  printf(\"%d\\n\", judged);\n  return 0;\n}}\n")
}
