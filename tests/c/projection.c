/* Projections, live or not: stops, failures, snapshots, and the destructors of user data. */

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct view {
  annals_store *store;
  annals_projection *own;
  uint64_t seen, last;
  int answer, destroyed;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int is_inside, may_leave;
} view;

static view *new_view(annals_store *store) {
  view *with = calloc(1, sizeof *with);
  CHECK(with != NULL && pthread_mutex_init(&with->lock, NULL) == 0);
  CHECK(pthread_cond_init(&with->changed, NULL) == 0);
  with->store = store;
  return with;
}

static void free_view(view *with) {
  pthread_mutex_destroy(&with->lock);
  pthread_cond_destroy(&with->changed);
  free(with);
}

static int32_t count(void *user_data, const annals_event *event) {
  view *with = user_data;
  CHECK(with->destroyed == 0 && event->position > with->last);
  if (with->answer < 0) return with->answer;
  with->seen++;
  with->last = event->position;
  return with->answer;
}

static void destroy(void *user_data) {
  ((view *)user_data)->destroyed++;
}

static annals_projection *projection_of(annals_store *store, const char *name) {
  annals_error *error = NULL;
  annals_projection *projection = NULL;
  OK(annals_projection_new(store, name, NT, &projection, &error));
  return projection;
}

static void it_is_pulled(annals_store *store) {
  annals_error *error = NULL;
  annals_projection *projection = projection_of(store, "pulled");
  view *with = new_view(store), *replaced = new_view(store);
  uint64_t processed = 0;
  OK(annals_projection_when(projection, "T", NT, count, replaced, destroy, &error));
  OK(annals_projection_when(projection, "T", 1, count, with, destroy, &error));
  CHECK(replaced->destroyed == 1 && with->destroyed == 0);
  OK(annals_projection_catch_up(projection, &processed, &error));
  CHECK(processed == 4 && with->seen == 3 && annals_projection_position(projection) == 4);
  OK(annals_projection_catch_up(projection, &processed, &error));
  CHECK(processed == 0);
  OK(annals_projection_reset(projection, &error));
  CHECK(annals_projection_position(projection) == 0);
  with->last = 0;
  OK(annals_projection_catch_up(projection, NULL, &error));
  CHECK(with->seen == 6 && with->destroyed == 0);
  annals_projection_free(projection);
  CHECK(with->destroyed == 1 && replaced->destroyed == 1);
  free_view(with);
  free_view(replaced);
}

static void a_registration_that_fails_gives_back_what_it_was_given(annals_store *store) {
  annals_error *error = NULL;
  annals_projection *projection = projection_of(store, "refused");
  view *with = new_view(store);
  EXPECT(ANNALS_E_INVALID_ARGUMENT,
         annals_projection_when(projection, "", 0, count, with, destroy, &error));
  EXPECT(ANNALS_E_INVALID_ARGUMENT,
         annals_projection_when(projection, "T", NT, NULL, with, destroy, &error));
  EXPECT(ANNALS_E_INVALID_ARGUMENT,
         annals_projection_when(NULL, "T", NT, count, with, destroy, &error));
  EXPECT(ANNALS_E_MISUSE, annals_projection_when((annals_projection *)(void *)store, "T", NT, count,
                                                 with, destroy, &error));
  OK(annals_projection_live(projection, &error));
  REFUSED(ANNALS_E_BUSY, "the projection is live: make a new one",
          annals_projection_when(projection, "T", NT, count, with, destroy, &error));
  CHECK(with->destroyed == 5 && with->seen == 0);
  annals_projection_free(projection);
  CHECK(with->destroyed == 5);
  free_view(with);
}

static void it_stops_and_fails_and_goes_on(annals_store *store) {
  annals_error *error = NULL;
  annals_projection *projection = projection_of(store, "stops");
  view *with = new_view(store);
  uint64_t processed = 9;
  annals_status rc = ANNALS_OK;
  OK(annals_projection_when(projection, "T", NT, count, with, destroy, &error));
  with->answer = 1;
  EXPECT(ANNALS_DONE, annals_projection_catch_up(projection, &processed, &error));
  CHECK(processed == 1 && with->seen == 1 && annals_projection_position(projection) == 1);
  EXPECT(ANNALS_DONE, annals_projection_state(projection, &error));
  with->answer = -5;
  rc = annals_projection_catch_up(projection, &processed, &error);
  CHECK(rc == ANNALS_E_CALLBACK && annals_error_callback_code(error) == -5 && processed == 0);
  annals_error_free(error);
  error = NULL;
  CHECK(annals_projection_position(projection) == 1);
  REFUSED(ANNALS_E_CALLBACK, "position 2", annals_projection_state(projection, &error));
  with->answer = 0;
  OK(annals_projection_catch_up(projection, &processed, &error));
  CHECK(processed == 3 && with->seen == 3);
  OK(annals_projection_state(projection, &error));
  annals_projection_free(projection);
  free_view(with);
}

static void it_goes_on_after_the_event_that_failed(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_projection *projection = projection_of(store, "after");
  view *with = new_view(store);
  OK(annals_projection_when(projection, "T", NT, count, with, destroy, &error));
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "not live",
          annals_projection_resume_after(projection, &error));
  OK(annals_projection_live(projection, &error));
  OK(annals_projection_resume_after(projection, &error));
  with->answer = -3;
  append(store, "s", "T", "1");
  append(store, "s", "T", "2");
  REFUSED(ANNALS_E_CALLBACK, "position 2", annals_projection_resume_after(projection, &error));
  CHECK(annals_projection_position(projection) == 1);
  with->answer = 1;
  EXPECT(ANNALS_DONE, annals_projection_live(projection, &error));
  append(store, "s", "T", "3");
  with->answer = 0;
  /* A callback that stopped did not fail at an event, so none is skipped. */
  OK(annals_projection_resume_after(projection, &error));
  CHECK(with->seen == 2 && annals_projection_position(projection) == 3);
  with->answer = -3;
  append(store, "s", "T", "4");
  append(store, "s", "T", "5");
  with->answer = 0;
  OK(annals_projection_resume_after(projection, &error));
  OK(annals_projection_state(projection, &error));
  CHECK(with->seen == 3 && annals_projection_position(projection) == 5);
  close_store(store);
  annals_projection_free(projection);
  free_view(with);
}

static void live_it_follows_every_append(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_projection *projection = projection_of(store, "live");
  view *with = new_view(store);
  annals_status rc = ANNALS_OK;
  OK(annals_projection_when(projection, "T", NT, count, with, destroy, &error));
  append(store, "s", "T", "1");
  OK(annals_projection_live(projection, &error));
  CHECK(with->seen == 1);
  append(store, "s", "T", "2");
  append(store, "s", "U", "3");
  CHECK(with->seen == 2 && annals_projection_position(projection) == 3);
  with->answer = -3;
  append(store, "s", "T", "4");
  append(store, "s", "T", "5");
  CHECK(with->seen == 2);
  rc = annals_projection_state(projection, &error);
  CHECK(rc == ANNALS_E_CALLBACK && annals_error_callback_code(error) == -3);
  annals_error_free(error);
  error = NULL;
  EXPECT(ANNALS_E_CALLBACK, annals_projection_live(projection, &error));
  with->answer = 0;
  OK(annals_projection_live(projection, &error));
  OK(annals_projection_state(projection, &error));
  CHECK(with->seen == 4);
  with->answer = 1;
  append(store, "s", "T", "6");
  append(store, "s", "T", "7");
  CHECK(with->seen == 5);
  EXPECT(ANNALS_DONE, annals_projection_state(projection, &error));
  with->answer = 0;
  OK(annals_projection_catch_up(projection, NULL, &error));
  CHECK(with->seen == 6 && annals_projection_position(projection) == 7);
  EXPECT(ANNALS_E_BUSY, annals_projection_reset(projection, &error));
  with->answer = 1;
  append(store, "s", "T", "8");
  append(store, "s", "T", "9");
  close_store(store);
  EXPECT(ANNALS_DONE, annals_projection_state(projection, &error));
  EXPECT(ANNALS_E_CLOSED, annals_projection_catch_up(projection, NULL, &error));
  EXPECT(ANNALS_DONE, annals_projection_state(projection, &error));
  annals_projection_free(projection);
  CHECK(with->destroyed == 1);
  free_view(with);
}

/* Makes the calls that a callback may make, and checks that the others are rejected. */
static int32_t busy_inside(void *user_data, const annals_event *event) {
  view *with = user_data;
  annals_error *error = NULL;
  uint64_t head = 0;
  with->seen++;
  with->last = event->position;
  CHECK(annals_projection_position(with->own) == event->position - 1);
  OK(annals_head(with->store, &head, &error));
  if (with->seen == 1) append(with->store, "inner", "T", "1");
  EXPECT(ANNALS_E_BUSY, annals_projection_save_snapshot(with->own, NULL, 0, &error));
  EXPECT(ANNALS_E_BUSY, annals_projection_catch_up(with->own, NULL, &error));
  EXPECT(ANNALS_E_BUSY, annals_close(with->store, &error));
  return 0;
}

static void inside_a_callback(bool is_live) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_projection *projection = projection_of(store, "inside");
  view *with = new_view(store);
  with->own = projection;
  OK(annals_projection_when(projection, "T", NT, busy_inside, with, destroy, &error));
  if (is_live) OK(annals_projection_live(projection, &error));
  append(store, "s", "T", "1");
  if (!is_live) OK(annals_projection_catch_up(projection, NULL, &error));
  if (!is_live) OK(annals_projection_catch_up(projection, NULL, &error));
  CHECK(with->seen == 2 && with->last == 2);
  OK(annals_projection_save_snapshot(projection, NULL, 0, &error));
  annals_projection_free(projection);
  CHECK(with->destroyed == 1);
  close_store(store);
  free_view(with);
}

static int32_t free_inside(void *user_data, const annals_event *event) {
  view *with = user_data;
  (void)event;
  annals_projection_free(with->own);
  CHECK(with->destroyed == 0);
  with->seen++;
  return 0;
}

static void a_callback_may_free_its_own_projection(bool is_live) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_projection *projection = projection_of(store, "own");
  annals_new_event events[2];
  view *with = new_view(store);
  with->own = projection;
  events[0] = json("T", "1");
  events[1] = json("T", "2");
  OK(annals_projection_when(projection, "T", NT, free_inside, with, destroy, &error));
  if (is_live) OK(annals_projection_live(projection, &error));
  OK(annals_append(store, "s", NT, ANNALS_EXPECT_ANY, events, 2, NULL, NULL, &error));
  if (!is_live) OK(annals_projection_catch_up(projection, NULL, &error));
  CHECK(with->seen == 1 && with->destroyed == 1);
  append(store, "s", "T", "3");
  CHECK(with->seen == 1 && with->destroyed == 1);
  close_store(store);
  free_view(with);
}

static int32_t never(void *user_data, const annals_event *event) {
  (void)user_data;
  (void)event;
  CHECK(!"there is no event of this type");
  return 0;
}

/* Callbacks of two types share their user data; one of them frees it. */
static void shared_user_data_outlives_the_callback_that_frees(bool is_live) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_projection *projection = projection_of(store, "shared");
  view *with = new_view(store);
  with->own = projection;
  OK(annals_projection_when(projection, "T", NT, free_inside, with, NULL, &error));
  OK(annals_projection_when(projection, "V", NT, never, with, destroy, &error));
  if (is_live) OK(annals_projection_live(projection, &error));
  append(store, "s", "T", "1");
  if (!is_live) OK(annals_projection_catch_up(projection, NULL, &error));
  CHECK(with->seen == 1 && with->destroyed == 1);
  close_store(store);
  free_view(with);
}

static int32_t blocked(void *user_data, const annals_event *event) {
  view *with = user_data;
  (void)event;
  pthread_mutex_lock(&with->lock);
  with->is_inside = 1;
  pthread_cond_broadcast(&with->changed);
  while (!with->may_leave) pthread_cond_wait(&with->changed, &with->lock);
  /* Also while the projection is being freed. */
  CHECK(annals_projection_position(with->own) == 0);
  CHECK(with->destroyed == 0);
  with->seen++;
  pthread_mutex_unlock(&with->lock);
  return 0;
}

static void *append_one(void *argument) {
  append(((view *)argument)->store, "s", "T", "1");
  return NULL;
}

static void *let_go(void *argument) {
  view *with = argument;
  pthread_mutex_lock(&with->lock);
  with->may_leave = 1;
  pthread_cond_broadcast(&with->changed);
  pthread_mutex_unlock(&with->lock);
  return NULL;
}

static void freeing_waits_for_a_callback_that_runs(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_projection *projection = projection_of(store, "blocked");
  view *with = new_view(store);
  pthread_t appender, releaser;
  with->own = projection;
  OK(annals_projection_when(projection, "T", NT, blocked, with, destroy, &error));
  OK(annals_projection_live(projection, &error));
  CHECK(pthread_create(&appender, NULL, append_one, with) == 0);
  pthread_mutex_lock(&with->lock);
  while (!with->is_inside) pthread_cond_wait(&with->changed, &with->lock);
  pthread_mutex_unlock(&with->lock);
  CHECK(pthread_create(&releaser, NULL, let_go, with) == 0);
  annals_projection_free(projection);
  CHECK(with->seen == 1 && with->destroyed == 1);
  CHECK(pthread_join(appender, NULL) == 0 && pthread_join(releaser, NULL) == 0);
  append(store, "s", "T", "2");
  CHECK(with->seen == 1 && with->destroyed == 1);
  close_store(store);
  free_view(with);
}

/* One of two projections whose callbacks free each other's. */
typedef struct half {
  struct half *other;
  annals_projection *projection;
  pthread_mutex_t *lock;
  pthread_cond_t *changed;
  annals_store *store;
  int *inside;
  int seen, destroyed;
} half;

static int32_t free_the_other(void *user_data, const annals_event *event) {
  half *own = user_data;
  (void)event;
  pthread_mutex_lock(own->lock);
  ++*own->inside;
  pthread_cond_broadcast(own->changed);
  while (*own->inside < 2) pthread_cond_wait(own->changed, own->lock);
  pthread_mutex_unlock(own->lock);
  annals_projection_free(own->other->projection);
  CHECK(own->destroyed == 0);
  own->seen++;
  return 0;
}

static void destroy_half(void *user_data) {
  half *own = user_data;
  CHECK(own->seen == 1);
  own->destroyed++;
}

static void *append_to_first(void *argument) {
  half *first = argument;
  pthread_mutex_lock(first->lock);
  while (*first->inside < 1) pthread_cond_wait(first->changed, first->lock);
  pthread_mutex_unlock(first->lock);
  append(first->store, "s", "First", "2");
  return NULL;
}

/* Each free would wait for the callback that makes the other one. */
static void two_callbacks_may_free_the_projection_of_each_other(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
  int inside = 0, index = 0;
  half halves[2] = {{NULL, NULL, &lock, &changed, store, &inside, 0, 0},
                    {NULL, NULL, &lock, &changed, store, &inside, 0, 0}};
  pthread_t appender;
  for (index = 0; index < 2; index++) {
    half *own = &halves[index];
    own->other = &halves[1 - index];
    own->projection = projection_of(store, index == 0 ? "first" : "second");
    OK(annals_projection_when(own->projection, index == 0 ? "First" : "Second", NT,
                              free_the_other, own, destroy_half, &error));
    OK(annals_projection_live(own->projection, &error));
  }
  CHECK(pthread_create(&appender, NULL, append_to_first, &halves[0]) == 0);
  append(store, "s", "Second", "1");
  CHECK(pthread_join(appender, NULL) == 0);
  append(store, "s", "First", "3");
  append(store, "s", "Second", "4");
  for (index = 0; index < 2; index++) {
    CHECK(halves[index].seen == 1 && halves[index].destroyed == 1);
  }
  close_store(store);
}

static int32_t restore(void *user_data, uint64_t position, const uint8_t *data, size_t len) {
  view *with = user_data;
  CHECK(position == 4 && len == sizeof with->seen);
  if (with->answer == 0) memcpy(&with->seen, data, len);
  return with->answer;
}

static void it_goes_on_from_its_snapshot(annals_store *store) {
  annals_error *error = NULL;
  annals_projection *projection = projection_of(store, "snap");
  view *with = new_view(store);
  uint64_t seen = 3, processed = 9;
  annals_status rc = ANNALS_OK;
  EXPECT(ANNALS_NOT_FOUND, annals_projection_load_snapshot(projection, restore, with, &error));
  OK(annals_projection_set_version(projection, 2, &error));
  OK(annals_projection_when(projection, "T", NT, count, with, NULL, &error));
  OK(annals_projection_catch_up(projection, NULL, &error));
  OK(annals_projection_save_snapshot(projection, (const uint8_t *)&seen, sizeof seen, &error));
  annals_projection_free(projection);

  projection = projection_of(store, "snap");
  OK(annals_projection_when(projection, "T", NT, count, with, NULL, &error));
  with->seen = 0;
  EXPECT(ANNALS_NOT_FOUND, annals_projection_load_snapshot(projection, restore, with, &error));
  OK(annals_projection_set_version(projection, 2, &error));
  with->answer = 1;
  EXPECT(ANNALS_DONE, annals_projection_load_snapshot(projection, restore, with, &error));
  with->answer = -9;
  rc = annals_projection_load_snapshot(projection, restore, with, &error);
  CHECK(rc == ANNALS_E_CALLBACK && annals_error_callback_code(error) == -9);
  annals_error_free(error);
  error = NULL;
  CHECK(annals_projection_position(projection) == 0 && with->seen == 0);
  with->answer = 0;
  OK(annals_projection_load_snapshot(projection, restore, with, &error));
  CHECK(annals_projection_position(projection) == 4 && with->seen == 3);
  OK(annals_projection_catch_up(projection, &processed, &error));
  CHECK(processed == 0);
  OK(annals_projection_live(projection, &error));
  EXPECT(ANNALS_E_BUSY, annals_projection_load_snapshot(projection, restore, with, &error));
  OK(annals_projection_save_snapshot(projection, NULL, 0, &error));
  annals_projection_free(projection);
  free_view(with);
}

int main(void) {
  annals_store *store = in_memory();
  append(store, "s", "T", "1");
  append(store, "s", "T", "2");
  append(store, "s", "T", "3");
  append(store, "s", "U", "4");
  it_is_pulled(store);
  a_registration_that_fails_gives_back_what_it_was_given(store);
  it_stops_and_fails_and_goes_on(store);
  it_goes_on_from_its_snapshot(store);
  close_store(store);
  it_goes_on_after_the_event_that_failed();
  live_it_follows_every_append();
  inside_a_callback(false);
  inside_a_callback(true);
  a_callback_may_free_its_own_projection(false);
  a_callback_may_free_its_own_projection(true);
  shared_user_data_outlives_the_callback_that_frees(false);
  shared_user_data_outlives_the_callback_that_frees(true);
  freeing_waits_for_a_callback_that_runs();
  two_callbacks_may_free_the_projection_of_each_other();
  return 0;
}
