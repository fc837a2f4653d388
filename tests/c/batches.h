/* Short ways to make tags, queries and batches. */

#ifndef ANNALS_TESTS_BATCHES_H
#define ANNALS_TESTS_BATCHES_H

#include "check.h"

static inline annals_string text(const char *ptr) {
  annals_string found = {ptr, NT};
  return found;
}

static inline annals_new_event tagged(const char *type, const annals_string *tags, size_t count) {
  annals_new_event event = json(type, "1");
  event.tags = tags;
  event.tag_count = count;
  return event;
}

static inline annals_query *by_tag(const char *tag) {
  annals_error *error = NULL;
  annals_query *query = annals_query_new();
  annals_string tags[1];
  tags[0] = text(tag);
  OK(annals_query_add_item(query, NULL, 0, tags, 1, NULL, 0, &error));
  return query;
}

/* Takes all events of an iterator and frees it. */
static inline size_t count(annals_iter *iter) {
  annals_error *error = NULL;
  const annals_event *event = NULL;
  size_t events = 0;
  annals_status rc;
  while ((rc = annals_iter_next(iter, &event, &error)) == ANNALS_OK) events++;
  CHECK(rc == ANNALS_DONE);
  annals_iter_free(iter);
  return events;
}

/* A batch with one event. */
static inline annals_batch *batch_with(const char *stream, uint64_t expected, const char *type) {
  annals_error *error = NULL;
  annals_new_event event = json(type, "1");
  annals_batch *batch = annals_batch_new();
  OK(annals_batch_append(batch, stream, NT, expected, &event, 1, &error));
  return batch;
}

static inline uint64_t head_of(const annals_store *store) {
  annals_error *error = NULL;
  uint64_t head = 0;
  OK(annals_head(store, &head, &error));
  return head;
}

static inline uint64_t checkpoint_of(const annals_store *store, const char *name) {
  annals_error *error = NULL;
  uint64_t position = 0;
  OK(annals_checkpoint_load(store, name, NT, &position, &error));
  return position;
}

/* Commits a batch, frees it, and checks the status and the first position. */
static inline void commit(annals_store *store, annals_batch *batch, annals_status due,
                          uint64_t due_position) {
  annals_error *error = NULL;
  uint64_t position = 77;
  EXPECT(due, annals_batch_commit(batch, store, &position, &error));
  CHECK(position == due_position);
  annals_batch_free(batch);
}

#endif
