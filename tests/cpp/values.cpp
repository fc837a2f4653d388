/* annals.hpp: what is left of a moved object, arguments that are temporary, and constant events
 * that several threads append. */

#include <annals.hpp>

#include <array>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "check.hpp"

template <class Object>
constexpr bool moves_only = std::is_nothrow_move_constructible_v<Object> &&
                            std::is_nothrow_move_assignable_v<Object> &&
                            !std::is_copy_constructible_v<Object> &&
                            !std::is_copy_assignable_v<Object>;
static_assert(moves_only<annals::store> && moves_only<annals::events>);
static_assert(moves_only<annals::streams> && moves_only<annals::subscription>);
static_assert(moves_only<annals::snapshot> && moves_only<annals::projection>);
static_assert(moves_only<annals::ticket> && moves_only<annals::found_event>);

static std::vector<annals::new_event> some(std::size_t count) {
  return std::vector<annals::new_event>(count, annals::new_event("T", "1"));
}

template <class Call>
static void check_empty(Call &&call) {
  CHECK(thrown(call).status() == ANNALS_E_INVALID_ARGUMENT);
}

static void a_moved_object_is_empty() {
  annals::store store = annals::store::in_memory();
  store.append("s", 0, some(3));
  annals::events events = store.read_all();
  annals::streams streams = store.streams();
  annals::subscription subscription = store.subscribe(1);
  annals::projection projection(store, "p");
  CHECK(events.step() && streams.step() && subscription.next());
  // What was read before goes with the new owner, which ends here.
  { const annals::events taken = std::move(events); }
  { const annals::streams taken = std::move(streams); }
  { const annals::subscription taken = std::move(subscription); }
  { const annals::projection taken = std::move(projection); }
  check_empty([&] { events.step(); });
  check_empty([&] { streams.step(); });
  check_empty([&] { subscription.next(); });
  check_empty([&] { projection.catch_up(); });
  check_empty([&] { projection.check(); });
  check_empty([&] { projection.when("T", [](const annals::event &) {}); });
  CHECK(projection.position() == 0 && projection.has_stopped());
  subscription.cancel();

  annals::batch batch;
  batch.append("s", 3, some(1));
  annals::ticket ticket = store.submit(batch);
  const annals::ticket other = std::move(ticket);
  check_empty([&] { ticket.wait(); });
  CHECK(other.wait().first_position == 4);
  annals::store owner = std::move(store);
  check_empty([&] { store.head(); });
  check_empty([&] { store.append("s", 4, some(1)); });
  store.close();
  CHECK(owner.head() == 4);
}

static void an_object_goes_on_where_it_is_moved_to() {
  annals::store store = annals::store::in_memory();
  store.append("s", 0, some(9));
  annals::events events = store.read_all();
  CHECK(events.step()->position() == 1);
  annals::events other = std::move(events);
  CHECK(other.step()->position() == 2);
  annals::events &same = other;
  other = std::move(same);
  CHECK(other.step()->position() == 3);
  events = std::move(other);
  CHECK(events.step()->position() == 4);
  check_empty([&] { other.step(); });
}

static void arguments_may_be_temporary_or_arrays() {
  annals::store store = annals::store::in_memory();
  const std::vector<annals::new_event> constant = some(2);
  annals::new_event array[] = {{"T", "1"}, {"T", "2"}};
  store.append("s", annals::any_version, some(2));
  store.append("s", annals::any_version, constant);
  store.append("s", annals::any_version, array);
  store.append("s", annals::any_version, std::array<annals::new_event, 1>{{{"T", "1"}}});
  CHECK(store.head() == 7);
  const std::uint8_t bytes[] = {0xFF, 0x00};
  store.append("s", 7, annals::new_event::binary("B", bytes));
  store.append("s", 8, annals::new_event::binary("B", std::vector<std::uint8_t>{1, 2, 3}));
  const auto size = [&](std::uint64_t position) {
    return store.read_all(annals::read_options().from_position(position)).step()->data().size();
  };
  CHECK(size(8) == 2 && size(9) == 3);
  store.save_snapshot("n", 1, std::vector<std::uint8_t>{1, 2, 3});
  CHECK(store.load_snapshot("n")->data().size() == 3);
  store.save_snapshot("n", 2, bytes);
  CHECK(store.load_snapshot("n")->data().size() == 2);
}

static void threads_may_append_one_constant_event() {
  const annals::store store = annals::store::in_memory();
  const annals::new_event event =
      annals::new_event("T", "1").tag("a tag that is longer than a short string").tag("b");
  annals::batch batch;
  batch.append("s", annals::any_version, {event});
  const auto append = [&, &shared = std::as_const(batch)] {
    for (int round = 0; round < 500; ++round) {
      store.append("s", annals::any_version, event);
      store.commit(shared);
    }
  };
  std::thread one(append), two(append);
  one.join();
  two.join();
  for (const annals::event &found : store.read_all()) CHECK(found.tags().size() == 2);
  CHECK(store.head() == 2000);
}

int main() {
  a_moved_object_is_empty();
  an_object_goes_on_where_it_is_moved_to();
  arguments_may_be_temporary_or_arrays();
  threads_may_append_one_constant_event();
  return 0;
}
