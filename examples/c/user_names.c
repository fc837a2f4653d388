/* A name that only one user may have: a claim is refused if an event in any stream already holds
 * the name.
 *
 *   user_names [STORE]
 */

#include <annals.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Claims a name for a user: ANNALS_OK, or ANNALS_E_CONDITION if somebody already has it. */
static annals_status claim(annals_store *store, const char *user, const char *name,
                           uint64_t *out_position, annals_error **error) {
  char tag_text[300], data[300];
  annals_string tag = {tag_text, ANNALS_NUL_TERMINATED};
  annals_new_event event = ANNALS_NEW_EVENT_INIT;
  annals_query *query = annals_query_new();
  annals_batch *batch = annals_batch_new();
  annals_status rc = query == NULL || batch == NULL ? ANNALS_E_NO_MEMORY : ANNALS_OK;
  snprintf(tag_text, sizeof tag_text, "name:%s", name);
  snprintf(data, sizeof data, "\"%s\"", name);
  event.type = "NameClaimed";
  event.type_len = ANNALS_NUL_TERMINATED;
  event.data = (const uint8_t *)data;
  event.data_len = strlen(data);
  event.tags = &tag;
  event.tag_count = 1;
  if (rc == ANNALS_OK) rc = annals_query_add_item(query, NULL, 0, &tag, 1, NULL, 0, error);
  if (rc == ANNALS_OK) {
    rc = annals_batch_append(batch, user, ANNALS_NUL_TERMINATED, ANNALS_EXPECT_ANY, &event, 1,
                             error);
  }
  /* After position 0: no event at all may have the name. */
  if (rc == ANNALS_OK) rc = annals_batch_require_none(batch, query, 0, error);
  if (rc == ANNALS_OK) rc = annals_batch_commit(batch, store, out_position, error);
  annals_query_free(query);
  annals_batch_free(batch);
  return rc;
}

int main(int argc, char **argv) {
  static const char *const claims[][2] = {
      {"user-1", "countess"}, {"user-2", "countess"}, {"user-2", "admiral"}};
  const char *path = argc > 1 ? argv[1] : "users.annals";
  annals_store *store = NULL;
  annals_error *error = NULL;
  annals_status rc = annals_open(path, ANNALS_NUL_TERMINATED, NULL, &store, &error);
  size_t index = 0;
  for (index = 0; rc == ANNALS_OK && index < sizeof claims / sizeof claims[0]; index++) {
    uint64_t position = 0;
    rc = claim(store, claims[index][0], claims[index][1], &position, &error);
    if (rc == ANNALS_OK) {
      printf("%s is %s, at %" PRIu64 "\n", claims[index][0], claims[index][1], position);
    } else if (rc == ANNALS_E_CONDITION) {
      annals_error_condition(error, 0, NULL, &position);
      printf("%s is taken since %" PRIu64 "\n", claims[index][1], position);
      annals_error_free(error);
      error = NULL;
      rc = ANNALS_OK;
    }
  }
  if (rc < 0) {
    fprintf(stderr, "user_names: %s\n", annals_error_message(error, NULL));
    annals_error_free(error);
    error = NULL;
  }
  if (annals_close(store, &error) < 0) {
    fprintf(stderr, "user_names: %s\n", annals_error_message(error, NULL));
    annals_error_free(error);
    return 1;
  }
  return rc < 0;
}
