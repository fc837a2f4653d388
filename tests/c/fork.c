/* A forked child: every call is rejected, objects can be freed, and the parent is not affected. */

#include "check.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

static int32_t never(void *user_data, const uint8_t *data, size_t len) {
  (void)user_data;
  (void)data;
  (void)len;
  CHECK(!"called in the child");
  return -1;
}

static void in_the_child(annals_store *store, annals_iter *iter, annals_stream_iter *streams) {
  annals_error *error = NULL;
  annals_iter *more = NULL;
  annals_new_event event = json("T", "1");
  const annals_event *read = NULL;
  const char *name = NULL;
  uint64_t number = 0;
  size_t n = 0;
  EXPECT(ANNALS_E_FORKED, annals_head(store, &number, &error));
  EXPECT(ANNALS_E_FORKED, annals_flush(store, &error));
  EXPECT(ANNALS_E_FORKED, annals_append(store, "s", 1, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL,
                                        &error));
  EXPECT(ANNALS_E_FORKED, annals_read_all(store, NULL, &more, &error));
  EXPECT(ANNALS_E_FORKED, annals_iter_next(iter, &read, &error));
  EXPECT(ANNALS_E_FORKED, annals_iter_next_batch(iter, 9, &read, &n, &error));
  EXPECT(ANNALS_E_FORKED, annals_stream_iter_next(streams, &name, NULL, NULL, &error));
  EXPECT(ANNALS_E_FORKED, annals_export_ndjson(store, never, NULL, NULL, &error));
  EXPECT(ANNALS_E_FORKED, annals_verify(store, NULL, NULL, NULL, NULL, &error));
  annals_iter_free(iter);
  annals_stream_iter_free(streams);
  EXPECT(ANNALS_E_FORKED, annals_close(store, &error));
}

/* A callback that waits until the process has forked. */
typedef struct waiting {
  annals_iter *iter;
  sem_t begun, go_on;
} waiting;

static int32_t wait_in_callback(void *user_data, const annals_event *event,
                                annals_write_fn write, void *writer) {
  waiting *with = user_data;
  (void)event;
  (void)write;
  (void)writer;
  sem_post(&with->begun);
  while (sem_wait(&with->go_on) != 0) continue;
  return 0;
}

static void *read_one(void *argument) {
  annals_error *error = NULL;
  const annals_event *event = NULL;
  OK(annals_iter_next(((waiting *)argument)->iter, &event, &error));
  return NULL;
}

/* The calls of other threads are not in the child, but their traces are. */
static void the_child_of_a_busy_parent_is_a_child(void) {
  annals_error *error = NULL;
  annals_options *options = annals_options_new();
  annals_store *store = NULL;
  const annals_event *event = NULL;
  waiting with;
  pthread_t thread;
  pid_t child = 0;
  int status = 0;
  memset(&with, 0, sizeof with);
  CHECK(sem_init(&with.begun, 0, 0) == 0 && sem_init(&with.go_on, 0, 0) == 0);
  CHECK(annals_options_add_upcaster(options, "T", NT, 1, wait_in_callback, &with, NULL) == 0);
  OK(annals_open("fork.annals", NT, options, &store, &error));
  annals_options_free(options);
  OK(annals_read_all(store, NULL, &with.iter, &error));
  CHECK(pthread_create(&thread, NULL, read_one, &with) == 0);
  while (sem_wait(&with.begun) != 0) continue;
  EXPECT(ANNALS_E_BUSY, annals_iter_next(with.iter, &event, &error));
  EXPECT(ANNALS_E_BUSY, annals_close(store, &error));
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    EXPECT(ANNALS_E_FORKED, annals_iter_next(with.iter, &event, &error));
    annals_iter_free(with.iter);
    EXPECT(ANNALS_E_FORKED, annals_close(store, &error));
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  sem_post(&with.go_on);
  CHECK(pthread_join(thread, NULL) == 0);
  annals_iter_free(with.iter);
  close_store(store);
}

/* In the child of a callback, the call that runs the callback goes on. */
static int32_t close_in_a_child(void *user_data, const uint8_t *data, size_t len) {
  annals_error *error = NULL;
  annals_store *store = user_data;
  int status = 0;
  pid_t child = fork();
  (void)data;
  (void)len;
  CHECK(child >= 0);
  if (child == 0) {
    EXPECT(ANNALS_E_FORKED, annals_close(store, &error));
    return 1;
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return 0;
}

static void a_callback_may_fork_and_close(void) {
  annals_error *error = NULL;
  annals_store *store = in_memory();
  annals_status rc = annals_metrics(store, close_in_a_child, store, &error);
  if (rc == ANNALS_DONE) _exit(0);
  CHECK(rc == ANNALS_OK);
  close_store(store);
}

int main(void) {
  annals_error *error = NULL;
  annals_store *store = NULL;
  annals_iter *iter = NULL;
  annals_stream_iter *streams = NULL;
  const annals_event *event = NULL;
  uint64_t head = 0;
  pid_t child = 0;
  int status = 0;
  OK(annals_open("fork.annals", NT, NULL, &store, &error));
  append(store, "a", "T", "1");
  append(store, "b", "T", "2");
  OK(annals_read_all(store, NULL, &iter, &error));
  OK(annals_iter_next(iter, &event, &error));
  OK(annals_streams(store, NULL, 0, &streams, &error));

  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    in_the_child(store, iter, streams);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

  append(store, "a", "T", "3");
  OK(annals_iter_next(iter, &event, &error));
  CHECK(event->position == 2);
  annals_iter_free(iter);
  annals_stream_iter_free(streams);
  OK(annals_close(store, &error));
  OK(annals_open("fork.annals", NT, NULL, &store, &error));
  OK(annals_head(store, &head, &error));
  CHECK(head == 3);
  OK(annals_close(store, &error));
  the_child_of_a_busy_parent_is_a_child();
  a_callback_may_fork_and_close();
  return 0;
}
