/* A damaged store, whose path is the argument: its findings, and who owns them. */

#include "check.h"

static int calls, result;

static int32_t find(void *user_data, const annals_error *finding) {
  CHECK(user_data == &calls);
  calls++;
  CHECK(annals_error_status(finding) == ANNALS_E_CORRUPT);
  CHECK(strstr(annals_error_message(finding, NULL), "journal-damaged: ") != NULL);
  /* The library owns it, so this is a no-op. */
  annals_error_free((annals_error *)(uintptr_t)finding);
  CHECK(annals_error_status(finding) == ANNALS_E_CORRUPT);
  return result;
}

int main(int argc, char **argv) {
  annals_error *error = NULL;
  annals_store *store = NULL;
  uint64_t events = 0, findings = 0;
  CHECK(argc == 2);
  OK(annals_open(argv[1], NT, NULL, &store, &error));
  OK(annals_verify(store, find, &calls, &events, &findings, &error));
  CHECK(findings > 0 && calls == (int)findings && events > 0);
  calls = 0;
  result = 1;
  EXPECT(ANNALS_DONE, annals_verify(store, find, &calls, NULL, &findings, &error));
  CHECK(calls == 1 && findings > 0);
  result = -5;
  CHECK(annals_verify(store, find, &calls, NULL, &findings, &error) == ANNALS_E_CALLBACK);
  CHECK(annals_error_callback_code(error) == -5 && findings == 0);
  annals_error_free(error);
  error = NULL;
  OK(annals_close(store, &error));
  return 0;
}
