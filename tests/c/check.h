/* Shared by the C suites: a check that reports where it failed, and short ways to append. */

#ifndef ANNALS_TESTS_CHECK_H
#define ANNALS_TESTS_CHECK_H

#include <annals.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NT ANNALS_NUL_TERMINATED

/* Ends the program unless the condition holds. */
#define CHECK(condition)                                                         \
  do {                                                                           \
    if (!(condition)) {                                                          \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
      exit(1);                                                                   \
    }                                                                            \
  } while (0)

/* Ends the program unless the call returns the status. `error` is its error object: it is freed. */
#define EXPECT(due, call)                                                        \
  do {                                                                           \
    annals_status expect_rc = (call);                                            \
    if (expect_rc != (due)) {                                                    \
      fprintf(stderr, "%s:%d: %s returned %s, not %s: %s\n", __FILE__, __LINE__, \
              #call, annals_status_name(expect_rc), annals_status_name(due),     \
              annals_error_message(error, NULL));                                \
      exit(1);                                                                   \
    }                                                                            \
    CHECK((expect_rc < 0) == (error != NULL));                                   \
    CHECK(annals_error_status(error) == (expect_rc < 0 ? expect_rc : ANNALS_OK)); \
    annals_error_free(error);                                                    \
    error = NULL;                                                                \
  } while (0)

#define OK(call) EXPECT(ANNALS_OK, call)

/* Like EXPECT, for an error whose message contains the given words. */
#define REFUSED(due, words, call)                                                \
  do {                                                                           \
    annals_status refused_rc = (call);                                           \
    if (refused_rc != (due) || error == NULL ||                                  \
        strstr(annals_error_message(error, NULL), (words)) == NULL) {            \
      fprintf(stderr, "%s:%d: %s returned %s: %s\n", __FILE__, __LINE__, #call,  \
              annals_status_name(refused_rc), annals_error_message(error, NULL)); \
      exit(1);                                                                   \
    }                                                                            \
    annals_error_free(error);                                                    \
    error = NULL;                                                                \
  } while (0)

static inline annals_new_event json(const char *type, const char *data) {
  annals_new_event event = ANNALS_NEW_EVENT_INIT;
  event.type = type;
  event.type_len = NT;
  event.data = (const uint8_t *)data;
  event.data_len = strlen(data);
  return event;
}

static inline annals_store *in_memory(void) {
  annals_error *error = NULL;
  annals_store *store = NULL;
  OK(annals_open_in_memory(&store, &error));
  return store;
}

static inline void append(annals_store *store, const char *stream, const char *type,
                          const char *data) {
  annals_error *error = NULL;
  annals_new_event event = json(type, data);
  OK(annals_append(store, stream, NT, ANNALS_EXPECT_ANY, &event, 1, NULL, NULL, &error));
}

static inline void close_store(annals_store *store) {
  annals_error *error = NULL;
  OK(annals_close(store, &error));
}

#endif
