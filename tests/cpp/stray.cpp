/* A C callback that lets an exception escape, which its contract forbids: the program ends there,
 * and nothing unwinds through the library. */

#include <annals.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

static int32_t stray(void *, const uint8_t *, size_t) { throw std::runtime_error("stray"); }

int main() {
  annals_store *store = nullptr;
  annals_new_event event = ANNALS_NEW_EVENT_INIT;
  event.type = "T";
  event.type_len = 1;
  event.data = reinterpret_cast<const uint8_t *>("1");
  event.data_len = 1;
  if (annals_open_in_memory(&store, nullptr) < 0) return 1;
  if (annals_append(store, "s", 1, 0, &event, 1, nullptr, nullptr, nullptr) < 0) return 1;
  try {
    if (annals_export_ndjson(store, stray, nullptr, nullptr, nullptr) < 0) return 1;
  } catch (...) {
    std::puts("it came through");
  }
  return 1;
}
