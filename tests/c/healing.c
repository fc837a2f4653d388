/* A store that is damaged while it is not open: recovery at the next open, repair, and salvage. */

#include "check.h"

static int findings;

static int32_t find(void *user_data, const annals_error *finding) {
  CHECK(user_data == &findings);
  findings++;
  CHECK(annals_error_status(finding) == ANNALS_E_CORRUPT);
  CHECK(strstr(annals_error_message(finding, NULL), "trees-damaged: ") != NULL);
  return 0;
}

static int32_t stop(void *user_data, const annals_error *finding) {
  (void)find(user_data, finding);
  return 1;
}

static int32_t take(void *user_data, const uint8_t *data, size_t len) {
  CHECK(user_data == &findings && len > 0 && data[len - 1] == '\n');
  return 0;
}

static int32_t refuse(void *user_data, const uint8_t *data, size_t len) {
  CHECK(user_data == &findings && data != NULL && len > 0);
  return -7;
}

static int32_t never_asked(void *user_data, uint8_t *buffer, size_t capacity, size_t *out_len) {
  (void)user_data, (void)buffer, (void)capacity, (void)out_len;
  CHECK(false);
  return 0;
}

static void damage(void) { CHECK(remove("store.annals/trees/conf") == 0); }

int main(void) {
  annals_error *error = NULL;
  annals_store *store = NULL, *reader = NULL, *other = NULL;
  annals_new_event event;
  annals_options *options = annals_options_new();
  uint64_t events = 77, micros = 77;
  annals_status rc;
  CHECK(annals_options_set_rebuild(options, false) == ANNALS_OK);
  OK(annals_open("store.annals", NT, options, &store, &error));
  append(store, "s", "T", "1");
  append(store, "s", "T", "2");
  OK(annals_recovery(store, &events, &micros, &error));
  CHECK(events == 0 && micros == 0);
  EXPECT(ANNALS_E_LOCKED, annals_repair("store.annals", NT, 0, NULL, NULL, &error));
  EXPECT(ANNALS_E_LOCKED, annals_compact("store.annals", NT, &error));
  OK(annals_close(store, &error));

  damage();
  EXPECT(ANNALS_E_CORRUPT, annals_open("store.annals", NT, options, &store, &error));
  OK(annals_repair("store.annals", NT, 0, find, &findings, &error));
  CHECK(findings == 1);
  EXPECT(ANNALS_DONE, annals_repair("store.annals", NT, 0, stop, &findings, &error));
  EXPECT(ANNALS_E_CORRUPT, annals_open("store.annals", NT, options, &store, &error));
  OK(annals_salvage("store.annals", NT, take, find, &findings, &events, &error));
  CHECK(events == 2 && findings == 2);
  rc = annals_salvage("store.annals", NT, refuse, NULL, &findings, &events, &error);
  CHECK(rc == ANNALS_E_CALLBACK && annals_error_callback_code(error) == -7 && events == 0);
  annals_error_free(error);
  error = NULL;
  OK(annals_repair("store.annals", NT, ANNALS_REPAIR_APPLY, NULL, NULL, &error));
  OK(annals_repair("store.annals", NT, ANNALS_REPAIR_APPLY | ANNALS_REPAIR_DISCARD_EVIDENCE, NULL,
                   NULL, &error));
  OK(annals_compact("store.annals", NT, &error));
  OK(annals_open("store.annals", NT, options, &store, &error));
  OK(annals_close(store, &error));

  /* A reader next to the writer: it follows, and writes nothing. */
  OK(annals_open("store.annals", NT, options, &store, &error));
  OK(annals_reader_open("store.annals", NT, &reader, &error));
  append(store, "s", "T", "3");
  OK(annals_head(reader, &events, &error));
  CHECK(events == 3);
  OK(annals_stream_version(reader, "s", NT, &events, &error));
  CHECK(events == 3);
  event = json("T", "4");
  EXPECT(ANNALS_E_READ_ONLY, annals_append(reader, "s", NT, ANNALS_EXPECT_ANY, &event, 1, NULL,
                                           NULL, &error));
  EXPECT(ANNALS_E_READ_ONLY, annals_checkpoint_save(reader, "c", NT, 1, &error));
  EXPECT(ANNALS_E_READ_ONLY,
         annals_snapshot_save(reader, "x", NT, 1, (const uint8_t *)"y", 1, &error));
  EXPECT(ANNALS_E_READ_ONLY, annals_flush(reader, &error));
  /* Before it asks for the first byte. */
  EXPECT(ANNALS_E_READ_ONLY, annals_import_ndjson(reader, ANNALS_IMPORT_FAITHFUL, 0, never_asked,
                                                  NULL, &events, &error));
  CHECK(annals_options_set_wait_ms(options, 30) == ANNALS_OK);
  EXPECT(ANNALS_E_LOCKED, annals_open("store.annals", NT, options, &other, &error));
  OK(annals_close(reader, &error));
  OK(annals_close(store, &error));
  OK(annals_open("store.annals", NT, options, &store, &error));
  OK(annals_close(store, &error));
  annals_options_free(options);

  /* Without options, the open rebuilds the trees, too. */
  damage();
  OK(annals_open("store.annals", NT, NULL, &store, &error));
  OK(annals_recovery(store, &events, &micros, &error));
  CHECK(micros > 0);
  OK(annals_recovery(store, NULL, NULL, NULL));
  OK(annals_verify(store, NULL, NULL, NULL, &events, &error));
  CHECK(events == 0);
  OK(annals_close(store, &error));
  return 0;
}
