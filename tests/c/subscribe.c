/* Subscriptions: stored and new events, timeouts, filters, and cancelling from another thread. */

#include "check.h"

#include <pthread.h>

static uint64_t next(annals_subscription *subscription, int64_t timeout_ms) {
  annals_error *error = NULL;
  const annals_event *event = NULL;
  OK(annals_subscription_next(subscription, timeout_ms, &event, &error));
  return event->position;
}

static void expect(annals_status due, annals_subscription *subscription) {
  annals_error *error = NULL;
  const annals_event *event = (const annals_event *)&error;
  EXPECT(due, annals_subscription_next(subscription, 0, &event, &error));
  CHECK(event == NULL);
}

static void history_comes_first(annals_store *store) {
  annals_error *error = NULL;
  annals_subscription *subscription = NULL;
  OK(annals_subscribe(store, 2, NULL, &subscription, &error));
  CHECK(next(subscription, 0) == 2 && next(subscription, -1) == 3);
  expect(ANNALS_TIMEOUT, subscription);
  append(store, "b", "U", "4");
  CHECK(next(subscription, 60000) == 4);
  annals_subscription_cancel(subscription);
  annals_subscription_cancel(subscription);
  expect(ANNALS_DONE, subscription);
  annals_subscription_free(subscription);
  annals_subscription_cancel(NULL);
  annals_subscription_free(NULL);
}

static void filters_are_those_of_reads(annals_store *store) {
  annals_error *error = NULL;
  annals_subscription *subscription = NULL;
  annals_read_options *options = annals_read_options_new();
  CHECK(annals_read_options_add_type(options, "T", NT) == ANNALS_OK);
  CHECK(annals_read_options_set_stream_prefix(options, "a", NT) == ANNALS_OK);
  CHECK(annals_read_options_set_limit(options, 2) == ANNALS_OK);
  OK(annals_subscribe(store, 0, options, &subscription, &error));
  CHECK(next(subscription, 0) == 1 && next(subscription, 0) == 3);
  expect(ANNALS_DONE, subscription);
  annals_subscription_free(subscription);
  CHECK(annals_read_options_set_backward(options, true) == ANNALS_OK);
  REFUSED(ANNALS_E_INVALID_ARGUMENT, "forwards",
          annals_subscribe(store, 0, options, &subscription, &error));
  CHECK(subscription == NULL);
  annals_read_options_free(options);
}

static void *wait_forever(void *argument) {
  annals_error *error = NULL;
  const annals_event *event = NULL;
  annals_status *rc = malloc(sizeof *rc);
  CHECK(rc != NULL);
  do { /* The other thread sometimes uses the same subscription. */
    *rc = annals_subscription_next(argument, -1, &event, &error);
    annals_error_free(error);
  } while (*rc == ANNALS_E_BUSY);
  return rc;
}

static annals_status joined(pthread_t thread) {
  void *result = NULL;
  annals_status rc = ANNALS_OK;
  CHECK(pthread_join(thread, &result) == 0);
  rc = *(annals_status *)result;
  free(result);
  return rc;
}

/* Whether a call is in progress: then another one is rejected as busy. */
static void until_busy(annals_subscription *subscription) {
  annals_error *error = NULL;
  const annals_event *event = NULL;
  annals_status rc = ANNALS_TIMEOUT;
  while (rc == ANNALS_TIMEOUT) rc = annals_subscription_next(subscription, 0, &event, &error);
  EXPECT(ANNALS_E_BUSY, rc);
}

/* A subscription that `thread` waits for. */
static annals_subscription *waited_for(annals_store *store, pthread_t *thread) {
  annals_error *error = NULL;
  annals_subscription *subscription = NULL;
  OK(annals_subscribe(store, 5, NULL, &subscription, &error));
  CHECK(pthread_create(thread, NULL, wait_forever, subscription) == 0);
  until_busy(subscription);
  return subscription;
}

static void a_wait_ends_with_a_cancel(annals_store *store) {
  pthread_t thread;
  annals_subscription *subscription = waited_for(store, &thread);
  annals_subscription_cancel(subscription);
  CHECK(joined(thread) == ANNALS_DONE);
  annals_subscription_free(subscription);
}

static void a_wait_ends_with_the_subscription(annals_store *store) {
  pthread_t thread;
  annals_subscription *subscription = waited_for(store, &thread);
  annals_subscription_free(subscription);
  CHECK(joined(thread) == ANNALS_DONE);
}

static void a_wait_ends_with_the_store(annals_store *store) {
  pthread_t thread;
  annals_subscription *subscription = waited_for(store, &thread);
  close_store(store);
  CHECK(joined(thread) == ANNALS_E_CLOSED);
  expect(ANNALS_E_CLOSED, subscription);
  annals_subscription_free(subscription);
}

int main(void) {
  annals_store *store = in_memory();
  append(store, "a1", "T", "1");
  append(store, "b", "T", "2");
  append(store, "a2", "T", "3");
  history_comes_first(store);
  filters_are_those_of_reads(store);
  a_wait_ends_with_a_cancel(store);
  a_wait_ends_with_the_subscription(store);
  a_wait_ends_with_the_store(store);
  return 0;
}
