/* Projections that another thread watches, that are freed while they go live, and of readers. */

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct watch {
  annals_projection *projection;
  atomic_bool is_over;
  int seen, destroyed;
} watch;

static annals_projection *projection_of(annals_store *store) {
  annals_error *error = NULL;
  annals_projection *projection = NULL;
  OK(annals_projection_new(store, "watched", NT, &projection, &error));
  return projection;
}

static int32_t count(void *user_data, const annals_event *event) {
  (void)event;
  ((watch *)user_data)->seen++;
  return 0;
}

static void destroy(void *user_data) {
  ((watch *)user_data)->destroyed++;
}

static void *read_the_position(void *argument) {
  watch *with = argument;
  uint64_t last = 0;
  while (!with->is_over) {
    uint64_t position = annals_projection_position(with->projection);
    CHECK(position >= last);
    CHECK(annals_projection_state(with->projection, NULL) == ANNALS_OK);
    last = position;
  }
  return NULL;
}

/* Reading the position is no use of the projection that makes another call on it fail. */
static void a_call_succeeds_while_the_position_is_read(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  watch with = {projection_of(store), false, 0, 0};
  pthread_t reader;
  OK(annals_projection_when(with.projection, "T", NT, count, &with, NULL, &error));
  CHECK(pthread_create(&reader, NULL, read_the_position, &with) == 0);
  for (int call = 1; call <= 20000; call++) {
    if (call % 1000 == 0) append(store, "s", call % 2000 == 0 ? "T" : "U", "1");
    OK(annals_projection_catch_up(with.projection, NULL, &error));
    CHECK(annals_projection_position(with.projection) == (uint64_t)call / 1000);
  }
  with.is_over = true;
  CHECK(pthread_join(reader, NULL) == 0 && with.seen == 10);
  annals_projection_free(with.projection);
  close_store(store);
}

static int32_t free_inside(void *user_data, const annals_event *event) {
  watch *with = user_data;
  (void)event;
  with->seen++;
  annals_projection_free(with->projection);
  return 0;
}

/* The callback that frees the projection has not failed. */
static void a_callback_may_free_a_projection_that_goes_live(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  watch with = {projection_of(store), false, 0, 0};
  append(store, "s", "T", "1");
  append(store, "s", "T", "2");
  OK(annals_projection_when(with.projection, "T", NT, free_inside, &with, destroy, &error));
  OK(annals_projection_live(with.projection, &error));
  append(store, "s", "T", "3");
  CHECK(with.seen == 1 && with.destroyed == 1);
  close_store(store);
}

/* No append brings the projection of a reader up to date. */
static void a_projection_of_a_reader_is_pulled(void) {
  annals_error *error = NULL;
  annals_store *store = NULL, *reader = NULL;
  watch with = {NULL, false, 0, 0};
  OK(annals_open("read.annals", NT, NULL, &store, &error));
  OK(annals_reader_open("read.annals", NT, &reader, &error));
  append(store, "s", "T", "1");
  with.projection = projection_of(reader);
  OK(annals_projection_when(with.projection, "T", NT, count, &with, NULL, &error));
  REFUSED(ANNALS_E_READ_ONLY, "annals_projection_catch_up",
          annals_projection_live(with.projection, &error));
  CHECK(with.seen == 0);
  for (int seen = 1; seen < 3; seen++) {
    OK(annals_projection_catch_up(with.projection, NULL, &error));
    CHECK(with.seen == seen && annals_projection_position(with.projection) == (uint64_t)seen);
    append(store, "s", "T", "1");
  }
  annals_projection_free(with.projection);
  close_store(reader);
  close_store(store);
}

int main(void) {
  a_call_succeeds_while_the_position_is_read();
  a_callback_may_free_a_projection_that_goes_live();
  a_projection_of_a_reader_is_pulled();
  return 0;
}
