/* Checkpoints, snapshots, and the state of a stream at an earlier point. */

#include "check.h"

static void checkpoints_only_advance(annals_store *store) {
  annals_error *error = NULL;
  uint64_t position = 9;
  OK(annals_checkpoint_load(store, "mailer", NT, &position, &error));
  CHECK(position == 0);
  OK(annals_checkpoint_save(store, "mailer", 6, 2, &error));
  OK(annals_checkpoint_save(store, "mailer", NT, 2, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "is at 2",
          annals_checkpoint_save(store, "mailer", NT, 1, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "past the head",
          annals_checkpoint_save(store, "mailer", NT, 99, &error));
  OK(annals_checkpoint_load(store, "mailer", NT, &position, &error));
  CHECK(position == 2);
  EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_checkpoint_load(store, "", 0, &position, &error));
  CHECK(position == 0);
}

static void snapshots_are_kept(annals_store *store) {
  annals_error *error = NULL;
  annals_snapshot *snapshot = NULL;
  size_t len = 9;
  EXPECT(ANNALS_NOT_FOUND, annals_snapshot_load(store, "sum", NT, &snapshot, &error));
  CHECK(snapshot == NULL);
  OK(annals_snapshot_save(store, "sum", NT, 3, (const uint8_t *)"three", 5, &error));
  OK(annals_snapshot_save(store, "sum", NT, 2, (const uint8_t *)"two", 3, &error));
  OK(annals_snapshot_save(store, "none", NT, 0, NULL, 0, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "past the head",
          annals_snapshot_save(store, "sum", NT, 99, NULL, 0, &error));
  OK(annals_snapshot_load(store, "sum", NT, &snapshot, &error));
  CHECK(annals_snapshot_position(snapshot) == 3);
  CHECK(memcmp(annals_snapshot_data(snapshot, &len), "three", 5) == 0 && len == 5);
  CHECK(annals_snapshot_data(snapshot, NULL) != NULL);
  annals_snapshot_free(snapshot);
  OK(annals_snapshot_load(store, "none", NT, &snapshot, &error));
  CHECK(annals_snapshot_position(snapshot) == 0);
  (void)annals_snapshot_data(snapshot, &len);
  CHECK(len == 0);
  annals_snapshot_free(snapshot);
  annals_snapshot_free(NULL);
  CHECK(annals_snapshot_position(NULL) == 0 && annals_snapshot_data(NULL, &len) == NULL);
}

typedef struct fold {
  annals_store *store;
  int sum, calls, stop_at, fail_at;
} fold;

static int32_t apply(void *user_data, const annals_event *event) {
  fold *with = user_data;
  with->calls++;
  CHECK(strcmp(event->stream, "account") == 0);
  with->sum += (int)strtol((const char *)event->data, NULL, 10);
  if (with->calls == with->fail_at) return -7;
  return with->calls == with->stop_at;
}

static int reconstructed(annals_store *store, uint32_t kind, uint64_t up_to) {
  annals_error *error = NULL;
  fold with = {store, 0, 0, 0, 0};
  OK(annals_reconstruct_state(store, "account", NT, kind, up_to, apply, &with, &error));
  return with.sum;
}

/* Positions 1, 2, 4 and 5 with the timestamps 100, 300, 200 and 400. */
static annals_store *with_times(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  const char *data[] = {"1", "10", "0", "100", "1000"};
  const int64_t times[] = {100, 300, 0, 200, 400};
  int i = 0;
  for (i = 0; i < 5; i++) {
    annals_new_event event = json("T", data[i]);
    const char *stream = i == 2 ? "other" : "account";
    event.flags = ANNALS_EVENT_HAS_TIMESTAMP;
    event.timestamp_us = times[i];
    OK(annals_append(store, stream, NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
  }
  return store;
}

static void a_stream_is_seen_as_it_was(void) {
  annals_error *error = NULL;
  annals_store *store = with_times();
  fold with = {store, 0, 0, 2, 0};
  CHECK(reconstructed(store, ANNALS_UP_TO_NOW, 0) == 1111);
  CHECK(reconstructed(store, ANNALS_UP_TO_VERSION, 0) == 0);
  CHECK(reconstructed(store, ANNALS_UP_TO_VERSION, 3) == 111);
  CHECK(reconstructed(store, ANNALS_UP_TO_POSITION, 3) == 11);
  CHECK(reconstructed(store, ANNALS_UP_TO_POSITION, UINT64_MAX) == 1111);
  CHECK(reconstructed(store, ANNALS_UP_TO_TIMESTAMP, 200) == 101);
  CHECK(reconstructed(store, ANNALS_UP_TO_TIMESTAMP, (uint64_t)(int64_t)-1) == 0);
  EXPECT(ANNALS_DONE, annals_reconstruct_state(store, "account", NT, 0, 0, apply, &with, &error));
  CHECK(with.calls == 2 && with.sum == 11);
  with.calls = 0;
  with.fail_at = 3;
  with.stop_at = 0;
  {
    annals_status rc = annals_reconstruct_state(store, "account", NT, 0, 0, apply, &with, &error);
    CHECK(rc == ANNALS_E_CALLBACK && annals_error_callback_code(error) == -7);
    annals_error_free(error);
    error = NULL;
  }
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "there is no kind 9",
          annals_reconstruct_state(store, "account", NT, 9, 0, apply, &with, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "it must be 0",
          annals_reconstruct_state(store, "account", NT, 0, 5, apply, &with, &error));
  EXPECT(ANNALS_E_INVALID_ARGUMENT,
         annals_reconstruct_state(store, "account", NT, ANNALS_UP_TO_TIMESTAMP, INT64_MAX, apply,
                                  &with, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "invalid apply",
          annals_reconstruct_state(store, "account", NT, 0, 0, NULL, &with, &error));
  close_store(store);
}

/* Checks the version and position of the last event up to a point. */
static void check_place(annals_store *store, uint32_t kind, uint64_t up_to, uint64_t version,
                        uint64_t position) {
  annals_error *error = NULL;
  fold with = {store, 0, 0, 0, 0};
  uint64_t found_version = 9, found_position = 9;
  OK(annals_reconstruct_state_versioned(store, "account", NT, kind, up_to, apply, &with,
                                        &found_version, &found_position, &error));
  CHECK(found_version == version && found_position == position);
  CHECK(with.sum == reconstructed(store, kind, up_to));
}

static void a_state_comes_with_its_place(void) {
  annals_error *error = NULL;
  annals_store *store = with_times();
  fold with = {store, 0, 0, 2, 0};
  uint64_t version = 9, position = 9;
  check_place(store, ANNALS_UP_TO_NOW, 0, 4, 5);
  check_place(store, ANNALS_UP_TO_VERSION, 0, 0, 0);
  check_place(store, ANNALS_UP_TO_VERSION, 2, 2, 2);
  check_place(store, ANNALS_UP_TO_POSITION, 3, 2, 2);
  check_place(store, ANNALS_UP_TO_POSITION, 4, 3, 4);
  check_place(store, ANNALS_UP_TO_TIMESTAMP, 200, 3, 4);
  check_place(store, ANNALS_UP_TO_TIMESTAMP, 99, 0, 0);
  /* If a callback stops early, the version and position are still those of the last event. */
  EXPECT(ANNALS_DONE,
         annals_reconstruct_state_versioned(store, "account", NT, ANNALS_UP_TO_POSITION, 4, apply,
                                            &with, &version, &position, &error));
  CHECK(with.calls == 2 && version == 3 && position == 4);
  OK(annals_reconstruct_state_versioned(store, "none", NT, 0, 0, apply, &with, &version, NULL,
                                        &error));
  CHECK(version == 0);
  with.calls = 0;
  with.fail_at = 1;
  version = position = 9;
  EXPECT(ANNALS_E_CALLBACK,
         annals_reconstruct_state_versioned(store, "account", NT, 0, 0, apply, &with, &version,
                                            &position, &error));
  CHECK(version == 0 && position == 0);
  close_store(store);
}

static int32_t close_inside(void *user_data, const annals_event *event) {
  annals_error *error = NULL;
  fold *with = user_data;
  (void)event;
  EXPECT(ANNALS_E_BUSY, annals_close(with->store, &error));
  with->calls++;
  return 0;
}

static void a_callback_cannot_close_the_store(annals_store *store) {
  annals_error *error = NULL;
  fold with = {store, 0, 0, 0, 0};
  OK(annals_reconstruct_state(store, "s", NT, 0, 0, close_inside, &with, &error));
  CHECK(with.calls == 3);
}

int main(void) {
  annals_error *error = NULL;
  annals_store *store = NULL;
  uint64_t position = 0;
  OK(annals_open("saved.annals", NT, NULL, &store, &error));
  append(store, "s", "T", "1");
  append(store, "s", "T", "2");
  append(store, "s", "T", "3");
  checkpoints_only_advance(store);
  snapshots_are_kept(store);
  a_callback_cannot_close_the_store(store);
  a_stream_is_seen_as_it_was();
  a_state_comes_with_its_place();
  close_store(store);
  OK(annals_open("saved.annals", NT, NULL, &store, &error));
  OK(annals_checkpoint_load(store, "mailer", NT, &position, &error));
  CHECK(position == 2);
  OK(annals_backup(store, "copy.annals", NT, &error));
  /* An existing backup is continued; anything else is left as it is. */
  OK(annals_backup(store, "copy.annals", NT, &error));
  REFUSED(ANNALS_E_IO, "nothing is overwritten", annals_backup(store, ".", NT, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "inside the store",
          annals_backup(store, "saved.annals/copy", NT, &error));
  close_store(store);
  OK(annals_open("copy.annals", NT, NULL, &store, &error));
  OK(annals_head(store, &position, &error));
  CHECK(position == 3);
  OK(annals_checkpoint_load(store, "mailer", NT, &position, &error));
  CHECK(position == 2);
  close_store(store);
  return 0;
}
