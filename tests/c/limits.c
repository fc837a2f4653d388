/* Limits of tags, queries and batches: at each a call is fine, and one past it changes nothing. */

#include "batches.h"

#define NAME_MAX_BYTES 255
#define REQUIREMENTS 100000
#define CHECKPOINTS 10000
#define CONDITIONS 100
#define ITEMS 1000
#define EVENTS 100000

static char names[1001][8];
static annals_string texts[1002];
static char longest[NAME_MAX_BYTES + 2];

static void make_names(void) {
  size_t index = 0;
  for (index = 0; index < 1001; index++) {
    snprintf(names[index], sizeof names[index], "n%zu", index);
    texts[index] = text(names[index]);
  }
  /* The 1000 first ones with a repeat. */
  texts[1001] = text(names[0]);
  memset(longest, 'x', NAME_MAX_BYTES + 1);
}

static void an_event_has_up_to_1000_tags(annals_store *store) {
  annals_error *error = NULL;
  annals_new_event event = tagged("T", texts, 1000);
  annals_string tag = {longest, NAME_MAX_BYTES};
  uint64_t before = 0;
  OK(annals_append(store, "s", NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
  before = head_of(store);
  event.tag_count = 1001;
  REFUSED(ANNALS_E_LIMIT, "tags",
          annals_append(store, "s", NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
  /* Repeats do not count. */
  texts[1000] = texts[1001];
  OK(annals_append(store, "s", NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
  texts[1000] = text(names[1000]);
  event = tagged("T", &tag, 1);
  OK(annals_append(store, "s", NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
  tag.len++;
  REFUSED(ANNALS_E_LIMIT, "tag",
          annals_append(store, "s", NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
  CHECK(head_of(store) == before + 2);
}

static void a_query_has_limits(annals_store *store) {
  annals_error *error = NULL;
  annals_query *query = annals_query_new();
  annals_iter *iter = NULL;
  annals_string name = {longest, NAME_MAX_BYTES + 1};
  size_t index = 0;
  REFUSED(ANNALS_E_LIMIT, "types",
          annals_query_add_item(query, texts, 1001, NULL, 0, NULL, 0, &error));
  REFUSED(ANNALS_E_LIMIT, "tags",
          annals_query_add_item(query, NULL, 0, texts, 1001, NULL, 0, &error));
  REFUSED(ANNALS_E_LIMIT, "type", annals_query_add_item(query, &name, 1, NULL, 0, NULL, 0, &error));
  REFUSED(ANNALS_E_LIMIT, "tag", annals_query_add_item(query, NULL, 0, &name, 1, NULL, 0, &error));
  REFUSED(ANNALS_E_LIMIT, "stream",
          annals_query_add_item(query, NULL, 0, NULL, 0, longest, NAME_MAX_BYTES + 1, &error));
  /* Nothing was added. */
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "no items",
          annals_query_read(store, query, NULL, &iter, NULL, &error));
  name.len--;
  OK(annals_query_add_item(query, &name, 1, &name, 1, longest, NAME_MAX_BYTES, &error));
  OK(annals_query_add_item(query, texts, 1000, texts, 1000, NULL, 0, &error));
  for (index = 2; index < ITEMS; index++) {
    OK(annals_query_add_item(query, NULL, 0, &texts[index], 1, NULL, 0, &error));
  }
  REFUSED(ANNALS_E_LIMIT, "items",
          annals_query_add_item(query, NULL, 0, texts, 1, NULL, 0, &error));
  OK(annals_query_read(store, query, NULL, &iter, NULL, &error));
  CHECK(count(iter) > 0);
  annals_query_free(query);
}

static void a_batch_has_up_to_100_conditions(annals_store *store) {
  annals_error *error = NULL;
  annals_query *never = by_tag("never");
  int past = 0, index = 0;
  for (past = 0; past <= 1; past++) {
    annals_batch *batch = batch_with("c", ANNALS_EXPECT_ANY, "T");
    uint64_t before = head_of(store);
    for (index = 0; index < CONDITIONS; index++) {
      OK(annals_batch_require_none(batch, never, 0, &error));
    }
    if (past) {
      REFUSED(ANNALS_E_LIMIT, "limit of 100: 101",
              annals_batch_require_none(batch, never, 0, &error));
      commit(store, batch, ANNALS_E_LIMIT, 0);
      CHECK(head_of(store) == before);
    } else {
      commit(store, batch, ANNALS_OK, before + 1);
    }
  }
  annals_query_free(never);
}

static void a_batch_has_limits_of_requirements_and_checkpoints(annals_store *store) {
  annals_error *error = NULL;
  char name[16];
  int past = 0, index = 0;
  for (past = 0; past <= 1; past++) {
    annals_batch *batch = batch_with("r", ANNALS_EXPECT_ANY, "T");
    uint64_t before = head_of(store);
    for (index = 0; index < REQUIREMENTS; index++) {
      OK(annals_batch_require(batch, "never", 5, ANNALS_EXPECT_NO_STREAM, &error));
    }
    for (index = 0; index < CHECKPOINTS; index++) {
      snprintf(name, sizeof name, "c%d", index);
      OK(annals_batch_checkpoint(batch, name, NT, 1, &error));
    }
    if (past) {
      REFUSED(ANNALS_E_LIMIT, "limit of 100000: 100001",
              annals_batch_require(batch, "never", 5, ANNALS_EXPECT_NO_STREAM, &error));
      REFUSED(ANNALS_E_LIMIT, "limit of 10000: 10001",
              annals_batch_checkpoint(batch, "one more", NT, 1, &error));
      commit(store, batch, ANNALS_E_LIMIT, 0);
      CHECK(head_of(store) == before);
    } else {
      commit(store, batch, ANNALS_OK, before + 1);
      CHECK(checkpoint_of(store, "c9999") == 1);
    }
  }
}

static void units_without_events_are_requirements(annals_store *store) {
  annals_error *error = NULL;
  annals_unit *units = calloc(REQUIREMENTS + 2, sizeof *units);
  annals_new_event event = json("T", "1");
  uint64_t before = head_of(store);
  size_t index = 0;
  CHECK(units != NULL);
  for (index = 0; index < REQUIREMENTS + 2; index++) {
    units[index] = (annals_unit)ANNALS_UNIT_INIT;
    units[index].stream = "never";
    units[index].stream_len = NT;
  }
  units[0].stream = "multi";
  units[0].expected_version = ANNALS_EXPECT_ANY;
  units[0].events = &event;
  units[0].event_count = 1;
  REFUSED(ANNALS_E_LIMIT, "requirements",
          annals_append_multi(store, units, REQUIREMENTS + 2, NULL, &error));
  CHECK(head_of(store) == before);
  OK(annals_append_multi(store, units, REQUIREMENTS + 1, NULL, &error));
  free(units);
}

/* What depends on the whole batch is answered when it is committed. */
static void a_batch_has_up_to_100000_events_and_64_mib(annals_store *store) {
  annals_error *error = NULL;
  annals_new_event *events = calloc(EVENTS, sizeof *events);
  annals_new_event large = json("T", "");
  annals_batch *batch = annals_batch_new();
  annals_ticket *ticket = NULL;
  uint64_t before = head_of(store);
  size_t len = (16u << 20) - 2;
  uint8_t *data = calloc(1, len);
  int index = 0;
  CHECK(events != NULL && data != NULL);
  for (index = 0; index < EVENTS; index++) events[index] = json("T", "1");
  OK(annals_batch_append(batch, "s", 1, ANNALS_EXPECT_ANY, events, EVENTS, &error));
  OK(annals_batch_append(batch, "s", 1, ANNALS_EXPECT_ANY, events, 1, &error));
  REFUSED(ANNALS_E_LIMIT, "events", annals_batch_submit(batch, store, &ticket, &error));
  CHECK(ticket == NULL);
  annals_batch_free(batch);

  large.flags = ANNALS_EVENT_BINARY;
  large.data = data;
  large.data_len = len;
  batch = annals_batch_new();
  for (index = 0; index < 4; index++) {
    OK(annals_batch_append(batch, "s", 1, ANNALS_EXPECT_ANY, &large, 1, &error));
  }
  large.data_len = 0;
  OK(annals_batch_append(batch, "s", 1, ANNALS_EXPECT_ANY, &large, 1, &error));
  REFUSED(ANNALS_E_LIMIT, "append (bytes)", annals_batch_commit(batch, store, NULL, &error));
  annals_batch_free(batch);
  CHECK(head_of(store) == before);
  free(data);
  free(events);
}

int main(void) {
  annals_store *store = in_memory();
  make_names();
  an_event_has_up_to_1000_tags(store);
  a_query_has_limits(store);
  a_batch_has_up_to_100_conditions(store);
  a_batch_has_limits_of_requirements_and_checkpoints(store);
  units_without_events_are_requirements(store);
  a_batch_has_up_to_100000_events_and_64_mib(store);
  close_store(store);
  return 0;
}
