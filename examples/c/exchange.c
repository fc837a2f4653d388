/* Imports NDJSON from a file into a store, and exports the whole store to standard output.
 *
 *   exchange STORE FILE
 */

#include <annals.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Receives exported bytes. annals_error_callback_code reports a return value below 0. */
static int32_t write_to_file(void *user_data, const uint8_t *data, size_t len) {
  FILE *file = user_data;
  if (fwrite(data, 1, len, file) != len) return errno != 0 ? -errno : -1;
  return 0;
}

/* Supplies bytes to import; none at the end. */
static int32_t read_from_file(void *user_data, uint8_t *buffer, size_t capacity, size_t *out_len) {
  FILE *file = user_data;
  *out_len = fread(buffer, 1, capacity, file);
  return ferror(file) ? -1 : 0;
}

static annals_status import_file(annals_store *store, const char *path, annals_error **error) {
  uint64_t events = 0, line = 0, column = 0;
  FILE *file = fopen(path, "rb");
  annals_status rc = ANNALS_E_IO;
  if (file == NULL) {
    fprintf(stderr, "exchange: cannot open %s: %s\n", path, strerror(errno));
    return rc;
  }
  /* Events that are already in the store are compared and skipped, so this may be repeated. */
  rc = annals_import_ndjson(store, ANNALS_IMPORT_RESUME, 0, read_from_file, file, &events, error);
  fclose(file);
  fprintf(stderr, "imported %" PRIu64 " events\n", events);
  if (rc < 0 && annals_error_line(*error, &line, &column)) {
    fprintf(stderr, "%s:%" PRIu64 ":%" PRIu64 ": this line and those after it are not in\n", path,
            line, column);
  }
  return rc;
}

int main(int argc, char **argv) {
  annals_store *store = NULL;
  annals_error *error = NULL;
  annals_status rc = ANNALS_OK;
  uint64_t events = 0;
  if (argc != 3) {
    fprintf(stderr, "usage: exchange STORE FILE\n");
    return 2;
  }
  rc = annals_open(argv[1], ANNALS_NUL_TERMINATED, NULL, &store, &error);
  if (rc >= 0) rc = import_file(store, argv[2], &error);
  if (rc >= 0) rc = annals_export_ndjson(store, write_to_file, stdout, &events, &error);
  if (rc >= 0) fprintf(stderr, "exported %" PRIu64 " events\n", events);
  if (error != NULL) fprintf(stderr, "exchange: %s\n", annals_error_message(error, NULL));
  annals_error_free(error);
  if (annals_close(store, NULL) < 0) rc = ANNALS_E_IO;
  return rc < 0 ? 1 : 0;
}
