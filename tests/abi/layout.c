/* The layout of structs on machines with pointers of 64 bits, as Rust has it. */

#include <annals.h>

#define ASSERT(condition) _Static_assert(condition, #condition)

ASSERT(ANNALS_ABI_VERSION == 2);

ASSERT(sizeof(annals_event) == 128);
ASSERT(offsetof(annals_event, position) == 0);
ASSERT(offsetof(annals_event, version) == 8);
ASSERT(offsetof(annals_event, timestamp_us) == 16);
ASSERT(offsetof(annals_event, utc_offset_minutes) == 24);
ASSERT(offsetof(annals_event, flags) == 28);
ASSERT(offsetof(annals_event, id) == 32);
ASSERT(offsetof(annals_event, stream) == 48);
ASSERT(offsetof(annals_event, stream_len) == 56);
ASSERT(offsetof(annals_event, type) == 64);
ASSERT(offsetof(annals_event, type_len) == 72);
ASSERT(offsetof(annals_event, data) == 80);
ASSERT(offsetof(annals_event, data_len) == 88);
ASSERT(offsetof(annals_event, metadata) == 96);
ASSERT(offsetof(annals_event, metadata_len) == 104);
ASSERT(offsetof(annals_event, tags) == 112);
ASSERT(offsetof(annals_event, tag_count) == 120);

ASSERT(sizeof(annals_string) == 16);
ASSERT(offsetof(annals_string, ptr) == 0);
ASSERT(offsetof(annals_string, len) == 8);

ASSERT(sizeof(annals_new_event) == 104);
ASSERT(offsetof(annals_new_event, struct_size) == 0);
ASSERT(offsetof(annals_new_event, flags) == 8);
ASSERT(offsetof(annals_new_event, id) == 16);
ASSERT(offsetof(annals_new_event, type) == 24);
ASSERT(offsetof(annals_new_event, type_len) == 32);
ASSERT(offsetof(annals_new_event, data) == 40);
ASSERT(offsetof(annals_new_event, data_len) == 48);
ASSERT(offsetof(annals_new_event, metadata) == 56);
ASSERT(offsetof(annals_new_event, metadata_len) == 64);
ASSERT(offsetof(annals_new_event, timestamp_us) == 72);
ASSERT(offsetof(annals_new_event, utc_offset_minutes) == 80);
ASSERT(offsetof(annals_new_event, tags) == 88);
ASSERT(offsetof(annals_new_event, tag_count) == 96);

ASSERT(sizeof(annals_unit) == 48);
ASSERT(offsetof(annals_unit, struct_size) == 0);
ASSERT(offsetof(annals_unit, stream) == 8);
ASSERT(offsetof(annals_unit, stream_len) == 16);
ASSERT(offsetof(annals_unit, expected_version) == 24);
ASSERT(offsetof(annals_unit, events) == 32);
ASSERT(offsetof(annals_unit, event_count) == 40);
