/* annals.hpp: which failure is reported, and that none is missed. */

#include <annals.hpp>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "check.hpp"

/* A handler throws; what fails later is an upcaster. */
static void an_exception_is_reported_for_its_own_event_only(bool is_live) {
  annals::options with;
  bool fails = true, upcasts = true;
  with.upcasters.push_back({"Old", 1, [&](const annals::event &event) {
                              if (!upcasts) throw std::string("to nobody");
                              return std::string(event.text());
                            }});
  annals::store store(is_live ? "live.annals" : "pulled.annals", with);
  annals::projection projection(store, "p");
  projection.when("New", [&](const annals::event &) {
    if (fails) throw std::string("mine");
  });
  projection.when("Old", [](const annals::event &) {});
  if (is_live) projection.live();
  store.append("s", annals::any_version,
               {annals::new_event("New", "1"), annals::new_event("Old", "2")});
  if (!is_live) {
    CHECK(thrown<std::string>([&] { projection.catch_up(); }) == "mine");
    /* A call that is refused changes nothing. */
    CHECK(thrown([&] { projection.resume_after(); }).status() == ANNALS_E_INVALID_ARGUMENT);
  }
  CHECK(thrown<std::string>([&] { projection.check(); }) == "mine");
  fails = upcasts = false;
  CHECK(thrown([&] { projection.catch_up(); }).status() == ANNALS_E_CALLBACK);
  CHECK(thrown([&] { projection.check(); }).status() == ANNALS_E_CALLBACK);
  CHECK(projection.position() == 1);
  upcasts = true;
  CHECK(projection.catch_up() == 1 && !projection.has_stopped());
}

static void a_stream_that_was_never_opened_is_an_error() {
  annals::store store = annals::store::in_memory();
  std::ifstream missing("no/such/file");
  CHECK(thrown([&] { store.import_ndjson(missing); }).status() == ANNALS_E_CALLBACK);
  std::istringstream empty;
  CHECK(store.import_ndjson(empty) == 0 && store.import_ndjson(empty) == 0);
  store.append("s", 0, annals::new_event("T", "1"));
  std::ofstream nowhere("no/such/file");
  CHECK(thrown([&] { store.export_ndjson(nowhere); }).status() == ANNALS_E_CALLBACK);
}

/* What was imported before the fault stays, and the caller learns how much that is. */
static void an_import_that_fails_says_how_much_it_has_written() {
  std::string lines;
  for (int number = 1; number <= 20000; ++number) {
    lines += R"({"event_id": )" + std::to_string(number) +
             R"(, "stream_id": "s", "event_type": "T", "data": 1, "timestamp": )" +
             R"("2024-01-01T00:00:00", "metadata": null})" + "\n";
  }
  const std::string faulty = lines + "no line\n";
  std::ofstream("faulty.ndjson") << faulty;
  const auto faithful = annals::import_mode::faithful;
  const auto check = [&](auto &&import) {
    annals::store store = annals::store::in_memory();
    std::uint64_t written = 0;
    CHECK(thrown([&] { import(store, written); }).where()->line == 20001);
    CHECK(written > 0 && written == store.head());
  };
  check([&](const annals::store &store, std::uint64_t &written) {
    std::istringstream in(faulty);
    store.import_ndjson(in, faithful, 0, &written);
  });
  check([&](const annals::store &store, std::uint64_t &written) {
    store.import_ndjson_file("faulty.ndjson", faithful, 0, &written);
  });
  annals::store store = annals::store::in_memory();
  std::uint64_t written = 0;
  std::istringstream in(lines);
  CHECK(store.import_ndjson(in, faithful, 0, &written) == 20000 && written == 20000);
}

/* The bytes are few enough to stay in the buffer of the stream. */
static void an_export_to_a_full_disk_is_an_error() {
  annals::store store = annals::store::in_memory();
  store.append("s", 0, annals::new_event("T", "1"));
  std::ofstream full("/dev/full");
  CHECK(thrown([&] { store.export_ndjson(full); }).status() == ANNALS_E_CALLBACK);
}

static void an_offset_is_never_cut_to_one_that_is_valid() {
  annals::store store = annals::store::in_memory();
  const annals::time_point time{};
  for (const std::int64_t minutes : {std::int64_t{1} << 32, (std::int64_t{1} << 32) + 60,
                                     std::int64_t{INT32_MIN}, -(std::int64_t{1} << 40)}) {
    annals::new_event event("T", "1");
    event.time(time, std::chrono::minutes(minutes));
    CHECK(thrown([&] { store.append("s", 0, event); }).status() == ANNALS_E_INVALID_ARGUMENT);
  }
  CHECK(store.head() == 0);
}

/* The C functions that set options have no error objects. */
static void a_message_names_the_option_that_is_invalid() {
  annals::options late, gap;
  late.buffered = std::chrono::milliseconds(-1);
  gap.upcasters.push_back({"T", 1, nullptr});
  gap.upcasters.push_back({"T", 3, nullptr});
  const auto opened = [](const annals::options &with) {
    return std::string(thrown([&] { annals::store("none.annals", with); }).what());
  };
  CHECK(opened(late) == "options.buffered: an argument is invalid");
  CHECK(opened(gap) == "options.upcasters, T from version 3: an argument is invalid");
  annals::store store = annals::store::in_memory();
  const annals::read_options untyped = annals::read_options().type("");
  const std::string due = "read_options: an argument is invalid";
  CHECK(thrown([&] { store.read_all(untyped); }).what() == due);
  CHECK(thrown([&] { store.subscribe(1, untyped); }).what() == due);
  const annals::read_options unnamed = annals::read_options().matching(annals::query().item({""}));
  const std::string own = "invalid event type: it is empty";
  CHECK(thrown([&] { store.read_all(unnamed); }).what() == own);
}

int main() {
  an_exception_is_reported_for_its_own_event_only(false);
  an_exception_is_reported_for_its_own_event_only(true);
  a_stream_that_was_never_opened_is_an_error();
  an_import_that_fails_says_how_much_it_has_written();
  an_export_to_a_full_disk_is_an_error();
  an_offset_is_never_cut_to_one_that_is_valid();
  a_message_names_the_option_that_is_invalid();
  return 0;
}
