/* Appends: events written, versions checked, exact retries, rejected events. */

#include "check.h"

static void an_append_tells_where_it_landed(annals_store *store) {
  annals_error *error = NULL;
  uint64_t position = 0, version = 0;
  annals_new_event events[2];
  events[0] = json("Opened", "{\"owner\": \"ada\"}");
  events[1] = json("Deposited", "100");
  OK(annals_append(store, "account-1", NT, ANNALS_EXPECT_NO_STREAM, events, 2, &position, &version,
                   &error));
  CHECK(position == 1 && version == 1);
  OK(annals_append(store, "account-1", 9, 2, events, 1, &position, &version, &error));
  CHECK(position == 3 && version == 3);
  OK(annals_append(store, "account-1", NT, ANNALS_EXPECT_STREAM_EXISTS, events, 1, NULL, NULL,
                   NULL));
}

static void a_conflict_tells_both_versions(annals_store *store) {
  annals_error *error = NULL;
  annals_new_event event = json("Closed", "null");
  uint64_t position = 5, version = 5, expected = 0, actual = 0;
  CHECK(annals_append(store, "account-1", NT, 2, &event, 1, &position, &version, &error) ==
        ANNALS_E_VERSION_CONFLICT);
  CHECK(position == 0 && version == 0);
  CHECK(annals_error_versions(error, &expected, &actual) && expected == 2 && actual == 4);
  CHECK(strstr(annals_error_message(error, NULL), "is at version 4, expected 2") != NULL);
  annals_error_free(error);
}

static void many_streams_are_one_unit(annals_store *store) {
  annals_error *error = NULL;
  annals_new_event event = json("Moved", "1");
  annals_unit units[3] = {ANNALS_UNIT_INIT, ANNALS_UNIT_INIT, ANNALS_UNIT_INIT};
  uint64_t position = 0, expected = 0, actual = 0, head = 0, now = 0;
  const char *stream = NULL;
  size_t len = 0;
  units[0].stream = "account-1";
  units[0].stream_len = NT;
  units[0].expected_version = 4;
  units[1].stream = "from";
  units[1].stream_len = 4;
  units[1].events = &event;
  units[1].event_count = 1;
  units[2].stream = "into";
  units[2].stream_len = NT;
  units[2].expected_version = ANNALS_EXPECT_NO_STREAM;
  units[2].events = &event;
  units[2].event_count = 1;
  OK(annals_append_multi(store, units, 3, &position, &error));
  CHECK(position == 5);

  OK(annals_head(store, &head, &error));
  units[0].expected_version = 9;
  CHECK(annals_append_multi(store, units, 3, &position, &error) == ANNALS_E_VERSION_CONFLICT);
  CHECK(position == 0);
  CHECK(annals_error_conflict_count(error) == 2);
  CHECK(annals_error_conflict(error, 1, &stream, &len, &expected, &actual));
  CHECK(len == 4 && strcmp(stream, "into") == 0 && expected == 0 && actual == 1);
  CHECK(!annals_error_conflict(error, 2, &stream, &len, &expected, &actual));
  CHECK(stream == NULL && len == 0 && expected == 0 && actual == 0);
  annals_error_free(error);
  error = NULL;
  OK(annals_head(store, &now, &error));
  CHECK(now == head);
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "units", annals_append_multi(store, NULL, 1, NULL, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "events", annals_append_multi(store, units, 1, NULL, &error));
}

static void an_id_makes_it_safe_to_repeat(annals_store *store) {
  annals_error *error = NULL;
  annals_new_event event = json("Paid", "1");
  const uint8_t id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  uint64_t first = 0, again = 0, version = 0;
  event.id = id;
  OK(annals_append(store, "payment", NT, 0, &event, 1, &first, NULL, &error));
  CHECK(annals_append(store, "payment", NT, 0, &event, 1, &again, &version, &error) ==
        ANNALS_ALREADY_STORED);
  CHECK(error == NULL && first == again && first != 0 && version == 1);
  EXPECT(ANNALS_E_DUPLICATE_ID,
         annals_append(store, "elsewhere", NT, 0, &event, 1, &again, NULL, &error));
  CHECK(again == 0);
  event.data = (const uint8_t *)"2";
  EXPECT(ANNALS_E_DUPLICATE_ID,
         annals_append(store, "payment", NT, 1, &event, 1, &again, NULL, &error));
  CHECK(again == 0);
  event.data = (const uint8_t *)"1";
  event.flags = ANNALS_EVENT_BINARY;
  EXPECT(ANNALS_E_DUPLICATE_ID,
         annals_append(store, "payment", NT, 1, &event, 1, &again, NULL, &error));
}

static void many_streams_are_safe_to_repeat(annals_store *store) {
  annals_error *error = NULL;
  annals_new_event left = json("Left", "1"), right = json("Right", "2");
  annals_unit units[2] = {ANNALS_UNIT_INIT, ANNALS_UNIT_INIT};
  const uint8_t ids[2][16] = {{77, 1}, {77, 2}};
  uint64_t first = 0, again = 0;
  left.id = ids[0];
  right.id = ids[1];
  units[0].stream = "left";
  units[1].stream = "right";
  units[0].stream_len = units[1].stream_len = NT;
  units[0].expected_version = units[1].expected_version = ANNALS_EXPECT_NO_STREAM;
  units[0].events = &left;
  units[1].events = &right;
  units[0].event_count = units[1].event_count = 1;
  OK(annals_append_multi(store, units, 2, &first, &error));
  CHECK(annals_append_multi(store, units, 2, &again, &error) == ANNALS_ALREADY_STORED);
  CHECK(error == NULL && first == again && first != 0);
  units[1].stream = "left";
  EXPECT(ANNALS_E_DUPLICATE_ID, annals_append_multi(store, units, 2, &again, &error));
  CHECK(again == 0);
}

static void everything_about_an_event_comes_back(annals_store *store) {
  annals_error *error = NULL;
  annals_iter *iter = NULL;
  const annals_event *read = NULL;
  const uint8_t bytes[] = {0xFF, 0x00, 0xD8};
  const uint8_t id[16] = {0xAA, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xBB};
  annals_new_event event = ANNALS_NEW_EVENT_INIT;
  event.flags = ANNALS_EVENT_BINARY | ANNALS_EVENT_HAS_ID | ANNALS_EVENT_HAS_TIMESTAMP;
  event.id = id;
  event.type = "Photographed";
  event.type_len = 5;
  event.data = bytes;
  event.data_len = sizeof bytes;
  event.metadata = (const uint8_t *)"{\"by\": 1}";
  event.metadata_len = 9;
  event.timestamp_us = -1;
  event.utc_offset_minutes = 90;
  OK(annals_append(store, "photos", NT, 0, &event, 1, NULL, NULL, &error));
  event = json("Naive", " 1.0 \n");
  event.flags = ANNALS_EVENT_HAS_TIMESTAMP;
  event.timestamp_us = 5;
  event.utc_offset_minutes = ANNALS_OFFSET_NAIVE;
  OK(annals_append(store, "photos", NT, 1, &event, 1, NULL, NULL, &error));

  OK(annals_read_stream(store, "photos", NT, NULL, &iter, &error));
  OK(annals_iter_next(iter, &read, &error));
  CHECK(read->version == 1 && read->timestamp_us == -1 && read->utc_offset_minutes == 90);
  CHECK(read->flags == (ANNALS_EVENT_BINARY | ANNALS_EVENT_HAS_ID));
  CHECK(memcmp(read->id, id, 16) == 0);
  CHECK(read->stream_len == 6 && strcmp(read->stream, "photos") == 0);
  CHECK(read->type_len == 5 && strcmp(read->type, "Photo") == 0);
  CHECK(read->data_len == 3 && memcmp(read->data, bytes, 3) == 0);
  CHECK(read->metadata_len == 9 && memcmp(read->metadata, "{\"by\": 1}", 9) == 0);
  OK(annals_iter_next(iter, &read, &error));
  CHECK(read->flags == 0 && read->utc_offset_minutes == ANNALS_OFFSET_NAIVE);
  CHECK(read->data_len == 3 && memcmp(read->data, "1.0", 3) == 0);
  CHECK(read->metadata == NULL && read->metadata_len == 0);
  annals_iter_free(iter);
}

static void what_is_no_event_is_refused(annals_store *store) {
  annals_error *error = NULL;
  const annals_status invalid = ANNALS_E_INVALID_ARGUMENT;
  annals_new_event event = json("T", "{");
  annals_new_event events[2];
  size_t i = 0;
  struct {
    const char *words;
    annals_new_event event;
  } cases[8];
#define TRY(event, status, words) \
  REFUSED(status, words, annals_append(store, "s", 1, 0, &event, 1, NULL, NULL, &error))
  TRY(event, invalid, "events[0]: invalid data");
  for (i = 0; i < 8; i++) cases[i].event = json("T", "1");
  cases[0].words = "event type: it is empty";
  cases[0].event.type_len = 0;
  cases[1].words = "the bits 0x8 are unknown";
  cases[1].event.flags = 8;
  cases[2].words = "metadata";
  cases[2].event.metadata = (const uint8_t *)"[]";
  cases[2].event.metadata_len = 2;
  cases[3].words = "it is NULL with ANNALS_EVENT_HAS_ID";
  cases[3].event.flags = ANNALS_EVENT_HAS_ID;
  cases[4].words = "invalid data: it is NULL with a length of 1";
  cases[4].event.data = NULL;
  cases[5].words = "ANNALS_NUL_TERMINATED is for strings";
  cases[5].event.data_len = NT;
  cases[6].words = "a day or more";
  cases[6].event.flags = ANNALS_EVENT_HAS_TIMESTAMP;
  cases[6].event.utc_offset_minutes = 100000;
  cases[7].words = "years 1 to 9999";
  cases[7].event.flags = ANNALS_EVENT_HAS_TIMESTAMP;
  cases[7].event.timestamp_us = INT64_MAX;
  for (i = 0; i < 8; i++) TRY(cases[i].event, invalid, cases[i].words);

  events[0] = json("T", "1");
  events[1] = json("T", "x");
  REFUSED(invalid, "events[1]", annals_append(store, "s", 1, 0, events, 2, NULL, NULL, &error));
  REFUSED(invalid, "there are no events",
          annals_append(store, "s", 1, 0, events, 0, NULL, NULL, &error));
  REFUSED(ANNALS_E_LIMIT, "the limit of 100000",
          annals_append(store, "s", 1, 0, events, SIZE_MAX / 2, NULL, NULL, &error));
  event = json("T", "1");
  event.flags = ANNALS_EVENT_BINARY;
  event.data_len = ((size_t)16 << 20) + 1;
  TRY(event, ANNALS_E_LIMIT, "event (bytes)");
}

/* Structs of other versions of the header: shorter, or with more fields at the end. */
static void structs_of_other_versions(annals_store *store) {
  annals_error *error = NULL;
  uint64_t version = 0;
  struct newer {
    annals_new_event event;
    uint64_t unknown;
  } newer[2];
  union {
    unsigned char bytes[2 * sizeof(annals_new_event)];
    annals_new_event aligned;
  } older;
  const size_t older_size = offsetof(annals_new_event, metadata);
  annals_new_event event = json("T", "1");
  memset(newer, 0, sizeof newer);
  newer[0].event = newer[1].event = event;
  newer[0].event.struct_size = newer[1].event.struct_size = sizeof newer[0];
  OK(annals_append(store, "new", 3, 0, &newer[0].event, 2, NULL, NULL, &error));
  newer[1].unknown = 1;
  EXPECT(ANNALS_E_UNSUPPORTED,
         annals_append(store, "new", 3, 2, &newer[0].event, 2, NULL, NULL, &error));

  event.struct_size = older_size;
  memcpy(older.bytes, &event, older_size);
  memcpy(older.bytes + older_size, &event, older_size);
  OK(annals_append(store, "old", 3, 0, &older.aligned, 2, NULL, &version, &error));
  OK(annals_stream_version(store, "old", 3, &version, &error));
  CHECK(version == 2);

  event.struct_size = 0;
  TRY(event, ANNALS_E_INVALID_ARGUMENT, "struct_size");
  event.struct_size = sizeof event + 1;
  TRY(event, ANNALS_E_INVALID_ARGUMENT, "struct_size");
  event.struct_size = (size_t)1 << 40;
  TRY(event, ANNALS_E_INVALID_ARGUMENT, "struct_size");
}

int main(void) {
  annals_store *store = in_memory();
  an_append_tells_where_it_landed(store);
  a_conflict_tells_both_versions(store);
  many_streams_are_one_unit(store);
  an_id_makes_it_safe_to_repeat(store);
  many_streams_are_safe_to_repeat(store);
  everything_about_an_event_comes_back(store);
  what_is_no_event_is_refused(store);
  structs_of_other_versions(store);
  close_store(store);
  return 0;
}
