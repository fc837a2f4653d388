/* A balance that is up to date when an append returns, whichever thread appends.
 *
 * A live projection maintains it, in a state that this program owns and guards with its own lock.
 * If the account does not cover a withdrawal, the handler fails: the append stands, because the
 * event has happened, and the projection stops there until it is resumed. At the end the state is
 * saved, so that the next run does not have to begin at the first event.
 *
 *   live [STORE]
 */

#include <annals.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct account {
  pthread_mutex_t lock;
  long balance;
  /* How far below zero the balance may go. */
  long credit;
  /* By how much the account was overdrawn when its handler failed. */
  long overdrawn_by;
};

static long number(const uint8_t *data, size_t len) {
  /* Data has no NUL after it. */
  char text[32] = "";
  memcpy(text, data, len < sizeof text ? len : sizeof text - 1);
  return strtol(text, NULL, 10);
}

static int32_t deposited(void *user_data, const annals_event *event) {
  struct account *account = user_data;
  pthread_mutex_lock(&account->lock);
  account->balance += number(event->data, event->data_len);
  pthread_mutex_unlock(&account->lock);
  return 0;
}

/* Leaves the balance unchanged when it fails, because it will receive the event again. */
static int32_t withdrawn(void *user_data, const annals_event *event) {
  struct account *account = user_data;
  int32_t code = 0;
  long rest = 0;
  pthread_mutex_lock(&account->lock);
  rest = account->balance - number(event->data, event->data_len);
  if (rest + account->credit < 0) {
    account->overdrawn_by = -(rest + account->credit);
    code = -1;
  } else {
    account->balance = rest;
  }
  pthread_mutex_unlock(&account->lock);
  return code;
}

static int32_t restore(void *user_data, uint64_t position, const uint8_t *data, size_t len) {
  struct account *account = user_data;
  account->balance = number(data, len);
  printf("restored: %ld at position %" PRIu64 "\n", account->balance, position);
  return 0;
}

static annals_status add(annals_store *store, const char *type, const char *json,
                         annals_error **error) {
  annals_new_event event = ANNALS_NEW_EVENT_INIT;
  event.type = type;
  event.type_len = ANNALS_NUL_TERMINATED;
  event.data = (const uint8_t *)json;
  event.data_len = strlen(json);
  return annals_append(store, "account-1", ANNALS_NUL_TERMINATED, ANNALS_EXPECT_ANY, &event, 1,
                       NULL, NULL, error);
}

/* What another part of the program does. */
static void *deposit(void *store) {
  annals_error *error = NULL;
  if (add(store, "Deposited", "100", &error) < 0) {
    fprintf(stderr, "live: %s\n", annals_error_message(error, NULL));
    annals_error_free(error);
  }
  return NULL;
}

static void tell(struct account *account, const char *what) {
  pthread_mutex_lock(&account->lock);
  printf("%s: %ld\n", what, account->balance);
  pthread_mutex_unlock(&account->lock);
}

static annals_status set_up(annals_projection *projection, struct account *account,
                            annals_error **error) {
  annals_status rc = annals_projection_when(projection, "Deposited", ANNALS_NUL_TERMINATED,
                                            deposited, account, NULL, error);
  if (rc >= 0) {
    rc = annals_projection_when(projection, "Withdrawn", ANNALS_NUL_TERMINATED, withdrawn, account,
                                NULL, error);
  }
  if (rc >= 0) rc = annals_projection_load_snapshot(projection, restore, account, error);
  if (rc == ANNALS_NOT_FOUND) printf("restored: nothing\n");
  return rc < 0 ? rc : annals_projection_live(projection, error);
}

/* Prints why the projection has stopped, and resumes it at that event. */
static annals_status go_on(annals_projection *projection, struct account *account,
                           annals_error **error) {
  uint64_t processed = 0;
  annals_error *failure = NULL;
  annals_status rc = annals_projection_state(projection, &failure);
  if (rc < 0) printf("stopped: %s\n", annals_error_message(failure, NULL));
  annals_error_free(failure);
  if (rc != ANNALS_E_CALLBACK) return rc;
  pthread_mutex_lock(&account->lock);
  printf("because: overdrawn by %ld\n", account->overdrawn_by);
  account->credit += account->overdrawn_by;
  pthread_mutex_unlock(&account->lock);
  rc = annals_projection_catch_up(projection, &processed, error);
  if (rc >= 0) printf("processed: %" PRIu64 "\n", processed);
  return rc;
}

/* Nobody appends any more, so the state matches the projection's position. */
static annals_status save(annals_projection *projection, const struct account *account,
                          annals_error **error) {
  char text[32];
  annals_status rc;
  snprintf(text, sizeof text, "%ld", account->balance);
  rc = annals_projection_save_snapshot(projection, (const uint8_t *)text, strlen(text), error);
  if (rc >= 0) printf("saved: at position %" PRIu64 "\n", annals_projection_position(projection));
  return rc;
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "live.annals";
  struct account account = {PTHREAD_MUTEX_INITIALIZER, 0, 0, 0};
  annals_store *store = NULL;
  annals_projection *projection = NULL;
  annals_error *error = NULL;
  annals_status rc = annals_open(path, ANNALS_NUL_TERMINATED, NULL, &store, &error);
  if (rc >= 0) {
    rc = annals_projection_new(store, "balance", ANNALS_NUL_TERMINATED, &projection, &error);
  }
  if (rc >= 0) rc = set_up(projection, &account, &error);
  if (rc >= 0) {
    pthread_t other;
    if (pthread_create(&other, NULL, deposit, store) == 0) pthread_join(other, NULL);
    tell(&account, "deposited");
    rc = add(store, "Withdrawn", "500", &error);
  }
  if (rc >= 0) tell(&account, "withdrawn");
  if (rc >= 0) rc = go_on(projection, &account, &error);
  if (rc >= 0) tell(&account, "balance");
  if (rc >= 0) rc = save(projection, &account, &error);
  if (rc < 0) {
    fprintf(stderr, "live: %s: %s\n", annals_status_name(rc), annals_error_message(error, NULL));
    annals_error_free(error);
  }
  annals_projection_free(projection);
  if (annals_close(store, NULL) < 0) rc = ANNALS_E_IO;
  return rc < 0 ? 1 : 0;
}
