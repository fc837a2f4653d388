//! Every function of the header with every kind of wrong argument: none crashes, and each says what
//! is wrong. A new function is abused as soon as the header declares it.

use crate::{
    ffi::{
        calls::{
            ANYTHING, CLOSED, Due, FINE, FORKED, INVALID, MISUSE, block, is_out, object, program,
        },
        prototypes::{Param, Prototype, prototypes},
    },
    support::c::{Linkage, Workshop, succeed},
};

/// Whether NULL is fine for a pointer.
fn is_optional(function: &str, param: &Param) -> bool {
    match (function, param.name.as_str()) {
        (_, "err" | "user_data" | "options_or_null" | "finding" | "missing" | "destroy") => true,
        ("annals_read_all" | "annals_read_stream" | "annals_subscribe", "options") => true,
        ("annals_close", "store") => true,
        ("annals_head" | "annals_checkpoint_load", "out_position") => false,
        ("annals_stream_version", "out_version") => false,
        (_, "out_store" | "out" | "out_event" | "out_n" | "out_name") => false,
        ("annals_iter_next_batch", "out_events") => false,
        (_, name) => name.starts_with("out_"),
    }
}

/// What to pass for an argument, and what is due.
fn wrong(function: &Prototype, param: &Param) -> Vec<(&'static str, Due)> {
    if is_out(param) {
        return vec![("NULL", if is_optional(&function.name, param) { FINE } else { INVALID })];
    }
    let null = ("NULL", if is_optional(&function.name, param) { FINE } else { INVALID });
    if let Some(object) = object(param) {
        let other = match object {
            "w.options" => "(void *)w.store",
            _ => "(void *)w.options",
        };
        return vec![null, (other, MISUSE), ("(void *)((char *)w.options + 1)", MISUSE)];
    }
    match (param.ty.as_str(), param.name.as_str()) {
        // With a length that says NUL-terminated.
        ("const char *", "path") => {
            vec![null, ("\"\"", INVALID), ("\"\\xFF\"", INVALID), ("\"no/such/\\xC3\"", INVALID)]
        }
        ("const char *", "prefix") => {
            vec![null, ("\"\"", FINE), ("\"\\xFF\"", INVALID), ("\"a\\xE2\\x82\"", INVALID)]
        }
        ("const char *", _) => {
            vec![null, ("\"\"", INVALID), ("\"\\xFF\"", INVALID), ("\"a\\xE2\\x82\"", INVALID)]
        }
        // With the text "text", or one struct.
        ("size_t", "len" | "path_len" | "stream_len") => {
            vec![("0", ANYTHING), ("SIZE_MAX - 1", INVALID)]
        }
        ("size_t", "n") if function.name.contains("snapshot") => {
            vec![("0", FINE), ("SIZE_MAX", Due("-7", "-1"))]
        }
        ("size_t", "n") => vec![("0", INVALID), ("SIZE_MAX", Due("-7", "-1"))],
        ("size_t", "type_count" | "tag_count") => {
            vec![("0", FINE), ("SIZE_MAX", Due("-7", "-1"))]
        }
        ("size_t", "max") => vec![("0", INVALID), ("SIZE_MAX", FINE)],
        ("size_t", "index") => vec![("1", ANYTHING), ("SIZE_MAX", ANYTHING)],
        ("uint32_t", "flags" | "mode" | "durability") => {
            vec![("0x80000000u", INVALID), ("99", INVALID)]
        }
        ("uint32_t", "milliseconds") => vec![("0", FINE), ("UINT32_MAX", FINE)],
        ("uint32_t", "version") => vec![("1", FINE), ("UINT32_MAX", FINE)],
        ("uint32_t", "up_to_kind") => vec![("4", INVALID), ("0x80000000u", INVALID)],
        ("uint32_t", "from_version") => vec![("0", INVALID), ("UINT32_MAX", INVALID)],
        ("uint32_t", _) => vec![("1", INVALID)],
        // There are events to take, so that none of these waits.
        ("int64_t", _) => vec![("INT64_MIN", ANYTHING), ("INT64_MAX", ANYTHING)],
        ("uint64_t", _) => vec![("0", ANYTHING), ("UINT64_MAX", ANYTHING)],
        ("int32_t", _) => vec![("INT32_MIN", ANYTHING), ("INT32_MAX", ANYTHING)],
        ("bool", _) => vec![("false", FINE)],
        ("void *", _) => vec![("&w", FINE)],
        _ => vec![null],
    }
}

/// What a call with valid arguments answers. The store is in memory, and has no files to copy; the
/// projection is not live.
fn fine(function: &Prototype) -> Due {
    match function.name.as_str() {
        "annals_backup" | "annals_projection_resume_after" => INVALID,
        _ => FINE,
    }
}

fn abuse(function: &Prototype) -> String {
    let mut code = block(function, None, "", fine(function));
    for (index, param) in function.params.iter().enumerate() {
        for (text, due) in wrong(function, param) {
            let due = if due == FINE { fine(function) } else { due };
            code.push_str(&block(function, Some((index, text)), "", due));
        }
    }
    let first = function.params.first().and_then(object);
    let reads = ["catch_up", "live", "save_snapshot", "load_snapshot"];
    let is_read = match first {
        Some("w.iter" | "w.streams" | "w.subscription") => function.can_fail(),
        Some("w.projection") => reads.iter().any(|end| function.name.ends_with(end)),
        _ => false,
    };
    if is_read {
        code.push_str(&block(function, None, "close_store(w.store); w.store = NULL;", CLOSED));
    }
    if first.is_some_and(|object| object != "w.failure") {
        code.push_str(&in_a_child(function));
    }
    code
}

/// A call in a forked child. It ends without a word to the files it shares with its parent.
fn in_a_child(function: &Prototype) -> String {
    let of_store = ["w.store", "w.iter", "w.streams", "w.subscription", "w.projection", "w.ticket"];
    let is_of_store = function
        .params
        .iter()
        .any(|param| !is_out(param) && object(param).is_some_and(|one| of_store.contains(&one)));
    let due = if is_of_store { FORKED } else { FINE };
    let fork = "pid_t child = fork(); int status = 0;\n    if (child != 0) {\n      \
                CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);\n      \
                end_world(&w);\n    } else {";
    let code = block(function, None, fork, due);
    code.replacen("    end_world(&w);\n  }\n", "    end_world(&w);\n    _exit(0);\n    }\n  }\n", 1)
}

#[test]
fn every_function_survives_every_wrong_argument() {
    let Some(shop) = Workshop::with("cc") else { return };
    let functions = prototypes();
    let source = shop.source("abuse.c", &program(&functions, abuse));
    let mut flags = vec!["-std=gnu11", "-g", "-Wno-unused"];
    flags.extend(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
    let program = shop.compile("cc", &flags, &[source], Linkage::Shared);
    let output = succeed(&mut shop.command(&program));
    let judged: usize = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert!(judged > 300, "{judged} calls are fewer than there were");
}
