/* annals.hpp: derived state, saved state, and exceptions of handlers. */

#include <annals.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;

/* Counts how often a handler's capture is destroyed. It is move-only. */
class counted {
 public:
  explicit counted(int &count) noexcept : count_(&count) {}
  counted(counted &&other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  counted(const counted &) = delete;
  counted &operator=(const counted &) = delete;
  counted &operator=(counted &&) = delete;
  ~counted() {
    if (count_ != nullptr) ++*count_;
  }

 private:
  int *count_;
};

static void add(const annals::store &store, std::string type, std::string json = "1") {
  store.append("s", annals::any_version, annals::new_event(std::move(type), std::move(json)));
}

static long number(const annals::event &event) { return std::stol(std::string(event.text())); }

static void checkpoints() {
  annals::store store = annals::store::in_memory();
  add(store, "T");
  add(store, "T");
  CHECK(store.checkpoint("mailer") == 0);
  store.save_checkpoint("mailer", 2);
  CHECK(store.checkpoint("mailer") == 2 && store.checkpoint("other") == 0);
  const annals::error back = thrown([&] { store.save_checkpoint("mailer", 1); });
  CHECK(back.status() == ANNALS_E_INVALID_ARGUMENT);
  CHECK(thrown([&] { store.save_checkpoint("mailer", 3); }).status() < 0);
  CHECK(thrown([&] { store.checkpoint(""); }).status() == ANNALS_E_INVALID_ARGUMENT);
}

static void snapshots() {
  std::optional<annals::snapshot> text;
  {
    annals::store store = annals::store::in_memory();
    add(store, "T");
    add(store, "T");
    CHECK(!store.load_snapshot("sums"));
    const std::vector<std::uint8_t> some{0xFF, 0x00, 0x07};
    store.save_snapshot("sums", 1, some);
    const std::optional<annals::snapshot> loaded = store.load_snapshot("sums");
    CHECK(loaded && loaded->position() == 1 && loaded->data().size() == 3);
    CHECK(loaded->data()[0] == 0xFF && loaded->data()[2] == 0x07);
    store.save_snapshot("sums", 2, "text");
    text = store.load_snapshot("sums");
    CHECK(thrown([&] { store.save_snapshot("sums", 3, "ahead"); }).status() < 0);
    CHECK(thrown([&] { store.load_snapshot(""); }).status() == ANNALS_E_INVALID_ARGUMENT);
  }
  annals::snapshot moved = *std::move(text);
  CHECK(moved.position() == 2 && moved.text() == "text");
  CHECK(text->position() == 0 && text->data().empty());
}

static void reconstruction() {
  annals::store store = annals::store::in_memory();
  const auto at = [](int seconds) { return annals::time_point(std::chrono::seconds(seconds)); };
  store.append("a", 0, annals::new_event("T", "1").time(at(-10)));
  store.append("b", 0, annals::new_event("T", "5"));
  store.append("a", 1, annals::new_event("T", "20").time(at(30)));
  store.append("a", 2, annals::new_event("T", "300").time(at(20)));
  const auto sum = [&](annals::up_to point) {
    long total = 0;
    store.reconstruct("a", point, [&](const annals::event &event) { total += number(event); });
    return total;
  };
  CHECK(sum(annals::up_to::now()) == 321);
  CHECK(sum(annals::up_to::version(2)) == 21);
  CHECK(sum(annals::up_to::position(2)) == 1);
  CHECK(sum(annals::up_to::time(at(20))) == 301);
  CHECK(sum(annals::up_to::time(at(-11))) == 0);

  int calls = 0;
  store.reconstruct("a", annals::up_to::now(), [&](const annals::event &) { return ++calls < 2; });
  CHECK(calls == 2);
  const auto mine = thrown<std::string>([&] {
    store.reconstruct("a", annals::up_to::now(),
                      [&](const annals::event &event) { throw std::string(event.text()); });
  });
  CHECK(mine == "1");
  const annals::error failed = thrown([&] {
    store.reconstruct("a", annals::up_to::now(),
                      [](const annals::event &) -> std::int32_t { return -7; });
  });
  CHECK(failed.status() == ANNALS_E_CALLBACK && failed.callback_code() == -7);
}

static void loading() {
  annals::store store = annals::store::in_memory();
  const auto apply = [](long &total, const annals::event &event) {
    if (event.type() == "T") total += number(event);
  };
  CHECK(store.load("s", 7L, apply).state == 7 && store.load("s", 7L, apply).version == 0);
  add(store, "T", "1");
  store.append("other", annals::any_version, annals::new_event("T", "1000"));
  add(store, "T", "20");
  add(store, "Other", "300");
  const annals::loaded<long> all = store.load("s", 0L, apply);
  CHECK(all.state == 21 && all.version == 3 && all.position == 4);
  const annals::loaded<long> past = store.load("s", 0L, apply, annals::up_to::version(2));
  CHECK(past.state == 21 && past.version == 2 && past.position == 3);
  CHECK(thrown<std::string>([&] {
          store.load("s", 0L, [](long &, const annals::event &event) {
            throw std::string(event.text());
          });
        }) == "1");
}

static void updating() {
  annals::store store = annals::store::in_memory();
  const auto apply = [](long &total, const annals::event &event) { total += number(event); };
  int calls = 0;
  const auto decide = [&](const long &total) {
    // Another writer is faster, twice.
    if (++calls < 3) add(store, "T", "10");
    return std::vector<annals::new_event>{{"T", std::to_string(total + 1)}};
  };
  const std::optional<annals::appended> landed = store.update("s", 0L, apply, decide);
  CHECK(calls == 3 && landed && landed->first_version == 3);
  CHECK(store.load("s", 0L, apply).state == 10 + 10 + 21);
  const auto nothing = [](const long &) { return std::vector<annals::new_event>(); };
  CHECK(!store.update("s", 0L, apply, nothing));
  CHECK(thrown<int>([&] {
          store.update("s", 0L, apply, [](const long &total) -> std::vector<annals::new_event> {
            throw static_cast<int>(total);
          });
        }) == 41);
  calls = 0;
  const annals::error late = thrown([&] {
    store.update("s", 0L, apply, [&](const long &) {
      ++calls;
      add(store, "T", "0");
      return std::vector<annals::new_event>{{"T", "1"}};
    });
  });
  CHECK(late.is_conflict() && calls == 1000);
}

static void metrics() {
  annals::store store = annals::store::in_memory();
  add(store, "T");
  CHECK(store.metrics().find("\"events_written\":1,") != std::string::npos);
}

static void subscriptions() {
  annals::store store = annals::store::in_memory();
  add(store, "A", "1");
  add(store, "B", "2");
  add(store, "A", "3");
  annals::subscription some = store.subscribe(2, annals::read_options().type("A").limit(2));
  CHECK(some.next()->position() == 3);
  CHECK(!some.next(0ms) && !some.has_ended());
  CHECK(!some.next(-1ms) && !some.has_ended());
  std::thread late([&] {
    std::this_thread::sleep_for(20ms);
    add(store, "B");
    add(store, "A");
  });
  CHECK(some.next(60s)->position() == 5);
  late.join();
  CHECK(!some.has_ended() && !some.next() && some.has_ended() && !some.failure());

  annals::subscription all = store.subscribe(0);
  annals::subscription moved = std::move(all);
  CHECK(thrown([&] { all.next(); }).status() == ANNALS_E_INVALID_ARGUMENT);
  std::atomic<std::uint64_t> seen{0};
  std::thread canceller([&] {
    while (seen != 5) std::this_thread::yield();
    std::this_thread::sleep_for(20ms);
    moved.cancel();
  });
  for (const annals::event &event : moved) CHECK(event.position() == ++seen);
  canceller.join();
  CHECK(seen == 5 && moved.has_ended() && !moved.failure());
  moved.cancel();
  CHECK(!moved.next(60s));

  const annals::read_options backward = annals::read_options().backward();
  const annals::error refused = thrown([&] { store.subscribe(1, backward); });
  CHECK(refused.status() == ANNALS_E_INVALID_ARGUMENT);
  annals::subscription orphan = store.subscribe(6);
  std::thread closer([&] {
    std::this_thread::sleep_for(20ms);
    store.close();
  });
  CHECK(thrown([&] { orphan.next(); }).status() == ANNALS_E_CLOSED);
  closer.join();
  CHECK(orphan.failure() && orphan.failure()->status() == ANNALS_E_CLOSED);
}

static void pulling() {
  annals::store store = annals::store::in_memory();
  int destroyed = 0;
  long total = 0;
  {
    annals::projection made(store, "sums");
    made.when("A", [by = counted(destroyed)](const annals::event &) { std::exit(1); });
    made.when("A", [by = counted(destroyed), one = std::make_unique<long>(1),
                    &total](const annals::event &event) { total += *one * number(event); });
    CHECK(destroyed == 1);
    annals::projection sums = std::move(made);
    CHECK(thrown([&] { made.catch_up(); }).status() == ANNALS_E_INVALID_ARGUMENT);
    const annals::error refused = thrown(
        [&] { sums.when("", [by = counted(destroyed)](const annals::event &) {}); });
    CHECK(refused.status() == ANNALS_E_INVALID_ARGUMENT && destroyed == 2);
    add(store, "A", "5");
    add(store, "B", "7");
    CHECK(sums.catch_up() == 2 && total == 5 && sums.position() == 2);
    sums.reset();
    CHECK(sums.position() == 0 && sums.catch_up() == 2 && total == 10);

    /* A named handler, which stops the projection after its event. */
    auto stop = [](const annals::event &) { return false; };
    sums.when("B", stop);
    add(store, "B");
    add(store, "A", "30");
    CHECK(sums.catch_up() == 1 && sums.has_stopped() && !sums.failure());
    sums.check();
    CHECK(sums.catch_up() == 1 && !sums.has_stopped() && total == 40);
    sums.live();
    CHECK(thrown([&] { sums.when("A", stop); }).status() == ANNALS_E_BUSY);
    CHECK(thrown([&] { sums.reset(); }).status() == ANNALS_E_BUSY);
    CHECK(destroyed == 2);
  }
  CHECK(destroyed == 3);
  CHECK(thrown([&] { annals::projection none(store, ""); }).status() < 0);
}

static void what_pulled_handlers_throw() {
  annals::store store = annals::store::in_memory();
  add(store, "A", "1");
  add(store, "A", "-2");
  add(store, "A", "-3");
  std::vector<long> taken;
  int mood = 0;
  annals::projection projection(store, "moods");
  projection.when("A", [&](const annals::event &event) -> std::int32_t {
    if (number(event) < 0 && mood == 0) throw std::to_string(number(event));
    if (number(event) < 0 && mood < 0) return mood;
    taken.push_back(number(event));
    return 0;
  });
  for (int round = 0; round < 2; ++round) {
    CHECK(thrown<std::string>([&] { projection.catch_up(); }) == "-2");
    CHECK(projection.position() == 1 && projection.has_stopped());
    CHECK(projection.failure()->status() == ANNALS_E_CALLBACK);
    CHECK(thrown<std::string>([&] { projection.check(); }) == "-2");
    CHECK(thrown<std::string>([&] { projection.live(); }) == "-2");
  }
  /* The earlier exception is no longer the reason. */
  mood = -7;
  CHECK(thrown([&] { projection.catch_up(); }).callback_code() == -7);
  CHECK(thrown([&] { projection.check(); }).callback_code() == -7);
  mood = 1;
  CHECK(projection.catch_up() == 2 && !projection.has_stopped() && !projection.failure());
  projection.check();
  CHECK((taken == std::vector<long>{1, -2, -3}));
  CHECK(projection.catch_up() == 0);
  /* A call on the projection in its own handler is an error like any other. */
  projection.when("A", [&](const annals::event &) { projection.catch_up(); });
  add(store, "A");
  CHECK(thrown([&] { projection.catch_up(); }).status() == ANNALS_E_BUSY);
}

static void what_live_handlers_throw() {
  annals::store store = annals::store::in_memory();
  bool fails = true;
  long total = 0;
  int others = 0;
  annals::projection projection(store, "sums"), other(store, "others");
  projection.when("A", [&](const annals::event &event) {
    if (fails) throw std::to_string(event.position());
    total += number(event);
  });
  other.when("A", [&](const annals::event &) { ++others; });
  projection.live();
  other.live();
  std::thread([&] {
    CHECK(store.append("s", 0, annals::new_event("A", "1")).first_position == 1);
    CHECK(store.append("s", 1, annals::new_event("A", "20")).first_position == 2);
  }).join();
  CHECK(others == 2 && total == 0 && !other.has_stopped() && projection.has_stopped());
  CHECK(projection.position() == 0 && projection.failure()->status() == ANNALS_E_CALLBACK);
  for (int round = 0; round < 2; ++round) {
    CHECK(thrown<std::string>([&] { projection.check(); }) == "1");
    CHECK(thrown<std::string>([&] { projection.catch_up(); }) == "1");
    CHECK(thrown<std::string>([&] { projection.live(); }) == "1");
  }
  fails = false;
  CHECK(projection.catch_up() == 2 && total == 21);
  projection.check();
  add(store, "A", "300");
  CHECK(total == 321 && projection.position() == 3);

  /* A stop at another event replaces the earlier exception. */
  fails = true;
  add(store, "A");
  CHECK(thrown<std::string>([&] { projection.check(); }) == "4");
  store.close();
  CHECK(thrown([&] { projection.catch_up(); }).status() == ANNALS_E_CLOSED);
}

static void appends_of_several_threads() {
  annals::store store = annals::store::in_memory();
  std::uint64_t last = 0, count = 0;
  annals::projection projection(store, "order");
  projection.when("A", [&](const annals::event &event) {
    /* A handler may append; it receives that event after it has returned. */
    if (event.position() % 10 == 0) add(store, "A");
    CHECK(event.position() == last + 1);
    last = event.position();
    ++count;
  });
  projection.live();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int index = 0; index < 50; ++index) {
        const std::uint64_t landed =
            store.append("s", annals::any_version, annals::new_event("A", "1")).first_position;
        CHECK(projection.position() >= landed);
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  CHECK(count == store.head() && count > 200 && projection.position() == count);
}

static void ends_of_projections() {
  annals::store store = annals::store::in_memory();
  std::atomic<bool> is_inside{false}, may_leave{false}, has_left{false};
  int destroyed = 0;
  std::optional<annals::projection> projection(std::in_place, store, "slow");
  projection->when("A", [&, by = counted(destroyed)](const annals::event &) {
    is_inside = true;
    while (!may_leave) std::this_thread::yield();
    has_left = true;
  });
  projection->live();
  std::thread appender([&] { add(store, "A"); });
  while (!is_inside) std::this_thread::yield();
  std::thread opener([&] {
    std::this_thread::sleep_for(30ms);
    may_leave = true;
  });
  projection.reset();
  CHECK(has_left && destroyed == 1);
  appender.join();
  opener.join();
  is_inside = false;
  add(store, "A");
  CHECK(!is_inside && destroyed == 1);

  /* A projection destroyed by its own handler, which itself is destroyed only after it returns. */
  int calls = 0;
  projection.emplace(store, "short");
  projection->when("B", [&, by = counted(destroyed)](const annals::event &) {
    projection.reset();
    CHECK(destroyed == 1);
    ++calls;
    throw std::string("to nobody");
  });
  projection->live();
  add(store, "B");
  CHECK(calls == 1 && destroyed == 2);
  add(store, "B");
  CHECK(calls == 1 && destroyed == 2);

  /* The same inside a call on the projection, which still rethrows the handler's exception. */
  add(store, "C");
  for (const bool is_live : {false, true}) {
    projection.emplace(store, "shorter");
    projection->when("C", [&, by = counted(destroyed)](const annals::event &) {
      projection.reset();
      throw std::string("to the caller");
    });
    const auto run = [&] { is_live ? projection->live() : void(projection->catch_up()); };
    CHECK(thrown<std::string>(run) == "to the caller");
    CHECK(destroyed == (is_live ? 4 : 3));
  }
}

static void snapshots_of_projections() {
  annals::store store = annals::store::in_memory();
  long total = 0;
  const auto make = [&](std::uint32_t version) {
    annals::projection made(store, "sums");
    made.when("A", [&](const annals::event &event) { total += number(event); });
    made.version(version);
    return made;
  };
  const auto restore = [&](std::uint64_t position, annals::bytes state) {
    CHECK(position == 2 && state.size() == 2);
    total = std::stol(std::string(state.begin(), state.end()));
  };
  annals::projection first = make(1);
  CHECK(!first.load_snapshot(restore));
  add(store, "A", "11");
  add(store, "A", "22");
  first.catch_up();
  first.save_snapshot(std::to_string(total));
  add(store, "A", "40");

  annals::projection second = make(1), newer = make(2);
  total = 0;
  CHECK(!newer.load_snapshot(restore) && newer.position() == 0);
  CHECK(!second.load_snapshot([](std::uint64_t, annals::bytes) { return false; }));
  const auto broken = [](std::uint64_t, annals::bytes) { throw std::string("broken"); };
  CHECK(thrown<std::string>([&] { second.load_snapshot(broken); }) == "broken");
  CHECK(second.position() == 0 && !second.has_stopped());
  CHECK(second.load_snapshot(restore) && second.position() == 2 && total == 33);
  CHECK(second.catch_up() == 1 && total == 73);
  second.live();
  CHECK(thrown([&] { second.load_snapshot(restore); }).status() == ANNALS_E_BUSY);
  const std::vector<std::uint8_t> none;
  second.save_snapshot(none);
  annals::projection third = make(1);
  std::uint64_t position = 0;
  CHECK(third.load_snapshot([&](std::uint64_t at, annals::bytes state) {
    CHECK(state.empty());
    position = at;
  }));
  CHECK(position == 3 && !store.load_snapshot("sums"));
}

int main() {
  checkpoints();
  snapshots();
  reconstruction();
  loading();
  updating();
  metrics();
  subscriptions();
  pulling();
  what_pulled_handlers_throw();
  what_live_handlers_throw();
  appends_of_several_threads();
  ends_of_projections();
  snapshots_of_projections();
  return 0;
}
