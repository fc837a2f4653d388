/* A ledger: withdraws from an account only what is there, even while others do the same.
 *
 * The balance is the sum of the events. The decision to withdraw is based on the version that was
 * read, and the event is appended only if the account is still at that version; otherwise the
 * program reads again.
 *
 *   ledger [STORE]
 */

#include <annals.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT "account-1"
#define ATTEMPTS 10

static annals_status add(annals_store *store, const char *type, long amount, uint64_t expected,
                         annals_error **error) {
  char json[64];
  annals_new_event event = ANNALS_NEW_EVENT_INIT;
  snprintf(json, sizeof json, "%ld", amount);
  event.type = type;
  event.type_len = ANNALS_NUL_TERMINATED;
  event.data = (const uint8_t *)json;
  event.data_len = strlen(json);
  return annals_append(store, ACCOUNT, ANNALS_NUL_TERMINATED, expected, &event, 1, NULL, NULL,
                       error);
}

/* Adds up the account, and returns the version that the balance belongs to. */
static annals_status balance(annals_store *store, long *out_balance, uint64_t *out_version,
                             annals_error **error) {
  const annals_event *event = NULL;
  annals_iter *iter = NULL;
  annals_status rc =
      annals_read_stream(store, ACCOUNT, ANNALS_NUL_TERMINATED, NULL, &iter, error);
  *out_balance = 0;
  *out_version = 0;
  while (rc == ANNALS_OK) {
    rc = annals_iter_next(iter, &event, error);
    if (rc == ANNALS_OK) {
      /* Data has no NUL after it. */
      char text[32] = "";
      long amount = 0;
      memcpy(text, event->data,
             event->data_len < sizeof text ? event->data_len : sizeof text - 1);
      amount = strtol(text, NULL, 10);
      *out_balance += strcmp(event->type, "Deposited") == 0 ? amount : -amount;
      *out_version = event->version;
    }
  }
  annals_iter_free(iter);
  return rc;
}

/* Simulates another part of the program that is faster, once. */
static annals_status interfere(annals_store *store, annals_error **error) {
  static int has_interfered = 0;
  if (has_interfered) return ANNALS_OK;
  has_interfered = 1;
  printf("somebody deposits 5 meanwhile\n");
  return add(store, "Deposited", 5, ANNALS_EXPECT_ANY, error);
}

static annals_status withdraw(annals_store *store, long amount, annals_error **error) {
  int attempt = 0;
  for (attempt = 1; attempt <= ATTEMPTS; attempt++) {
    long available = 0;
    uint64_t version = 0, expected = 0, actual = 0;
    annals_status rc = balance(store, &available, &version, error);
    if (rc < 0) return rc;
    if (available < amount) {
      printf("refused: %ld of %ld\n", amount, available);
      return ANNALS_OK;
    }
    rc = interfere(store, error);
    if (rc < 0) return rc;
    rc = add(store, "Withdrawn", amount, version, error);
    if (rc != ANNALS_E_VERSION_CONFLICT) {
      if (rc >= 0) printf("withdrawn: %ld, in attempt %d\n", amount, attempt);
      return rc;
    }
    annals_error_versions(*error, &expected, &actual);
    printf("conflict: expected version %" PRIu64 ", is at %" PRIu64 "\n", expected, actual);
    annals_error_free(*error);
    *error = NULL;
  }
  return ANNALS_E_BUSY;
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "ledger.annals";
  annals_store *store = NULL;
  annals_error *error = NULL;
  long available = 0;
  uint64_t version = 0;
  annals_status rc = annals_open(path, ANNALS_NUL_TERMINATED, NULL, &store, &error);
  if (rc >= 0) rc = add(store, "Deposited", 100, ANNALS_EXPECT_ANY, &error);
  if (rc >= 0) rc = withdraw(store, 70, &error);
  if (rc >= 0) rc = withdraw(store, 70, &error);
  if (rc >= 0) rc = balance(store, &available, &version, &error);
  if (rc >= 0) printf("balance: %ld at version %" PRIu64 "\n", available, version);
  if (rc < 0) {
    fprintf(stderr, "ledger: %s: %s\n", annals_status_name(rc), annals_error_message(error, NULL));
    annals_error_free(error);
  }
  if (annals_close(store, NULL) < 0) rc = ANNALS_E_IO;
  return rc < 0 ? 1 : 0;
}
