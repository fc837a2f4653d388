/* One program, of which one file uses exceptions and another one results. */

#include <annals.hpp>

#include "check.hpp"

/* In without.cpp. */
std::uint64_t head_without_exceptions(annals_store *store);

int main() {
  annals::store store = annals::store::in_memory();
  store.append("s", 0, {{"T", "1"}});
  CHECK(store.head() == 1);
  CHECK(head_without_exceptions(store.get()) == 1);
  CHECK(thrown([&] { store.append("s", 0, {{"T", "1"}}); }).is_conflict());
  annals::events late = store.read_all();
  store.close();
  CHECK(thrown([&] { late.step(); }).status() == ANNALS_E_CLOSED);
  return 0;
}
