/* Several threads: racing appends, one iterator used by two, and a close during a call. */

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 8
#define ROUNDS 50

typedef struct shared {
  annals_store *store;
  annals_iter *iter;
  atomic_int read, busy;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int is_inside, may_leave;
} shared;

static void in_threads(void *(*run)(void *), shared *with, int count) {
  pthread_t threads[THREADS];
  int i = 0;
  for (i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, run, with) == 0);
  for (i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

/* Appends one event with an expected version, and retries as long as others are faster. */
static void *add(void *argument) {
  shared *with = argument;
  annals_error *error = NULL;
  int done = 0;
  while (done < ROUNDS) {
    annals_new_event event = json("Added", "1");
    uint64_t version = 0, expected = 0, actual = 0;
    annals_status rc = ANNALS_OK;
    OK(annals_stream_version(with->store, "counter", NT, &version, &error));
    rc = annals_append(with->store, "counter", NT, version, &event, 1, NULL, NULL, &error);
    if (rc == ANNALS_E_VERSION_CONFLICT) {
      CHECK(annals_error_versions(error, &expected, &actual));
      CHECK(expected == version && actual > expected);
      annals_error_free(error);
      error = NULL;
    } else {
      OK(rc);
      done++;
    }
  }
  return NULL;
}

static void appends_that_race_lose_nothing(shared *with) {
  annals_error *error = NULL;
  uint64_t version = 0;
  in_threads(add, with, THREADS);
  OK(annals_stream_version(with->store, "counter", NT, &version, &error));
  CHECK(version == THREADS * ROUNDS);
}

static void *read_on(void *argument) {
  shared *with = argument;
  const annals_event *event = NULL;
  annals_status rc = ANNALS_OK;
  while ((rc = annals_iter_next(with->iter, &event, NULL)) != ANNALS_DONE) {
    CHECK(rc == ANNALS_OK || rc == ANNALS_E_BUSY);
    atomic_fetch_add(rc == ANNALS_OK ? &with->read : &with->busy, 1);
  }
  return NULL;
}

static void of_one_iterator_each_event_comes_once(shared *with) {
  annals_error *error = NULL;
  OK(annals_read_all(with->store, NULL, &with->iter, &error));
  in_threads(read_on, with, 4);
  CHECK(atomic_load(&with->read) == THREADS * ROUNDS);
  annals_iter_free(with->iter);
}

static int32_t wait_inside(void *user_data, const uint8_t *data, size_t len) {
  shared *with = user_data;
  (void)data;
  (void)len;
  pthread_mutex_lock(&with->lock);
  with->is_inside = 1;
  pthread_cond_broadcast(&with->changed);
  while (!with->may_leave) pthread_cond_wait(&with->changed, &with->lock);
  pthread_mutex_unlock(&with->lock);
  return 0;
}

static void *export_slowly(void *argument) {
  shared *with = argument;
  annals_error *error = NULL;
  OK(annals_export_ndjson(with->store, wait_inside, with, NULL, &error));
  return NULL;
}

static void a_close_under_a_call_is_refused(shared *with) {
  annals_error *error = NULL;
  pthread_t other;
  uint64_t head = 0;
  CHECK(pthread_create(&other, NULL, export_slowly, with) == 0);
  pthread_mutex_lock(&with->lock);
  while (!with->is_inside) pthread_cond_wait(&with->changed, &with->lock);
  pthread_mutex_unlock(&with->lock);
  EXPECT(ANNALS_E_BUSY, annals_close(with->store, &error));
  OK(annals_head(with->store, &head, &error));
  pthread_mutex_lock(&with->lock);
  with->may_leave = 1;
  pthread_cond_broadcast(&with->changed);
  pthread_mutex_unlock(&with->lock);
  CHECK(pthread_join(other, NULL) == 0);
  close_store(with->store);
}

int main(void) {
  static shared with;
  with.store = in_memory();
  pthread_mutex_init(&with.lock, NULL);
  pthread_cond_init(&with.changed, NULL);
  appends_that_race_lose_nothing(&with);
  of_one_iterator_each_event_comes_once(&with);
  a_close_under_a_call_is_refused(&with);
  pthread_cond_destroy(&with.changed);
  pthread_mutex_destroy(&with.lock);
  return 0;
}
