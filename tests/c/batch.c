/* Batches, tags, queries, conditions and tickets. */

#include "batches.h"

static void tags_come_back_sorted_and_once(annals_store *store) {
  annals_error *error = NULL;
  annals_iter *iter = NULL;
  const annals_event *event = NULL;
  annals_string tags[3] = {{"show:7", NT}, {"customer:ada", NT}, {"show:7", 6}};
  annals_new_event new_event = tagged("Reserved", tags, 3);
  OK(annals_append(store, "show-7", NT, ANNALS_EXPECT_ANY, &new_event, 1, NULL, NULL, &error));
  append(store, "show-7", "Opened", "1");
  OK(annals_read_all(store, NULL, &iter, &error));
  OK(annals_iter_next(iter, &event, &error));
  CHECK(event->tag_count == 2);
  CHECK(event->tags[0].len == 12 && strcmp(event->tags[0].ptr, "customer:ada") == 0);
  CHECK(event->tags[1].len == 6 && strcmp(event->tags[1].ptr, "show:7") == 0);
  OK(annals_iter_next(iter, &event, &error));
  CHECK(event->tag_count == 0 && event->tags == NULL);
  annals_iter_free(iter);
  tags[1] = text("");
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "tag",
          annals_append(store, "s", NT, ANNALS_EXPECT_ANY, &new_event, 1, NULL, NULL, &error));
  new_event.tags = NULL;
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "tags",
          annals_append(store, "s", NT, ANNALS_EXPECT_ANY, &new_event, 1, NULL, NULL, &error));
}

static void queries_find_events_by_what_they_are(annals_store *store) {
  annals_error *error = NULL;
  annals_iter *iter = NULL;
  annals_query *query = by_tag("show:7"), *all = annals_query_new_all(), *none = annals_query_new();
  annals_read_options *options = annals_read_options_new();
  annals_string types[2];
  annals_subscription *subscription = NULL;
  uint64_t head = 0;
  types[0] = text("Opened");
  OK(annals_query_read(store, query, NULL, &iter, &head, &error));
  CHECK(head == 2 && count(iter) == 1);
  OK(annals_query_add_item(query, types, 1, NULL, 0, "show-7", NT, &error));
  OK(annals_query_read(store, query, NULL, &iter, NULL, &error));
  CHECK(count(iter) == 2);
  OK(annals_read_options_set_limit(options, 1));
  OK(annals_query_read(store, query, options, &iter, &head, &error));
  CHECK(head == 1 && count(iter) == 1);
  OK(annals_read_options_set_backward(options, true));
  OK(annals_query_read(store, query, options, &iter, &head, &error));
  CHECK(head == 2 && count(iter) == 1);
  OK(annals_read_options_set_from_version(options, 1));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "position",
          annals_query_read(store, query, options, &iter, &head, &error));
  CHECK(iter == NULL && head == 0);
  annals_read_options_free(options);

  OK(annals_query_read(store, all, NULL, &iter, &head, &error));
  CHECK(head == 2 && count(iter) == 2);
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "takes no items",
          annals_query_add_item(all, types, 1, NULL, 0, NULL, 0, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "no items",
          annals_query_read(store, none, NULL, &iter, NULL, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "restricts nothing",
          annals_query_add_item(none, NULL, 0, NULL, 0, NULL, 0, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "stream id",
          annals_query_add_item(none, types, 1, NULL, 0, "", 0, &error));

  options = annals_read_options_new();
  CHECK(annals_read_options_set_query(options, none) == ANNALS_E_INVALID_ARGUMENT);
  CHECK(annals_read_options_set_query(options, query) == ANNALS_OK);
  OK(annals_read_all(store, options, &iter, &error));
  CHECK(count(iter) == 2);
  CHECK(annals_read_options_add_type(options, "Opened", NT) == ANNALS_OK);
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "query", annals_read_all(store, options, &iter, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "query",
          annals_subscribe(store, 1, options, &subscription, &error));
  annals_read_options_free(options);
  annals_query_free(query);
  annals_query_free(all);
  annals_query_free(none);
}

static void a_batch_is_one_unit_with_conditions(annals_store *store) {
  annals_error *error = NULL;
  annals_query *query = by_tag("name:ada");
  annals_string tags[1] = {{"name:ada", NT}};
  annals_new_event event = tagged("Named", tags, 1);
  annals_batch *batch = annals_batch_new();
  uint64_t position = 0, head = 0, expected = 0, actual = 0;
  size_t which = 9;
  OK(annals_batch_append(batch, "user-1", NT, ANNALS_EXPECT_NO_STREAM, &event, 1, &error));
  OK(annals_batch_require(batch, "show-7", NT, 2, &error));
  OK(annals_batch_require_none(batch, query, 0, &error));
  OK(annals_batch_checkpoint(batch, "names", NT, 3, &error));
  OK(annals_batch_commit(batch, store, &position, &error));
  CHECK(position == 3);
  OK(annals_checkpoint_load(store, "names", NT, &head, &error));
  CHECK(head == 3);
  REFUSED(ANNALS_E_MISUSE, "committed", annals_batch_commit(batch, store, NULL, &error));
  REFUSED(ANNALS_E_MISUSE, "committed", annals_batch_require(batch, "a", NT, 0, &error));
  annals_batch_free(batch);

  batch = annals_batch_new();
  OK(annals_batch_append(batch, "user-2", NT, ANNALS_EXPECT_NO_STREAM, &event, 1, &error));
  OK(annals_batch_require_none(batch, query, 0, &error));
  CHECK(annals_batch_commit(batch, store, &position, &error) == ANNALS_E_CONDITION);
  CHECK(position == 0 && annals_error_condition_count(error) == 1);
  CHECK(annals_error_condition(error, 0, &which, &position) && which == 0 && position == 3);
  CHECK(!annals_error_condition(error, 1, &which, &position) && which == 0 && position == 0);
  CHECK(annals_error_conflict_count(error) == 0 && !annals_error_versions(error, NULL, NULL));
  annals_error_free(error);
  annals_batch_free(batch);

  batch = annals_batch_new();
  OK(annals_batch_require(batch, "show-7", NT, 2, &error));
  OK(annals_batch_append(batch, "user-1", NT, ANNALS_EXPECT_NO_STREAM, &event, 1, &error));
  OK(annals_batch_require_none(batch, query, 0, &error));
  CHECK(annals_batch_commit(batch, store, NULL, &error) == ANNALS_E_VERSION_CONFLICT);
  CHECK(annals_error_conflict_count(error) == 1 && annals_error_condition_count(error) == 1);
  CHECK(annals_error_conflict_which(error, 0, &which) && which == 1);
  CHECK(annals_error_versions(error, &expected, &actual) && expected == 0 && actual == 1);
  annals_error_free(error);
  annals_batch_free(batch);
  annals_query_free(query);
  CHECK(annals_error_condition_count(NULL) == 0 && !annals_error_conflict_which(NULL, 0, NULL));
}

static void a_batch_that_lacks_a_part_is_never_written(annals_store *store) {
  annals_error *error = NULL;
  annals_new_event event = json("T", "1");
  annals_batch *batch = annals_batch_new();
  annals_ticket *ticket = NULL;
  uint64_t before = 0, after = 0;
  OK(annals_head(store, &before, &error));
  OK(annals_batch_append(batch, "s", NT, ANNALS_EXPECT_ANY, &event, 1, &error));
  EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_batch_require(batch, "", 0, 0, &error));
  OK(annals_batch_append(batch, "s", NT, ANNALS_EXPECT_ANY, &event, 1, &error));
  EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_batch_commit(batch, store, NULL, &error));
  EXPECT(ANNALS_E_MISUSE, annals_batch_submit(batch, store, &ticket, &error));
  CHECK(ticket == NULL);
  annals_batch_free(batch);
  batch = annals_batch_new();
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "to check only its version, require it",
          annals_batch_append(batch, "s", NT, ANNALS_EXPECT_ANY, NULL, 0, &error));
  EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_batch_submit(batch, store, &ticket, &error));
  annals_batch_free(batch);
  batch = annals_batch_new();
  OK(annals_batch_checkpoint(batch, "c", NT, 1, &error));
  EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_batch_checkpoint(batch, "c", NT, 1, &error));
  annals_batch_free(batch);
  batch = annals_batch_new();
  EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_batch_commit(batch, store, NULL, &error));
  annals_batch_free(batch);
  OK(annals_head(store, &after, &error));
  CHECK(before == after);
}

static void tickets_have_the_outcome(const char *path) {
  annals_error *error = NULL;
  annals_store *store = NULL;
  annals_ticket *tickets[100];
  annals_status rc = ANNALS_OK;
  uint64_t position = 0, number = 0;
  OK(annals_open(path, NT, NULL, &store, &error));
  for (number = 0; number < 100; number++) {
    annals_batch *batch = annals_batch_new();
    annals_new_event event = json("T", "1");
    /* Every tenth batch has a wrong version. */
    uint64_t due = number % 10 == 9 ? 500 : ANNALS_EXPECT_ANY;
    OK(annals_batch_append(batch, "s", NT, due, &event, 1, &error));
    OK(annals_batch_submit(batch, store, &tickets[number], &error));
    annals_batch_free(batch);
  }
  while ((rc = annals_ticket_wait(tickets[0], 0, &position, &error)) == ANNALS_TIMEOUT) {
  }
  CHECK(rc == ANNALS_OK && position == 1);
  OK(annals_ticket_wait(tickets[98], -1, &position, &error));
  CHECK(position == 90);
  OK(annals_close(store, &error));
  for (number = 0; number < 100; number++) {
    if (number % 10 == 9) {
      EXPECT(ANNALS_E_VERSION_CONFLICT, annals_ticket_wait(tickets[number], 0, NULL, &error));
    } else {
      OK(annals_ticket_wait(tickets[number], 0, &position, &error));
      CHECK(position == number - number / 10 + 1);
    }
    annals_ticket_free(tickets[number]);
  }
  annals_ticket_free(NULL);
}

static void a_reader_writes_nothing(const char *path) {
  annals_error *error = NULL;
  annals_store *reader = NULL;
  annals_ticket *ticket = NULL;
  annals_new_event event = json("T", "1");
  annals_batch *batch = annals_batch_new();
  OK(annals_reader_open(path, NT, &reader, &error));
  OK(annals_batch_append(batch, "s", NT, ANNALS_EXPECT_ANY, &event, 1, &error));
  EXPECT(ANNALS_E_READ_ONLY, annals_batch_commit(batch, reader, NULL, &error));
  annals_batch_free(batch);
  batch = annals_batch_new();
  OK(annals_batch_append(batch, "s", NT, ANNALS_EXPECT_ANY, &event, 1, &error));
  EXPECT(ANNALS_E_READ_ONLY, annals_batch_submit(batch, reader, &ticket, &error));
  annals_batch_free(batch);
  OK(annals_close(reader, &error));
}

int main(void) {
  annals_store *store = in_memory();
  tags_come_back_sorted_and_once(store);
  queries_find_events_by_what_they_are(store);
  a_batch_is_one_unit_with_conditions(store);
  a_batch_that_lacks_a_part_is_never_written(store);
  close_store(store);
  tickets_have_the_outcome("tickets.annals");
  a_reader_writes_nothing("tickets.annals");
  return 0;
}
