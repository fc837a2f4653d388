/* Import, export and verification, with callbacks that stop, fail, or close the store. */

#include "check.h"

static const char LINES[] =
    "{\"event_id\": 1, \"stream_id\": \"a\", \"event_type\": \"T\", \"data\": 1, "
    "\"timestamp\": \"2024-05-01T12:30:00\", \"metadata\": null}\n"
    "{\"event_id\": 2, \"stream_id\": \"b\", \"event_type\": \"T\", \"data\": 2, "
    "\"timestamp\": \"2024-05-01T12:30:00\", \"metadata\": null}\n";

/* A buffer to read from or write to, and the value to return. */
typedef struct pipe {
  char bytes[4096];
  size_t len, at, piece;
  int32_t result;
  int calls;
  annals_store *store;
} pipe;

static int32_t take(void *user_data, const uint8_t *data, size_t len) {
  pipe *to = user_data;
  to->calls++;
  if (to->result < 0) return to->result;
  CHECK(to->len + len <= sizeof to->bytes);
  memcpy(to->bytes + to->len, data, len);
  to->len += len;
  return to->result;
}

static int32_t give(void *user_data, uint8_t *buffer, size_t capacity, size_t *out_len) {
  pipe *from = user_data;
  size_t len = from->len - from->at;
  from->calls++;
  if (from->piece != 0 && len > from->piece) len = from->piece;
  if (len > capacity) len = capacity;
  CHECK(*out_len == 0);
  memcpy(buffer, from->bytes + from->at, len);
  from->at += len;
  *out_len = len;
  return from->result;
}

static int32_t give_too_much(void *user_data, uint8_t *buffer, size_t capacity, size_t *out_len) {
  (void)user_data;
  (void)buffer;
  *out_len = capacity + 1;
  return 0;
}

static pipe with(const char *text) {
  pipe made;
  memset(&made, 0, sizeof made);
  made.len = strlen(text);
  memcpy(made.bytes, text, made.len);
  return made;
}

static void both_ways(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  pipe in = with(LINES), out = with("");
  uint64_t events = 9;
  in.piece = 7;
  OK(annals_import_ndjson(store, ANNALS_IMPORT_FAITHFUL, 0, give, &in, &events, &error));
  CHECK(events == 2);
  OK(annals_export_ndjson(store, take, &out, &events, &error));
  CHECK(events == 2 && out.len == strlen(LINES) && memcmp(out.bytes, LINES, out.len) == 0);
  in = with(LINES);
  OK(annals_import_ndjson(store, ANNALS_IMPORT_RESUME, 0, give, &in, &events, &error));
  CHECK(events == 0);
  in = with(LINES);
  OK(annals_import_ndjson(store, ANNALS_IMPORT_APPEND, 0, give, &in, &events, NULL));
  CHECK(events == 2);
  close_store(store);
}

static void callbacks_that_end_it(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  pipe in = with(LINES), out = with("");
  uint64_t events = 9;
  in.result = -77;
  CHECK(annals_import_ndjson(store, 0, 0, give, &in, &events, &error) == ANNALS_E_CALLBACK);
  CHECK(annals_error_callback_code(error) == -77 && events == 0 && in.calls == 1);
  annals_error_free(error);
  error = NULL;

  in = with(LINES);
  in.piece = strlen(LINES) / 2;
  in.result = 1;
  EXPECT(ANNALS_DONE, annals_import_ndjson(store, 0, 0, give, &in, &events, &error));
  CHECK(events == 1 && in.calls == 1);
  in = with(LINES);
  in.piece = 10;
  in.result = 1;
  EXPECT(ANNALS_E_PARSE, annals_import_ndjson(store, 0, 0, give, &in, &events, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "with room for",
          annals_import_ndjson(store, 0, 0, give_too_much, NULL, &events, &error));

  out.result = INT32_MIN;
  CHECK(annals_export_ndjson(store, take, &out, &events, &error) == ANNALS_E_CALLBACK);
  CHECK(annals_error_callback_code(error) == INT32_MIN && events == 0 && out.calls == 1);
  annals_error_free(error);
  error = NULL;
  out.result = 1;
  EXPECT(ANNALS_DONE, annals_export_ndjson(store, take, &out, &events, &error));
  CHECK(events == 1 && out.calls == 2);
  close_store(store);
}

static void a_fault_has_a_place(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  pipe in = with(LINES);
  uint64_t line = 0, column = 0, events = 9;
  strcpy(in.bytes + in.len, "{\"event_id\": 4}\n");
  in.len = strlen(in.bytes);
  CHECK(annals_import_ndjson(store, 0, 0, give, &in, &events, &error) == ANNALS_E_PARSE);
  CHECK(annals_error_line(error, &line, &column) && line == 3 && column > 0 && events == 0);
  annals_error_free(error);
  error = NULL;
  in = with(LINES);
  in.len -= 10;
  EXPECT(ANNALS_E_PARSE, annals_import_ndjson(store, 0, 0, give, &in, &events, &error));
  in.at = 0;
  OK(annals_import_ndjson(store, 0, ANNALS_IMPORT_DROP_TORN_TAIL, give, &in, &events, &error));
  CHECK(events == 1);
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "mode",
          annals_import_ndjson(store, 3, 0, give, &in, &events, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "flags",
          annals_import_ndjson(store, 0, 2, give, &in, &events, &error));
  close_store(store);
}

static void files(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory(), *other = in_memory();
  pipe in = with(LINES);
  uint64_t events = 9;
  OK(annals_import_ndjson(store, 0, 0, give, &in, NULL, &error));
  OK(annals_export_ndjson_file(store, "out.ndjson", NT, &events, &error));
  CHECK(events == 2);
  CHECK(annals_export_ndjson_file(store, "out.ndjson", NT, &events, &error) == ANNALS_E_IO);
  CHECK(annals_error_os_code(error) == 17 /* EEXIST */ && events == 0);
  annals_error_free(error);
  error = NULL;
  OK(annals_import_ndjson_file(other, 0, 0, "out.ndjson", NT, &events, &error));
  CHECK(events == 2);
  CHECK(annals_import_ndjson_file(other, 0, 0, "none", 4, &events, &error) == ANNALS_E_IO);
  CHECK(annals_error_os_code(error) == 2 && events == 0);
  annals_error_free(error);
  error = NULL;
  REFUSED(ANNALS_E_IO, "cannot read .",
          annals_import_ndjson_file(other, 0, 0, ".", 1, NULL, &error));
  close_store(store);
  close_store(other);
}

static int32_t close_inside(void *user_data, const uint8_t *data, size_t len) {
  pipe *to = user_data;
  annals_error *error = NULL;
  uint64_t head = 0;
  (void)data;
  (void)len;
  to->calls++;
  REFUSED(ANNALS_E_BUSY, "a callback of the store is running", annals_close(to->store, &error));
  OK(annals_head(to->store, &head, &error));
  append(to->store, "inside", "T", "1");
  return 0;
}

static void a_callback_may_use_the_store_but_not_close_it(void) {
  annals_error *error = NULL;
  pipe out = with("");
  uint64_t version = 0;
  out.store = in_memory();
  append(out.store, "s", "T", "1");
  OK(annals_export_ndjson(out.store, close_inside, &out, NULL, &error));
  CHECK(out.calls == 1);
  OK(annals_stream_version(out.store, "inside", NT, &version, &error));
  CHECK(version == 1);
  close_store(out.store);
}

static int32_t count(void *user_data, const annals_error *finding) {
  (void)finding;
  ++*(int *)user_data;
  return 0;
}

static void an_intact_store_has_no_findings(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  uint64_t events = 9, findings = 9;
  int calls = 0;
  append(store, "s", "T", "1");
  OK(annals_verify(store, count, &calls, &events, &findings, &error));
  CHECK(events == 1 && findings == 0 && calls == 0);
  OK(annals_verify(store, NULL, NULL, NULL, NULL, NULL));
  close_store(store);
}

int main(void) {
  both_ways();
  callbacks_that_end_it();
  a_fault_has_a_place();
  files();
  a_callback_may_use_the_store_but_not_close_it();
  an_intact_store_has_no_findings();
  return 0;
}
