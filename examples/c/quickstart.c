/* Opens a store, appends two events, and reads them back.
 *
 *   quickstart [STORE]
 */

#include <annals.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Prints what went wrong, and frees the error. */
static void complain(annals_error *error) {
  fprintf(stderr, "quickstart: %s\n", annals_error_message(error, NULL));
  annals_error_free(error);
}

static annals_new_event event(const char *type, const char *json) {
  annals_new_event made = ANNALS_NEW_EVENT_INIT;
  made.type = type;
  made.type_len = ANNALS_NUL_TERMINATED;
  made.data = (const uint8_t *)json;
  made.data_len = strlen(json);
  return made;
}

static annals_status append(annals_store *store, annals_error **error) {
  annals_new_event events[2];
  events[0] = event("OrderPlaced", "{\"customer\": \"ada\"}");
  events[1] = event("ItemAdded", "{\"sku\": \"tea\", \"quantity\": 2}");
  return annals_append(store, "order-7", ANNALS_NUL_TERMINATED, ANNALS_EXPECT_ANY, events, 2, NULL,
                       NULL, error);
}

static annals_status print(annals_store *store, annals_error **error) {
  const annals_event *event = NULL;
  annals_iter *iter = NULL;
  annals_status rc =
      annals_read_stream(store, "order-7", ANNALS_NUL_TERMINATED, NULL, &iter, error);
  while (rc == ANNALS_OK) {
    rc = annals_iter_next(iter, &event, error);
    if (rc == ANNALS_OK) {
      printf("%" PRIu64 " %s %.*s\n", event->version, event->type, (int)event->data_len,
             (const char *)event->data);
    }
  }
  annals_iter_free(iter);
  return rc;
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "orders.annals";
  annals_store *store = NULL;
  annals_error *error = NULL;
  annals_status rc = annals_open(path, ANNALS_NUL_TERMINATED, NULL, &store, &error);
  if (rc >= 0) rc = append(store, &error);
  if (rc >= 0) rc = print(store, &error);
  if (rc < 0) {
    complain(error);
    error = NULL;
  }
  /* The last sync may fail, so closing returns a status too. */
  if (annals_close(store, &error) < 0) {
    complain(error);
    rc = ANNALS_E_IO;
  }
  return rc < 0 ? 1 : 0;
}
