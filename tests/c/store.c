/* Opening, closing, versions, statuses, and options. */

#include "check.h"

static void versions(void) {
  CHECK(ANNALS_CHECK_VERSION());
  CHECK(strcmp(annals_version(), ANNALS_VERSION_STRING) == 0);
  CHECK(annals_version_number() == ANNALS_VERSION_NUMBER);
  CHECK(annals_abi_version() == ANNALS_ABI_VERSION);
}

static void statuses(void) {
  CHECK(strcmp(annals_status_name(ANNALS_E_VERSION_CONFLICT), "ANNALS_E_VERSION_CONFLICT") == 0);
  CHECK(strcmp(annals_status_message(ANNALS_E_CLOSED), "the store is closed") == 0);
  CHECK(strcmp(annals_status_name(-12345), "ANNALS_E_UNKNOWN") == 0);
  CHECK(strcmp(annals_status_name(12345), "ANNALS_UNKNOWN") == 0);
  CHECK(strlen(annals_status_message(INT32_MIN)) > 0);
}

static void no_error_is_no_error(void) {
  size_t len = 7;
  uint64_t one = 7, other = 7;
  const char *stream = "left";
  CHECK(annals_error_status(NULL) == ANNALS_OK);
  CHECK(strcmp(annals_error_message(NULL, &len), "") == 0 && len == 0);
  CHECK(annals_error_os_code(NULL) == 0);
  CHECK(!annals_error_versions(NULL, &one, &other) && one == 0 && other == 0);
  CHECK(annals_error_conflict_count(NULL) == 0);
  CHECK(!annals_error_conflict(NULL, 0, &stream, &len, &one, &other) && stream == NULL);
  CHECK(!annals_error_line(NULL, &one, &other));
  CHECK(annals_error_callback_code(NULL) == 0);
  annals_error_free(NULL);
}

static void opening(void) {
  annals_error *error = NULL;
  annals_store *store = NULL, *second = (annals_store *)&store;
  annals_options *options = annals_options_new();
  uint64_t head = 99;
  CHECK(options != NULL);
  CHECK(annals_options_set_create(options, false) == ANNALS_OK);
  CHECK(annals_open("missing", NT, options, &store, &error) == ANNALS_E_IO);
  CHECK(store == NULL && annals_error_os_code(error) == 2 /* ENOENT */);
  CHECK(strstr(annals_error_message(error, NULL), "cannot open missing: ") != NULL);
  annals_error_free(error);
  error = NULL;

  CHECK(annals_options_set_create(options, true) == ANNALS_OK);
  CHECK(annals_options_set_cache_bytes(options, 1 << 22) == ANNALS_OK);
  OK(annals_open("orders.annals-and-more", 13, options, &store, &error));
  OK(annals_head(store, &head, &error));
  CHECK(head == 0);
  EXPECT(ANNALS_E_LOCKED, annals_open("orders.annals", NT, NULL, &second, &error));
  CHECK(second == NULL);
  append(store, "order-7", "Placed", "{}");
  OK(annals_flush(store, &error));
  OK(annals_close(store, &error));

  OK(annals_open("orders.annals", NT, NULL, &store, &error));
  OK(annals_stream_version(store, "order-7", NT, &head, &error));
  CHECK(head == 1);
  OK(annals_stream_version(store, "order-8", NT, &head, &error));
  CHECK(head == 0);
  OK(annals_close(store, NULL));
  annals_options_free(options);
}

static void durability(void) {
  annals_error *error = NULL;
  annals_store *store = NULL;
  annals_options *options = annals_options_new();
  const annals_status invalid = ANNALS_E_INVALID_ARGUMENT;
  CHECK(annals_options_set_durability(options, ANNALS_DURABILITY_SYNC, 0) == ANNALS_OK);
  CHECK(annals_options_set_durability(options, ANNALS_DURABILITY_SYNC, 1) == invalid);
  CHECK(annals_options_set_durability(options, ANNALS_DURABILITY_BUFFERED, 0) == invalid);
  CHECK(annals_options_set_durability(options, 2, 10) == invalid);
  CHECK(annals_options_set_durability(options, ANNALS_DURABILITY_BUFFERED, 5) == ANNALS_OK);
  OK(annals_open("buffered.annals", NT, options, &store, &error));
  append(store, "s", "T", "1");
  OK(annals_flush(store, &error));
  OK(annals_close(store, &error));
  annals_options_free(options);
  annals_options_free(NULL);
}

static void arguments(void) {
  annals_error *error = NULL;
  annals_store *store = NULL;
  const annals_status invalid = ANNALS_E_INVALID_ARGUMENT;
  REFUSED(invalid, "path", annals_open("", 0, NULL, &store, &error));
  REFUSED(invalid, "NULL", annals_open(NULL, 3, NULL, &store, &error));
  REFUSED(invalid, "byte offset 1", annals_open("a\xFF", 2, NULL, &store, &error));
  REFUSED(invalid, "NUL", annals_open("a\0b", 3, NULL, &store, &error));
  REFUSED(invalid, "out_store", annals_open("a", 1, NULL, NULL, &error));
  REFUSED(invalid, "it is NULL", annals_head(NULL, NULL, &error));
  CHECK(annals_open(NULL, NT, NULL, &store, NULL) == invalid);
  OK(annals_close(NULL, &error));

  store = in_memory();
  REFUSED(invalid, "stream id: it is empty", annals_stream_version(store, NULL, 0, &(uint64_t){0},
                                                                   &error));
  REFUSED(ANNALS_E_MISUSE, "annals_store", annals_flush((annals_store *)annals_version(), &error));
  close_store(store);
}

static void an_error_object_outlives_the_store(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_new_event event = json("T", "1");
  uint64_t expected = 0, actual = 9;
  CHECK(annals_append(store, "s", 1, 4, &event, 1, NULL, NULL, &error) ==
        ANNALS_E_VERSION_CONFLICT);
  close_store(store);
  CHECK(annals_error_versions(error, &expected, &actual) && expected == 4 && actual == 0);
  annals_error_free(error);
}

typedef struct text {
  char bytes[8192];
  size_t len;
  int32_t answer;
} text;

static int32_t keep(void *user_data, const uint8_t *data, size_t len) {
  text *into = user_data;
  CHECK(into->len + len < sizeof into->bytes);
  memcpy(into->bytes + into->len, data, len);
  into->len += len;
  into->bytes[into->len] = '\0';
  return into->answer;
}

static void metrics_are_a_json_object(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_new_event event = json("T", "1");
  text into = {"", 0, 0};
  OK(annals_append(store, "s", NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
  OK(annals_metrics(store, keep, &into, &error));
  CHECK(into.bytes[0] == '{' && into.bytes[into.len - 1] == '}');
  CHECK(strstr(into.bytes, "\"append_nanos\":{\"count\":1,") != NULL);
  CHECK(strstr(into.bytes, "\"events_written\":1,") != NULL);
  into.answer = 1;
  into.len = 0;
  EXPECT(ANNALS_DONE, annals_metrics(store, keep, &into, &error));
  into.answer = -7;
  into.len = 0;
  EXPECT(ANNALS_E_CALLBACK, annals_metrics(store, keep, &into, &error));
  close_store(store);
}

int main(void) {
  versions();
  statuses();
  no_error_is_no_error();
  opening();
  durability();
  arguments();
  an_error_object_outlives_the_store();
  metrics_are_a_json_object();
  return 0;
}
