/* Batches and queries in wrong hands: what is spent, what fails, what changes, and two threads. */

#include "batches.h"

#include <pthread.h>
#include <stdatomic.h>

static void a_spent_batch_is_misuse_for_every_call(annals_store *store) {
  annals_error *error = NULL;
  annals_new_event event = json("T", "1");
  annals_query *query = by_tag("any");
  annals_ticket *ticket = NULL;
  annals_batch *batch = NULL;
  int how = 0;
  for (how = 0; how < 4; how++) {
    uint64_t before = head_of(store);
    batch = batch_with("s", how == 1 ? 99999 : ANNALS_EXPECT_ANY, "T");
    if (how == 0) OK(annals_batch_commit(batch, store, NULL, &error));
    if (how == 1) {
      EXPECT(ANNALS_E_VERSION_CONFLICT, annals_batch_commit(batch, store, NULL, &error));
    }
    if (how == 2) {
      OK(annals_batch_submit(batch, store, &ticket, &error));
      OK(annals_ticket_wait(ticket, -1, NULL, &error));
      annals_ticket_free(ticket);
    }
    if (how == 3) {
      EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_batch_submit(batch, store, NULL, &error));
    }
    EXPECT(ANNALS_E_MISUSE,
           annals_batch_append(batch, "s", NT, ANNALS_EXPECT_ANY, &event, 1, &error));
    EXPECT(ANNALS_E_MISUSE, annals_batch_require(batch, "s", NT, 0, &error));
    EXPECT(ANNALS_E_MISUSE, annals_batch_require_none(batch, query, 0, &error));
    EXPECT(ANNALS_E_MISUSE, annals_batch_checkpoint(batch, "c", NT, 1, &error));
    EXPECT(ANNALS_E_MISUSE, annals_batch_commit(batch, store, NULL, &error));
    EXPECT(ANNALS_E_MISUSE, annals_batch_submit(batch, store, &ticket, &error));
    CHECK(ticket == NULL);
    annals_batch_free(batch);
    CHECK(head_of(store) == before + (how == 0 || how == 2));
  }
  /* Even without a store. */
  batch = batch_with("s", ANNALS_EXPECT_ANY, "T");
  EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_batch_commit(batch, NULL, NULL, &error));
  EXPECT(ANNALS_E_MISUSE, annals_batch_commit(batch, store, NULL, &error));
  annals_batch_free(batch);
  annals_query_free(query);
}

/* The first failure decides; a wrong pointer and a busy batch are mistakes of another kind. */
static void the_first_failed_part_is_the_answer(annals_store *store) {
  annals_error *error = NULL;
  annals_query *none = annals_query_new();
  annals_batch *batch = batch_with("s", ANNALS_EXPECT_ANY, "T");
  annals_ticket *ticket = NULL;
  annals_new_event event = json("T", "1");
  char longest[256];
  uint64_t before = head_of(store);
  memset(longest, 'x', sizeof longest);
  EXPECT(ANNALS_E_MISUSE, annals_batch_require_none(batch, (annals_query *)store, 0, &error));
  EXPECT(ANNALS_E_LIMIT, annals_batch_require(batch, longest, sizeof longest, 0, &error));
  EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_batch_require(batch, "", 0, 0, &error));
  EXPECT(ANNALS_E_LIMIT, annals_batch_submit(batch, store, &ticket, &error));
  annals_batch_free(batch);

  batch = batch_with("s", ANNALS_EXPECT_ANY, "T");
  EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_batch_require_none(batch, none, 0, &error));
  EXPECT(ANNALS_E_LIMIT, annals_batch_checkpoint(batch, longest, sizeof longest, 1, &error));
  commit(store, batch, ANNALS_E_INVALID_ARGUMENT, 0);

  batch = batch_with("s", ANNALS_EXPECT_ANY, "T");
  EXPECT(ANNALS_E_INVALID_ARGUMENT, annals_batch_require_none(batch, NULL, 0, &error));
  commit(store, batch, ANNALS_E_INVALID_ARGUMENT, 0);

  batch = batch_with("s", ANNALS_EXPECT_ANY, "T");
  event.struct_size += 8;
  /* The bytes after the struct are those of an event of a later version. */
  {
    struct {
      annals_new_event event;
      uint64_t later;
    } newer = {event, 1};
    EXPECT(ANNALS_E_UNSUPPORTED,
           annals_batch_append(batch, "s", NT, ANNALS_EXPECT_ANY, &newer.event, 1, &error));
  }
  commit(store, batch, ANNALS_E_UNSUPPORTED, 0);

  batch = annals_batch_new();
  EXPECT(ANNALS_E_MISUSE, annals_batch_require_none(batch, (annals_query *)store, 0, &error));
  EXPECT(ANNALS_E_MISUSE, annals_batch_require((annals_batch *)none, "s", NT, 0, &error));
  event = json("T", "1");
  OK(annals_batch_append(batch, "s", NT, ANNALS_EXPECT_ANY, &event, 1, &error));
  commit(store, batch, ANNALS_OK, before + 1);
  annals_query_free(none);
}

static void a_query_is_copied_where_it_is_used(annals_store *store) {
  annals_error *error = NULL;
  annals_string types[1] = {{"T", NT}};
  annals_query *query = by_tag("never");
  annals_read_options *options = annals_read_options_new();
  annals_batch *batch = batch_with("s", ANNALS_EXPECT_ANY, "T");
  annals_iter *iter = NULL, *all = NULL;
  uint64_t before = head_of(store);
  OK(annals_batch_require_none(batch, query, 0, &error));
  OK(annals_query_read(store, query, NULL, &iter, NULL, &error));
  CHECK(annals_read_options_set_query(options, query) == ANNALS_OK);
  OK(annals_query_add_item(query, types, 1, NULL, 0, NULL, 0, &error));
  annals_query_free(query);
  CHECK(count(iter) == 0);
  OK(annals_read_all(store, options, &all, &error));
  CHECK(count(all) == 0);
  annals_read_options_free(options);
  commit(store, batch, ANNALS_OK, before + 1);
}

static annals_status read_with(annals_store *store, annals_read_options *options) {
  annals_error *error = NULL;
  annals_query *query = by_tag("t");
  annals_iter *iter = NULL;
  uint64_t head = 77;
  annals_status rc = annals_query_read(store, query, options, &iter, &head, &error);
  CHECK(rc < 0 ? iter == NULL && head == 0 && error != NULL : iter != NULL && error == NULL);
  annals_iter_free(iter);
  annals_error_free(error);
  annals_query_free(query);
  annals_read_options_free(options);
  return rc;
}

/* A text in an array is checked like any other, and the message says which it is. */
static void texts_in_arrays_are_checked(annals_store *store) {
  annals_error *error = NULL;
  const annals_string wrong[] = {{NULL, 1}, {NULL, NT}, {NULL, 0}, {"", 0}, {"\xFF", 1},
                                 {"a\xE2\x82", 3}, {"a\0b", 3}, {"a", SIZE_MAX - 1}};
  annals_string texts[2] = {{"fine", NT}, {NULL, 0}};
  annals_query *query = annals_query_new();
  annals_batch *batch = annals_batch_new();
  annals_iter *iter = NULL;
  size_t index = 0;
  for (index = 0; index < sizeof wrong / sizeof *wrong; index++) {
    annals_new_event event = tagged("T", texts, 2);
    texts[1] = wrong[index];
    EXPECT(ANNALS_E_INVALID_ARGUMENT,
           annals_query_add_item(query, texts, 2, NULL, 0, NULL, 0, &error));
    EXPECT(ANNALS_E_INVALID_ARGUMENT,
           annals_query_add_item(query, NULL, 0, texts, 2, NULL, 0, &error));
    EXPECT(ANNALS_E_INVALID_ARGUMENT,
           annals_batch_append(batch, "s", NT, ANNALS_EXPECT_ANY, &event, 1, &error));
    EXPECT(ANNALS_E_INVALID_ARGUMENT,
           annals_append(store, "s", NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
  }
  EXPECT(ANNALS_E_INVALID_ARGUMENT,
         annals_query_add_item(query, (const annals_string *)((const char *)texts + 1), 1, NULL, 0,
                               NULL, 0, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "no items",
          annals_query_read(store, query, NULL, &iter, NULL, &error));
  commit(store, batch, ANNALS_E_INVALID_ARGUMENT, 0);
  annals_query_free(query);
}

/* Of the options a query takes the direction, the limit and the start position. */
static void options_that_mean_nothing_to_a_query_are_refused(annals_store *store) {
  annals_query *query = by_tag("t");
  annals_read_options *options = annals_read_options_new();
  CHECK(annals_read_options_set_backward(options, true) == ANNALS_OK);
  CHECK(annals_read_options_set_limit(options, 3) == ANNALS_OK);
  CHECK(annals_read_options_set_from_position(options, 2) == ANNALS_OK);
  CHECK(read_with(store, options) == ANNALS_OK);
  options = annals_read_options_new();
  CHECK(annals_read_options_set_from_version(options, 1) == ANNALS_OK);
  CHECK(read_with(store, options) == ANNALS_E_INVALID_ARGUMENT);
  options = annals_read_options_new();
  CHECK(annals_read_options_add_type(options, "T", NT) == ANNALS_OK);
  CHECK(read_with(store, options) == ANNALS_E_INVALID_ARGUMENT);
  options = annals_read_options_new();
  CHECK(annals_read_options_set_stream_prefix(options, "s", NT) == ANNALS_OK);
  CHECK(read_with(store, options) == ANNALS_E_INVALID_ARGUMENT);
  options = annals_read_options_new();
  CHECK(annals_read_options_set_query(options, query) == ANNALS_OK);
  CHECK(read_with(store, options) == ANNALS_E_INVALID_ARGUMENT);
  options = annals_read_options_new();
  CHECK(annals_read_options_set_until_position(options, 1) == ANNALS_OK);
  CHECK(read_with(store, options) == ANNALS_E_INVALID_ARGUMENT);
  annals_query_free(query);
}

/* What a query returns as its head is what a condition takes as `after`. */
static void the_head_of_a_query_is_how_far_it_looked(annals_store *store) {
  annals_error *error = NULL;
  annals_string tag = {"seen", NT};
  annals_new_event event = tagged("T", &tag, 1);
  annals_query *query = by_tag("seen");
  annals_iter *iter = NULL;
  uint64_t first = 0, head = 0, limit = 0;
  OK(annals_append(store, "seen", NT, ANNALS_EXPECT_ANY, &event, 1, &first, NULL, &error));
  OK(annals_append(store, "seen", NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
  append(store, "other", "T", "1");
  for (limit = 0; limit <= 3; limit++) {
    int backward = 0;
    for (backward = 0; backward <= 1; backward++) {
      annals_read_options *options = annals_read_options_new();
      uint64_t due = backward || limit == 3 ? first + 2 : limit == 0 ? 0 : first + limit - 1;
      CHECK(annals_read_options_set_limit(options, limit) == ANNALS_OK);
      CHECK(annals_read_options_set_backward(options, backward == 1) == ANNALS_OK);
      OK(annals_query_read(store, query, options, &iter, &head, &error));
      CHECK(head == due && count(iter) == (limit < 2 ? limit : 2));
      annals_read_options_free(options);
    }
  }
  annals_query_free(query);
}

static void conditions_look_after_their_position_alone(annals_store *store) {
  annals_error *error = NULL;
  annals_string tag = {"late", NT};
  annals_new_event event = tagged("T", &tag, 1);
  annals_query *query = by_tag("late");
  uint64_t last = 0, afters[4] = {0, 0, 0, UINT64_MAX};
  annals_status due[4] = {ANNALS_E_CONDITION, ANNALS_E_CONDITION, ANNALS_OK, ANNALS_OK};
  size_t which = 9;
  int index = 0;
  OK(annals_append(store, "late", NT, ANNALS_EXPECT_ANY, &event, 1, &last, NULL, &error));
  afters[1] = last - 1;
  afters[2] = last;
  for (index = 0; index < 4; index++) {
    annals_batch *batch = batch_with("decided", ANNALS_EXPECT_ANY, "T");
    uint64_t position = 0;
    annals_status rc = ANNALS_OK;
    OK(annals_batch_require_none(batch, query, UINT64_MAX, &error));
    OK(annals_batch_require_none(batch, query, afters[index], &error));
    rc = annals_batch_commit(batch, store, NULL, &error);
    CHECK(rc == due[index] && annals_error_condition_count(error) == (rc < 0 ? 1u : 0u));
    if (rc < 0) {
      CHECK(annals_error_condition(error, 0, &which, &position) && which == 1 && position == last);
      CHECK(annals_error_condition(error, 0, NULL, NULL));
      CHECK(!annals_error_condition(error, SIZE_MAX, NULL, NULL));
    }
    annals_error_free(error);
    error = NULL;
    annals_batch_free(batch);
  }
  annals_query_free(query);
}

static annals_batch *managed(const uint8_t *id, uint64_t position) {
  annals_error *error = NULL;
  annals_new_event event = json("T", "1");
  annals_batch *batch = annals_batch_new();
  event.id = id;
  OK(annals_batch_append(batch, "managed", NT, ANNALS_EXPECT_ANY, &event, 1, &error));
  OK(annals_batch_checkpoint(batch, "manager", NT, position, &error));
  return batch;
}

static void a_checkpoint_is_saved_with_its_batch_or_not_at_all(annals_store *store) {
  annals_error *error = NULL;
  const uint8_t first_id[16] = {1}, second_id[16] = {2};
  annals_batch *batch = NULL;
  annals_query *all = annals_query_new_all();
  uint64_t head = head_of(store);
  commit(store, managed(first_id, head + 2), ANNALS_E_INVALID_ARGUMENT, 0);
  CHECK(checkpoint_of(store, "manager") == 0 && head_of(store) == head);
  commit(store, managed(first_id, head + 1), ANNALS_OK, head + 1);
  CHECK(checkpoint_of(store, "manager") == head + 1);
  /* Back: refused, and its event with it. */
  commit(store, managed(second_id, head), ANNALS_E_INVALID_ARGUMENT, 0);
  /* In a retry an earlier one is ignored, one ahead is saved, and one past the head is refused. */
  append(store, "s", "T", "1");
  commit(store, managed(first_id, 1), ANNALS_ALREADY_STORED, head + 1);
  CHECK(checkpoint_of(store, "manager") == head + 1);
  commit(store, managed(first_id, head + 2), ANNALS_ALREADY_STORED, head + 1);
  CHECK(checkpoint_of(store, "manager") == head + 2);
  commit(store, managed(first_id, head + 3), ANNALS_E_INVALID_ARGUMENT, 0);
  /* A conflict or a violated condition saves nothing. */
  batch = managed(second_id, head + 3);
  OK(annals_batch_require(batch, "managed", NT, 9, &error));
  commit(store, batch, ANNALS_E_VERSION_CONFLICT, 0);
  batch = managed(second_id, head + 3);
  OK(annals_batch_require_none(batch, all, 0, &error));
  commit(store, batch, ANNALS_E_CONDITION, 0);
  CHECK(checkpoint_of(store, "manager") == head + 2 && head_of(store) == head + 2);
  /* Alone. */
  batch = annals_batch_new();
  OK(annals_batch_checkpoint(batch, "alone", NT, 1, &error));
  commit(store, batch, ANNALS_OK, 0);
  CHECK(checkpoint_of(store, "alone") == 1 && head_of(store) == head + 2);
  annals_query_free(all);
}

typedef struct both {
  annals_batch *batch;
  annals_query *query;
  annals_store *store;
  atomic_int added, busy;
} both;

static void *require_often(void *argument) {
  both *with = argument;
  int index = 0;
  for (index = 0; index < 2000; index++) {
    annals_status rc = annals_batch_require(with->batch, "never", NT, 0, NULL);
    CHECK(rc == ANNALS_OK || rc == ANNALS_E_BUSY);
    atomic_fetch_add(rc == ANNALS_OK ? &with->added : &with->busy, 1);
  }
  return NULL;
}

static void *read_often(void *argument) {
  both *with = argument;
  annals_error *error = NULL;
  int index = 0;
  for (index = 0; index < 200; index++) {
    annals_iter *iter = NULL;
    annals_batch *batch = annals_batch_new();
    OK(annals_query_read(with->store, with->query, NULL, &iter, NULL, &error));
    annals_iter_free(iter);
    OK(annals_batch_require_none(batch, with->query, 0, &error));
    annals_batch_free(batch);
  }
  return NULL;
}

static void in_two_threads(void *(*run)(void *), both *with) {
  pthread_t threads[2];
  int index = 0;
  for (index = 0; index < 2; index++) {
    CHECK(pthread_create(&threads[index], NULL, run, with) == 0);
  }
  for (index = 0; index < 2; index++) CHECK(pthread_join(threads[index], NULL) == 0);
}

/* One of two threads in a batch is busy, which spoils nothing. A query is for any number. */
static void a_batch_is_for_one_thread_and_a_query_for_many(annals_store *store) {
  static both with;
  uint64_t before = head_of(store);
  with.store = store;
  with.batch = batch_with("s", ANNALS_EXPECT_ANY, "T");
  with.query = by_tag("shared");
  in_two_threads(require_often, &with);
  CHECK(atomic_load(&with.added) > 0 && atomic_load(&with.added) + atomic_load(&with.busy) == 4000);
  commit(store, with.batch, ANNALS_OK, before + 1);
  in_two_threads(read_often, &with);
  annals_query_free(with.query);
}

int main(void) {
  annals_store *store = in_memory();
  a_spent_batch_is_misuse_for_every_call(store);
  the_first_failed_part_is_the_answer(store);
  a_query_is_copied_where_it_is_used(store);
  texts_in_arrays_are_checked(store);
  options_that_mean_nothing_to_a_query_are_refused(store);
  the_head_of_a_query_is_how_far_it_looked(store);
  conditions_look_after_their_position_alone(store);
  a_checkpoint_is_saved_with_its_batch_or_not_at_all(store);
  a_batch_is_for_one_thread_and_a_query_for_many(store);
  close_store(store);
  return 0;
}
