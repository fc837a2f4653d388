/* A forked child: every call is rejected, objects can be freed, and the parent is not affected. */

#include "check.h"

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
  return 0;
}
