/* Shared by the generated programs: one object of each kind, valid arguments, and checks. */

#ifndef ANNALS_TESTS_WORLD_H
#define ANNALS_TESTS_WORLD_H

#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

/* The path of a store on disk that is not open. */
#define CLOSED_STORE "closed.annals"

typedef struct world {
  annals_store *store;
  annals_iter *iter;
  annals_stream_iter *streams;
  annals_options *options;
  annals_read_options *read_options;
  annals_error *failure;
  annals_snapshot *snapshot;
  annals_subscription *subscription;
  annals_projection *projection;
  annals_query *query;
  annals_batch *batch;
  annals_ticket *ticket;
  annals_string text;
  annals_new_event event;
  annals_unit unit;
} world;

/* Creates a store on disk that is not open, once. */
static void make_closed_store(void) {
  annals_error *error = NULL;
  annals_store *store = NULL;
  if (access(CLOSED_STORE "/ANNALS", F_OK) == 0) return;
  OK(annals_open(CLOSED_STORE, NT, NULL, &store, &error));
  OK(annals_close(store, &error));
}

static void make_world(world *w) {
  annals_error *error = NULL;
  memset(w, 0, sizeof *w);
  w->event = json("T", "1");
  w->unit = (annals_unit)ANNALS_UNIT_INIT;
  w->unit.stream = "text";
  w->unit.stream_len = NT;
  w->unit.events = &w->event;
  w->unit.event_count = 1;
  make_closed_store();
  w->store = in_memory();
  append(w->store, "text", "T", "1");
  append(w->store, "text", "T", "2");
  OK(annals_read_all(w->store, NULL, &w->iter, &error));
  OK(annals_streams(w->store, NULL, 0, &w->streams, &error));
  w->options = annals_options_new();
  w->read_options = annals_read_options_new();
  CHECK(annals_append(w->store, "text", NT, 9, &w->event, 1, NULL, NULL, &w->failure) ==
        ANNALS_E_VERSION_CONFLICT);
  OK(annals_snapshot_save(w->store, "text", NT, 1, (const uint8_t *)"state", 5, &error));
  OK(annals_snapshot_load(w->store, "text", NT, &w->snapshot, &error));
  OK(annals_subscribe(w->store, 1, NULL, &w->subscription, &error));
  OK(annals_projection_new(w->store, "text", NT, &w->projection, &error));
  w->text.ptr = "text";
  w->text.len = NT;
  w->query = annals_query_new();
  OK(annals_query_add_item(w->query, NULL, 0, &w->text, 1, NULL, 0, &error));
  w->batch = annals_batch_new();
  OK(annals_batch_append(w->batch, "text", NT, ANNALS_EXPECT_ANY, &w->event, 1, &error));
  OK(annals_batch_submit(w->batch, w->store, &w->ticket, &error));
  annals_batch_free(w->batch);
  w->batch = annals_batch_new();
  OK(annals_batch_append(w->batch, "other", NT, ANNALS_EXPECT_ANY, &w->event, 1, &error));
}

static void end_world(world *w) {
  annals_iter_free(w->iter);
  annals_stream_iter_free(w->streams);
  annals_options_free(w->options);
  annals_read_options_free(w->read_options);
  annals_error_free(w->failure);
  annals_snapshot_free(w->snapshot);
  annals_subscription_free(w->subscription);
  annals_projection_free(w->projection);
  annals_query_free(w->query);
  annals_batch_free(w->batch);
  annals_ticket_free(w->ticket);
  if (annals_close(w->store, NULL) == ANNALS_E_BUSY) exit(2);
}

static int32_t take(void *user_data, const uint8_t *data, size_t len) {
  (void)user_data;
  (void)data;
  (void)len;
  return 0;
}

static int32_t give(void *user_data, uint8_t *buffer, size_t capacity, size_t *out_len) {
  (void)user_data;
  (void)buffer;
  (void)capacity;
  *out_len = 0;
  return 0;
}

static int32_t find(void *user_data, const annals_error *finding) {
  (void)user_data;
  (void)finding;
  return 0;
}

static int32_t see(void *user_data, const annals_event *event) {
  (void)user_data;
  (void)event;
  return 0;
}

static int32_t upcast(void *user_data, const annals_event *event, annals_write_fn write,
                      void *writer) {
  (void)user_data;
  (void)event;
  return write(writer, (const uint8_t *)"1", 1);
}

static int32_t restore(void *user_data, uint64_t position, const uint8_t *data, size_t len) {
  (void)user_data;
  (void)position;
  (void)data;
  (void)len;
  return 0;
}

/* A file name that is not used yet. */
static const char *unused(const char *name) {
  remove(name);
  return name;
}

/* Like unused(), for a store. */
static const char *unused_directory(const char *name) {
  char command[64];
  snprintf(command, sizeof command, "rm -rf %s", name);
  CHECK(system(command) == 0);
  return name;
}

/* An empty file. */
static const char *empty_file(const char *name) {
  FILE *file = fopen(name, "w");
  CHECK(file != NULL && fclose(file) == 0);
  return name;
}

static int judged;

/* Ends the program unless the status is in the range. An error must have an object if wanted. */
static void judge(const char *what, annals_status rc, int64_t low, int64_t high, bool has_error,
                  annals_error *error) {
  judged++;
  if (rc < low || rc > high || (has_error && (rc < 0) != (error != NULL))) {
    fprintf(stderr, "%s: %s: %s\n", what, annals_status_name(rc),
            annals_error_message(error, NULL));
    exit(1);
  }
  annals_error_free(error);
}

#endif
