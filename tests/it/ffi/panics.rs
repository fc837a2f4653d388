//! A panic inside every function: it comes back as a status, and what was in use says so from then
//! on, and can be freed.

use crate::{
    ffi::{
        calls::{Due, block, object, program},
        prototypes::{Prototype, prototypes},
    },
    support::c::{Linkage, Workshop, succeed},
};

const PANIC: Due = Due("ANNALS_E_PANIC", "ANNALS_E_PANIC");

fn panics(function: &Prototype) -> String {
    let at_entry = block(function, None, "annals_test_panic(1);", PANIC);
    let mut code =
        at_entry.replace("end_world(&w);", "CHECK(annals_test_panic(0) == 0); end_world(&w);");
    let uses_handle = function.params.first().and_then(object).is_some();
    let is_end = function.name.ends_with("_free") || function.name == "annals_close";
    if uses_handle && !is_end {
        // The second call finds the handle marked.
        for before in ["annals_test_panic(2);", "poison(&w);"] {
            if before != "poison(&w);" || function.can_fail() {
                let in_use = block(function, None, before, PANIC);
                let checked = "CHECK(annals_test_panic(0) == 0); end_world(&w);";
                code.push_str(&in_use.replace("end_world(&w);", checked));
            }
        }
    }
    code
}

#[test]
fn a_panic_in_any_function_is_an_answer() {
    let Some(shop) = Workshop::with("cc") else { return };
    let functions = prototypes();
    let generated = program(&functions, panics).replace(
        "#include \"world.h\"\n",
        "#include \"world.h\"\n\nextern uint32_t annals_test_panic(uint32_t place);\n\n\
         /* A panic in each object of the world. */\n\
         static void poison(world *w) {\n  uint64_t n = 0;\n  const annals_event *event = NULL;\n  \
         const char *name = NULL;\n  annals_test_panic(2);\n  \
         CHECK(annals_options_set_create(w->options, true) == ANNALS_E_PANIC);\n  \
         annals_test_panic(2);\n  \
         CHECK(annals_read_options_set_limit(w->read_options, 1) == ANNALS_E_PANIC);\n  \
         annals_test_panic(2);\n  \
         CHECK(annals_iter_next(w->iter, &event, NULL) == ANNALS_E_PANIC);\n  \
         CHECK(annals_head(w->store, &n, NULL) == ANNALS_E_PANIC);\n  \
         CHECK(annals_stream_iter_next(w->streams, &name, NULL, NULL, NULL) == \
         ANNALS_E_PANIC);\n  \
         annals_test_panic(2);\n  \
         CHECK(annals_query_add_item(w->query, NULL, 0, &w->text, 1, NULL, 0, NULL) == \
         ANNALS_E_PANIC);\n  \
         annals_test_panic(2);\n  \
         CHECK(annals_batch_require(w->batch, \"text\", NT, 0, NULL) == ANNALS_E_PANIC);\n}\n",
    );
    let source = shop.source("panics.c", &generated);
    let flags = ["-std=gnu11", "-g", "-Wno-unused"];
    let program = shop.compile("cc", &flags, &[source], Linkage::Shared);
    let output = succeed(&mut shop.command(&program));
    let judged: usize = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert!(judged > 100, "{judged} calls are fewer than there were");
}
