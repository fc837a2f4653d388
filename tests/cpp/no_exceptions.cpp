/* annals.hpp without exceptions: results. */

#define ANNALS_NO_EXCEPTIONS
#include <annals.hpp>

#include <sstream>

#include "check.hpp"

static annals::result<long> sum(const annals::store &store, annals::up_to point) {
  long total = 0;
  const annals::result<void> done = store.reconstruct(
      "s", point, [&](const annals::event &event) { total += static_cast<long>(event.version()); });
  if (!done) return done.failure();
  return total;
}

static void deriving() {
  annals::store store = *annals::store::in_memory();
  CHECK(store.append("s", 0, {{"T", "1"}, {"T", "2"}}));
  CHECK(store.save_checkpoint("c", 2) && *store.checkpoint("c") == 2);
  CHECK(!store.save_checkpoint("c", 1) && !store.checkpoint(""));
  /* The loop owns the events: the result is gone when it starts. */
  static_assert(!std::is_reference_v<decltype(*store.read_all())>);
  std::uint64_t last = 0;
  for (const annals::event &event : *store.read_all()) last = event.position();
  CHECK(last == 2);
  const annals::error &kept = store.save_checkpoint("c", 1).failure();
  CHECK(kept.status() == ANNALS_E_INVALID_ARGUMENT && kept.what()[0] != 0);
  CHECK(*sum(store, annals::up_to::now()) == 3 && *sum(store, annals::up_to::version(1)) == 1);
  CHECK(!store.reconstruct("", annals::up_to::now(), [](const annals::event &) {}));
  const auto apply = [](long &total, const annals::event &event) {
    total += static_cast<long>(event.version());
  };
  CHECK(store.load("s", 0L, apply)->state == 3 && !store.load("", 0L, apply));
  const auto decide = [](const long &) { return std::vector<annals::new_event>(); };
  CHECK(store.update("s", 0L, apply, decide) && !*store.update("s", 0L, apply, decide));
  CHECK(store.update("", 0L, apply, decide).failure().status() == ANNALS_E_INVALID_ARGUMENT);
  CHECK(!store.load_snapshot("n")->has_value());
  CHECK(store.save_snapshot("n", 1, "state"));
  const annals::result<std::optional<annals::snapshot>> loaded = store.load_snapshot("n");
  CHECK(loaded && (*loaded)->position() == 1 && (*loaded)->text() == "state");

  annals::result<annals::projection> made = store.projection("p");
  CHECK(made && !store.projection(""));
  annals::projection projection = *std::move(made);
  std::int32_t code = -9;
  CHECK(projection.when("T", [&](const annals::event &) { return code; }));
  const annals::result<std::uint64_t> failed = projection.catch_up();
  CHECK(!failed && failed.failure().callback_code() == -9);
  CHECK(projection.has_stopped() && projection.failure()->callback_code() == -9);
  CHECK(projection.check().failure().callback_code() == -9);
  code = 0;
  CHECK(projection.version(1) && *projection.catch_up() == 2 && projection.check());
  CHECK(projection.save_snapshot("state") && projection.reset());
  const auto restore = [](std::uint64_t, annals::bytes state) { CHECK(state.size() == 5); };
  CHECK(*projection.load_snapshot(restore) && projection.position() == 2);
  CHECK(projection.live() && !projection.reset());

  annals::result<annals::subscription> subscribed = store.subscribe(2);
  CHECK(subscribed && !store.subscribe(1, annals::read_options().backward()));
  annals::subscription &subscription = *subscribed;
  CHECK(subscription.next()->position() == 2);
  CHECK(!subscription.next(std::chrono::milliseconds(0)) && !subscription.has_ended());
  CHECK(store.close());
  CHECK(!subscription.next() && subscription.failure()->status() == ANNALS_E_CLOSED);
  subscription.cancel();
  for (const annals::event &event : subscription) CHECK(event.position() == 0);
  CHECK(subscription.has_ended() && !subscription.failure());
}

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
  deriving();
  return 0;
}
