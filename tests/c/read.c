/* Reads: order, options, batches, ends, and objects that outlive the store. */

#include "check.h"

static void fill(annals_store *store) {
  append(store, "order-1", "Placed", "1");
  append(store, "order-2", "Placed", "2");
  append(store, "order-1", "Shipped", "3");
  append(store, "customer", "Joined", "4");
  append(store, "order-1", "Closed", "5");
}

/* Reads all remaining events and writes their positions as digits. */
static void positions(annals_iter *iter, char *out) {
  annals_error *error = NULL;
  const annals_event *event = NULL;
  annals_status rc = ANNALS_OK;
  while ((rc = annals_iter_next(iter, &event, &error)) == ANNALS_OK) {
    *out++ = (char)('0' + event->position);
  }
  EXPECT(ANNALS_DONE, rc);
  CHECK(event == NULL);
  *out = '\0';
}

#define READS(due, call)            \
  do {                              \
    annals_iter *iter = NULL;       \
    char found[64];                 \
    OK(call);                       \
    positions(iter, found);         \
    CHECK(strcmp(found, due) == 0); \
    annals_iter_free(iter);         \
  } while (0)

static void reads_and_their_options(annals_store *store) {
  annals_error *error = NULL;
  annals_iter *iter = NULL;
  annals_read_options *options = annals_read_options_new();
  READS("12345", annals_read_all(store, NULL, &iter, &error));
  READS("135", annals_read_stream(store, "order-1", NT, NULL, &iter, &error));
  READS("", annals_read_stream(store, "nobody", NT, options, &iter, &error));

  CHECK(annals_read_options_set_backward(options, true) == ANNALS_OK);
  READS("54321", annals_read_all(store, options, &iter, &error));
  CHECK(annals_read_options_set_limit(options, 2) == ANNALS_OK);
  READS("54", annals_read_all(store, options, &iter, &error));
  CHECK(annals_read_options_set_from_version(options, 2) == ANNALS_OK);
  READS("31", annals_read_stream(store, "order-1", NT, options, &iter, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "from_version",
          annals_read_all(store, options, &iter, &error));
  CHECK(iter == NULL);
  annals_read_options_free(options);

  options = annals_read_options_new();
  CHECK(annals_read_options_set_from_position(options, 2) == ANNALS_OK);
  CHECK(annals_read_options_add_type(options, "Placed", NT) == ANNALS_OK);
  CHECK(annals_read_options_add_type(options, "Closed", 6) == ANNALS_OK);
  READS("25", annals_read_all(store, options, &iter, &error));
  CHECK(annals_read_options_set_stream_prefix(options, "order-2", NT) == ANNALS_OK);
  READS("2", annals_read_all(store, options, &iter, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "stream prefix",
          annals_read_stream(store, "order-1", NT, options, &iter, &error));
  CHECK(annals_read_options_set_stream_prefix(options, NULL, 0) == ANNALS_OK);
  READS("5", annals_read_stream(store, "order-1", NT, options, &iter, &error));
  CHECK(annals_read_options_add_type(options, "", 0) == ANNALS_E_INVALID_ARGUMENT);
  CHECK(annals_read_options_add_type(options, "a\0b", 3) == ANNALS_E_INVALID_ARGUMENT);
  annals_read_options_free(options);
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "stream id",
          annals_read_stream(store, "", 0, NULL, &iter, &error));
}

static void event_at(annals_store *store, uint8_t last, int64_t timestamp_us) {
  annals_error *error = NULL;
  annals_new_event event = json("Timed", "1");
  uint8_t id[16] = {0};
  id[15] = last;
  event.flags = ANNALS_EVENT_HAS_ID | ANNALS_EVENT_HAS_TIMESTAMP;
  event.id = id;
  event.timestamp_us = timestamp_us;
  OK(annals_append(store, "timed", NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
}

/* Timestamps need not rise: all events between two timestamps are found, wherever they are. */
static void reads_end_at_a_position_or_a_time(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_subscription *subscription = NULL;
  annals_read_options *options = annals_read_options_new();
  event_at(store, 1, 100);
  event_at(store, 2, 300);
  event_at(store, 3, 200);
  event_at(store, 4, 400);
  CHECK(annals_read_options_set_since(options, 200) == ANNALS_OK);
  READS("234", annals_read_all(store, options, &iter, &error));
  CHECK(annals_read_options_set_until(options, 300) == ANNALS_OK);
  READS("23", annals_read_stream(store, "timed", NT, options, &iter, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "no timestamp bounds",
          annals_subscribe(store, 1, options, &subscription, &error));
  CHECK(annals_read_options_set_since(options, INT64_MIN) == ANNALS_E_INVALID_ARGUMENT);
  annals_read_options_free(options);
  options = annals_read_options_new();
  CHECK(annals_read_options_set_until_position(options, 2) == ANNALS_OK);
  READS("12", annals_read_all(store, options, &iter, &error));
  CHECK(annals_read_options_set_backward(options, true) == ANNALS_OK);
  READS("432", annals_read_stream(store, "timed", NT, options, &iter, &error));
  annals_read_options_free(options);
  close_store(store);
}

static void an_event_is_found_by_its_id(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_iter *iter = NULL;
  uint8_t id[16] = {0};
  event_at(store, 1, 100);
  event_at(store, 2, 300);
  id[15] = 2;
  READS("2", annals_event_by_id(store, id, &iter, &error));
  id[15] = 3;
  EXPECT(ANNALS_NOT_FOUND, annals_event_by_id(store, id, &iter, &error));
  CHECK(iter == NULL);
  close_store(store);
}

typedef struct upcasting {
  annals_store *store;
  int calls;
  int destroyed;
  int32_t answer;
} upcasting;

/* Puts the data into an array, and tries to close the store. */
static int32_t into_array(void *user_data, const annals_event *event, annals_write_fn write,
                          void *writer) {
  upcasting *with = user_data;
  annals_store *store = with->store;
  with->calls++;
  if (store != NULL) CHECK(annals_close(store, NULL) == ANNALS_E_BUSY);
  CHECK(write(writer, (const uint8_t *)"[", 1) == 0);
  CHECK(write(writer, NULL, 0) == 0);
  CHECK(write(writer, event->data, event->data_len) == 0);
  CHECK(write(writer, (const uint8_t *)"]", 1) == 0);
  return with->answer;
}

static void given_back(void *user_data) { ((upcasting *)user_data)->destroyed++; }

/* Counts the events. */
static int32_t count(void *user_data, const annals_event *event) {
  *(uint64_t *)user_data += event->version > 0;
  return 0;
}

static void events_are_brought_to_their_newest_shape(void) {
  annals_error *error = NULL;
  annals_options *options = annals_options_new();
  annals_store *store = NULL;
  annals_iter *iter = NULL;
  const annals_event *event = NULL;
  upcasting with = {NULL, 0, 0, 0};
  annals_new_event newer = json("Placed", "[2]");
  newer.metadata = (const uint8_t *)"{\"schema_version\": 2}";
  newer.metadata_len = 21;
  annals_upcast_fn upcast = into_array;
  CHECK(annals_options_add_upcaster(options, "Placed", NT, 1, upcast, &with, given_back) ==
        ANNALS_OK);
  CHECK(annals_options_add_upcaster(options, "Placed", NT, 2, upcast, &with, given_back) ==
        ANNALS_OK);
  /* Rejected: a gap, a second step from the same version, and a missing callback. */
  CHECK(annals_options_add_upcaster(options, "Placed", NT, 4, upcast, &with, given_back) ==
        ANNALS_E_INVALID_ARGUMENT);
  CHECK(annals_options_add_upcaster(options, "Placed", NT, 1, upcast, &with, given_back) ==
        ANNALS_E_INVALID_ARGUMENT);
  CHECK(annals_options_add_upcaster(options, "Placed", NT, 3, NULL, &with, given_back) ==
        ANNALS_E_INVALID_ARGUMENT);
  CHECK(with.destroyed == 3);
  OK(annals_open("upcast.annals", NT, options, &store, &error));
  annals_options_free(options);
  with.store = store;
  append(store, "order-1", "Placed", "1");
  OK(annals_append(store, "order-1", NT, 1, &newer, 1, NULL, NULL, &error));
  append(store, "order-1", "Shipped", "3");
  OK(annals_read_all(store, NULL, &iter, &error));
  OK(annals_iter_next(iter, &event, &error));
  CHECK(event->data_len == 5 && memcmp(event->data, "[[1]]", 5) == 0);
  OK(annals_iter_next(iter, &event, &error));
  CHECK(event->data_len == 5 && memcmp(event->data, "[[2]]", 5) == 0);
  OK(annals_iter_next(iter, &event, &error));
  CHECK(event->data_len == 1 && with.calls == 3);
  annals_iter_free(iter);
  with.answer = -7;
  OK(annals_read_all(store, NULL, &iter, &error));
  CHECK(annals_iter_next(iter, &event, &error) == ANNALS_E_CALLBACK);
  CHECK(annals_error_callback_code(error) == -7);
  annals_error_free(error);
  /* Events after the point that is asked for concern nobody. */
  uint64_t counted = 0;
  OK(annals_reconstruct_state(store, "order-1", NT, ANNALS_UP_TO_VERSION, 0, count, &counted,
                              &error));
  OK(annals_reconstruct_state(store, "order-1", NT, ANNALS_UP_TO_POSITION, 0, count, &counted,
                              &error));
  CHECK(counted == 0);
  CHECK(with.destroyed == 3);
  close_store(store);
  annals_iter_free(iter);
  CHECK(with.destroyed == 5);
}

/* Fails to write the middle of its data, and goes on. */
static int32_t without_middle(void *user_data, const annals_event *event, annals_write_fn write,
                              void *writer) {
  (void)user_data;
  CHECK(write(writer, (const uint8_t *)"[", 1) == 0);
  CHECK(write(writer, NULL, event->data_len) == ANNALS_E_INVALID_ARGUMENT);
  CHECK(write(writer, (const uint8_t *)"]", 1) == 0);
  return 0;
}

static int32_t to_nothing(void *user_data, const annals_event *event, annals_write_fn write,
                          void *writer) {
  (void)user_data;
  (void)event;
  return write(writer, NULL, 0);
}

/* Nothing is not JSON, and what lacks a piece may be other JSON. */
static void data_that_is_not_whole_fails_the_read(void) {
  annals_upcast_fn upcasts[2] = {without_middle, to_nothing};
  int32_t codes[2] = {ANNALS_E_INVALID_ARGUMENT, 0};
  int which = 0;
  for (which = 0; which < 2; which++) {
    annals_error *error = NULL;
    annals_options *options = annals_options_new();
    annals_store *store = NULL;
    annals_iter *iter = NULL;
    const annals_event *event = NULL;
    CHECK(annals_options_add_upcaster(options, "Placed", NT, 1, upcasts[which], NULL, NULL) ==
          ANNALS_OK);
    OK(annals_reader_open_with_options("upcast.annals", NT, options, &store, &error));
    annals_options_free(options);
    OK(annals_read_all(store, NULL, &iter, &error));
    CHECK(annals_iter_next(iter, &event, &error) == ANNALS_E_CALLBACK && event == NULL);
    CHECK(annals_error_callback_code(error) == codes[which]);
    annals_error_free(error);
    annals_iter_free(iter);
    close_store(store);
  }
}

/* The text of the first event. */
static void check_first(annals_store *reader, const char *text) {
  annals_error *error = NULL;
  annals_iter *iter = NULL;
  const annals_event *event = NULL;
  OK(annals_read_all(reader, NULL, &iter, &error));
  OK(annals_iter_next(iter, &event, &error));
  CHECK(event->data_len == strlen(text) && memcmp(event->data, text, strlen(text)) == 0);
  annals_iter_free(iter);
}

static void a_reader_brings_events_to_their_newest_shape(void) {
  annals_error *error = NULL;
  annals_options *options = annals_options_new();
  annals_store *reader = NULL;
  upcasting with = {NULL, 0, 0, 0};
  annals_upcast_fn upcast = into_array;
  CHECK(annals_options_add_upcaster(options, "Placed", NT, 1, upcast, &with, given_back) ==
        ANNALS_OK);
  OK(annals_reader_open_with_options("upcast.annals", NT, options, &reader, &error));
  annals_options_free(options);
  with.store = reader;
  check_first(reader, "[1]");
  EXPECT(ANNALS_E_READ_ONLY, annals_flush(reader, &error));
  CHECK(with.calls == 1 && with.destroyed == 0);
  close_store(reader);
  CHECK(with.destroyed == 1);
  OK(annals_reader_open_with_options("upcast.annals", NT, NULL, &reader, &error));
  check_first(reader, "1");
  close_store(reader);
  REFUSED(ANNALS_E_IO, "none.annals",
          annals_reader_open_with_options("none.annals", NT, NULL, &reader, &error));
}

static void batches_are_arrays(annals_store *store) {
  annals_error *error = NULL;
  annals_iter *iter = NULL;
  const annals_event *events = NULL;
  size_t n = 0;
  OK(annals_read_all(store, NULL, &iter, &error));
  OK(annals_iter_next_batch(iter, 3, &events, &n, &error));
  CHECK(n == 3 && events[0].position == 1 && events[2].position == 3);
  CHECK(strcmp(events[1].stream, "order-2") == 0 && strcmp(events[2].type, "Shipped") == 0);
  CHECK(events[2].data_len == 1 && events[2].data[0] == '3');
  OK(annals_iter_next(iter, &events, &error));
  CHECK(events->position == 4);
  OK(annals_iter_next_batch(iter, 100, &events, &n, &error));
  CHECK(n == 1 && events[0].position == 5);
  EXPECT(ANNALS_DONE, annals_iter_next_batch(iter, 100, &events, &n, &error));
  CHECK(n == 0 && events == NULL);
  EXPECT(ANNALS_DONE, annals_iter_next_batch(iter, 100, &events, &n, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "max",
          annals_iter_next_batch(iter, 0, &events, &n, &error));
  annals_iter_free(iter);
}

static void an_iterator_sees_its_own_moment(annals_store *store) {
  annals_error *error = NULL;
  annals_iter *iter = NULL;
  char found[64];
  OK(annals_read_all(store, NULL, &iter, &error));
  append(store, "late", "Late", "6");
  positions(iter, found);
  CHECK(strcmp(found, "12345") == 0);
  annals_iter_free(iter);
}

static void streams_come_in_order(annals_store *store) {
  annals_error *error = NULL;
  annals_stream_iter *iter = NULL;
  const char *name = NULL;
  size_t len = 0;
  uint64_t version = 0;
  OK(annals_streams(store, NULL, 0, &iter, &error));
  OK(annals_stream_iter_next(iter, &name, &len, &version, &error));
  CHECK(len == 8 && strcmp(name, "customer") == 0 && version == 1);
  OK(annals_stream_iter_next(iter, &name, NULL, NULL, &error));
  CHECK(strcmp(name, "late") == 0);
  annals_stream_iter_free(iter);
  OK(annals_streams(store, "order-", NT, &iter, &error));
  OK(annals_stream_iter_next(iter, &name, &len, &version, &error));
  CHECK(strcmp(name, "order-1") == 0 && version == 3);
  OK(annals_stream_iter_next(iter, &name, &len, &version, &error));
  EXPECT(ANNALS_DONE, annals_stream_iter_next(iter, &name, &len, &version, &error));
  CHECK(name == NULL && len == 0 && version == 0);
  EXPECT(ANNALS_DONE, annals_stream_iter_next(iter, &name, &len, &version, &error));
  annals_stream_iter_free(iter);
}

static void what_outlives_the_store_says_so(annals_store *store) {
  annals_error *error = NULL;
  annals_iter *fresh = NULL, *begun = NULL, *ended = NULL, *read = NULL, *found_one = NULL;
  annals_stream_iter *streams = NULL, *last = NULL, *over = NULL;
  const annals_event *event = NULL;
  const char *name = NULL;
  char found[64];
  uint8_t id[16] = {1};
  annals_new_event with_id = json("Late", "7");
  with_id.id = id;
  OK(annals_append(store, "late", NT, ANNALS_EXPECT_ANY, &with_id, 1, NULL, NULL, &error));
  OK(annals_event_by_id(store, id, &found_one, &error));
  OK(annals_read_all(store, NULL, &fresh, &error));
  OK(annals_read_all(store, NULL, &begun, &error));
  OK(annals_iter_next(begun, &event, &error));
  OK(annals_read_all(store, NULL, &ended, &error));
  positions(ended, found);
  OK(annals_read_stream(store, "late", NT, NULL, &read, &error));
  OK(annals_iter_next(read, &event, &error));
  OK(annals_streams(store, NULL, 0, &streams, &error));
  OK(annals_streams(store, "order-2", NT, &last, &error));
  OK(annals_stream_iter_next(last, &name, NULL, NULL, &error));
  OK(annals_streams(store, "none", NT, &over, &error));
  EXPECT(ANNALS_DONE, annals_stream_iter_next(over, &name, NULL, NULL, &error));
  close_store(store);

  EXPECT(ANNALS_E_CLOSED, annals_iter_next(fresh, &event, &error));
  CHECK(event == NULL);
  EXPECT(ANNALS_E_CLOSED, annals_iter_next(fresh, &event, &error));
  EXPECT(ANNALS_E_CLOSED, annals_iter_next(begun, &event, &error));
  EXPECT(ANNALS_E_CLOSED, annals_iter_next(read, &event, &error));
  EXPECT(ANNALS_DONE, annals_iter_next(ended, &event, &error));
  EXPECT(ANNALS_E_CLOSED, annals_stream_iter_next(streams, &name, NULL, NULL, &error));
  EXPECT(ANNALS_E_CLOSED, annals_stream_iter_next(streams, &name, NULL, NULL, &error));
  EXPECT(ANNALS_E_CLOSED, annals_stream_iter_next(last, &name, NULL, NULL, &error));
  EXPECT(ANNALS_DONE, annals_stream_iter_next(over, &name, NULL, NULL, &error));
  EXPECT(ANNALS_E_CLOSED, annals_iter_next(found_one, &event, &error));
  EXPECT(ANNALS_E_CLOSED, annals_iter_next(found_one, &event, &error));
  annals_iter_free(found_one);
  annals_stream_iter_free(last);
  annals_stream_iter_free(over);
  annals_iter_free(fresh);
  annals_iter_free(begun);
  annals_iter_free(ended);
  annals_iter_free(read);
  annals_iter_free(NULL);
  annals_stream_iter_free(streams);
  annals_stream_iter_free(NULL);
}

int main(void) {
  annals_store *store = in_memory();
  fill(store);
  reads_and_their_options(store);
  batches_are_arrays(store);
  an_iterator_sees_its_own_moment(store);
  streams_come_in_order(store);
  what_outlives_the_store_says_so(store);
  reads_end_at_a_position_or_a_time();
  an_event_is_found_by_its_id();
  events_are_brought_to_their_newest_shape();
  a_reader_brings_events_to_their_newest_shape();
  data_that_is_not_whole_fails_the_read();
  return 0;
}
