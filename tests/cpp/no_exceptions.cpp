/* annals.hpp without exceptions: results. */

#define ANNALS_NO_EXCEPTIONS
#include <annals.hpp>

#include <cstdio>
#include <cstdlib>
#include <sstream>

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                           \
    }                                                                         \
  } while (0)

int main() {
  annals::result<annals::store> none = annals::store::open("");
  CHECK(!none && none.failure().status() == ANNALS_E_INVALID_ARGUMENT);
  annals::result<annals::store> opened = annals::store::in_memory();
  CHECK(opened);
  annals::store store = *std::move(opened);
  const annals::result<annals::appended> landed = store.append("s", 0, {{"T", "1"}, {"T", "2"}});
  CHECK(landed && landed->first_version == 1);
  const annals::result<annals::appended> conflict = store.append("s", 0, {{"T", "1"}});
  CHECK(!conflict && conflict.failure().is_conflict());
  CHECK(conflict.failure().conflicts()[0].actual == 2);
  CHECK(*store.head() == 2);

  annals::result<annals::events> read = store.read_all();
  CHECK(read);
  std::uint64_t sum = 0;
  for (const annals::event &event : *read) sum += event.version();
  CHECK(sum == 3 && !read->failure());
  std::ostringstream out;
  CHECK(*store.export_ndjson(out) == 2);
  const annals::result<std::uint64_t> failed =
      store.export_ndjson([](std::string_view) -> std::int32_t { return -9; });
  CHECK(!failed && failed.failure().callback_code() == -9);

  annals::result<annals::events> late = store.read_all();
  CHECK(store.close());
  for (const annals::event &event : *late) CHECK(event.position() == 0);
  CHECK(late->failure() && late->failure()->status() == ANNALS_E_CLOSED);
  return 0;
}
