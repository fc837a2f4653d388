/* annals.hpp with exceptions: objects, ranges, errors, and exceptions of callbacks. */

#include <annals.hpp>

#include <sstream>

#include "check.hpp"
#include "other.hpp"

static void opening() {
  annals::options options;
  options.create = false;
  const annals::error missing = thrown([&] { annals::store store("missing", options); });
  CHECK(missing.status() == ANNALS_E_IO && missing.os_code() == 2);
  CHECK(std::string_view(missing.what()).find("cannot open missing") == 0);
  options.create = true;
  options.buffered = std::chrono::milliseconds(5);
  annals::store store("cpp.annals", options);
  CHECK(store.head() == 0);
  CHECK(thrown([] { annals::store second("cpp.annals"); }).status() == ANNALS_E_LOCKED);
  annals::store moved = std::move(store);
  CHECK(store.get() == nullptr && moved.head() == 0);
  CHECK(thrown([&] { store.head(); }).status() == ANNALS_E_INVALID_ARGUMENT);
  moved.flush();
  moved.close();
  annals::store again("cpp.annals");
  options.buffered = std::chrono::milliseconds(-1);
  const annals::error invalid = thrown([&] { annals::store other("other.annals", options); });
  CHECK(invalid.status() == ANNALS_E_INVALID_ARGUMENT);
  CHECK(std::string_view(invalid.what()) == "options.buffered: an argument is invalid");
}

static void batches_and_queries() {
  annals::store store("batches.annals");
  const annals::query name = annals::query().tagged({"name:ada"});
  annals::batch batch;
  const annals::new_event named = annals::new_event("Named", "1").tag("name:ada").tag("a");
  batch.append("user-1", annals::no_stream, {named})
      .require("user-2", annals::no_stream)
      .require_none(name, 0)
      .checkpoint("names", 1);
  const annals::committed done = store.commit(batch);
  CHECK(done.first_position == 1 && !done.replayed() && store.checkpoint("names") == 1);

  std::uint64_t head = 0;
  annals::events found = store.read_query(name, {}, &head);
  const std::optional<annals::event> event = found.step();
  CHECK(head == 1 && event && event->tags() == (std::vector<std::string_view>{"a", "name:ada"}));
  CHECK(!found.step());
  annals::read_options options;
  options.matching(annals::query().item({"Named"}, {}, "user-1"));
  CHECK(store.read_all(options).step().has_value());
  CHECK(store.read_query(annals::query::all()).step().has_value());
  const annals::error refused = thrown([&] {
    store.subscribe(1, annals::read_options().matching(annals::query().tagged({""})));
  });
  CHECK(std::string(refused.what()).find("invalid tag: it is empty") != std::string::npos);

  annals::batch second;
  second.append("user-2", annals::no_stream, {annals::new_event("Named", "1").tag("name:ada")})
      .require_none(name, 0);
  const annals::error failed = thrown([&] { store.commit(second); });
  CHECK(failed.is_condition() && failed.conditions().size() == 1);
  CHECK(failed.conditions()[0].which == 0 && failed.conditions()[0].position == 1);
  const annals::error conflict = thrown([&] { store.commit(batch); });
  CHECK(conflict.is_conflict() && conflict.conflicts()[0].which == 0);
  CHECK(conflict.conditions().size() == 1);

  annals::batch third;
  third.append("user-3", annals::any_version, {annals::new_event("Named", "2")});
  const annals::ticket ticket = store.submit(third);
  CHECK(ticket.wait().first_position == 2);
  store.close();
  CHECK(ticket.wait_for(std::chrono::milliseconds(0))->first_position == 2);
  CHECK(thrown([&] { store.commit(annals::batch().require("", 0)); }).status() ==
        ANNALS_E_INVALID_ARGUMENT);
}

static void appending_and_reading() {
  annals::store store = annals::store::in_memory();
  const annals::event_id id{1, 2, 3};
  const std::uint8_t photo[] = {0xFF, 0x00};
  const annals::time_point time{std::chrono::microseconds(-7)};
  const annals::appended landed =
      store.append("order-7", annals::no_stream,
                   {annals::new_event("Placed", "1").metadata(R"({"by": "ada"})").id(id),
                    annals::new_event::binary("Photo", annals::bytes(photo, 2)).time(time),
                    annals::new_event("Naive", "[]").time(time, std::nullopt)});
  CHECK(landed.first_position == 1 && landed.first_version == 1);
  store.append("order-8", 0, annals::new_event("Placed", "2"));

  std::string types;
  annals::events order = store.read_stream("order-7");
  for (const annals::event &event : order) {
    types += event.type();
    CHECK(event.stream() == "order-7" && event.stream().data()[7] == '\0');
    CHECK(event.position() == event.version());
  }
  CHECK(types == "PlacedPhotoNaive");
  CHECK(!order.step());

  annals::events all = store.read_all();
  const annals::event placed = *all.step();
  CHECK(placed.text() == "1" && placed.metadata() == R"({"by": "ada"})" && placed.id() == id);
  CHECK(!placed.is_binary() && placed.utc_offset() == std::chrono::minutes(0));
  const annals::event binary = *all.step();
  CHECK(binary.is_binary() && binary.data().size() == 2 && binary.data()[0] == 0xFF);
  CHECK(binary.time() == time && !binary.id() && binary.metadata().empty());
  CHECK(!all.step()->utc_offset());

  std::uint64_t sum = 0;
  annals::read_options options;
  options.backward().type("Placed").stream_prefix("order-").limit(2).from_position(9);
  for (const annals::event &event : store.read_all(options)) sum = sum * 10 + event.position();
  CHECK(sum == 41);
  const annals::error wrong = thrown([&] { store.read_stream("order-7", options); });
  CHECK(wrong.status() == ANNALS_E_INVALID_ARGUMENT);
  CHECK(thrown([&] { store.read_all(annals::read_options().type("")); }).status() < 0);

  std::string names;
  for (const annals::stream_info &stream : store.streams("order-")) {
    names += std::string(stream.id) + '=' + std::to_string(stream.version) + ' ';
  }
  CHECK(names == "order-7=3 order-8=1 ");
  CHECK(store.stream_version("order-7") == 3);

  annals::events late = store.read_all();
  store.close();
  CHECK(thrown([&] { late.step(); }).status() == ANNALS_E_CLOSED);
}

static void ends_ids_and_shapes() {
  annals::options options;
  options.upcasters.push_back({"T", 1, [](const annals::event &event) {
                                 if (event.text() == "3") throw std::runtime_error("three");
                                 return "[" + std::string(event.text()) + "]";
                               }});
  const annals::store store("shapes.annals", options);
  const annals::event_id id{7};
  const auto at = [](int micros) { return annals::time_point(std::chrono::microseconds(micros)); };
  annals::new_event first("T", "1"), second("T", "2"), third("T", "3");
  store.append("s", annals::any_version, {first.id(id).time(at(10)), second.time(at(30))});
  const auto count = [&](const annals::read_options &wanted) {
    int found = 0;
    for (const annals::event &event : store.read_all(wanted)) found += event.position() > 0;
    return found;
  };
  CHECK(count(annals::read_options().since(at(11))) == 1);
  CHECK(count(annals::read_options().until(at(10))) == 1);
  CHECK(count(annals::read_options().until_position(1)) == 1);
  const auto found = store.event_by_id(id);
  CHECK(found && (*found)->position() == 1 && (**found).text() == "[1]");
  CHECK(!store.event_by_id({8}));
  store.append("s", annals::any_version, {third});
  annals::events last = store.read_all(annals::read_options().from_position(3));
  CHECK(thrown([&] { last.step(); }).status() == ANNALS_E_CALLBACK);
  const auto text = [](const annals::store &reader) {
    for (const annals::event &event : reader.read_all()) return std::string(event.text());
    return std::string();
  };
  CHECK(text(annals::store::open_reader("shapes.annals", options)) == "[1]");
  CHECK(text(annals::reader("shapes.annals", options)) == "[1]");
  CHECK(text(annals::store::open_reader("shapes.annals")) == "1");
}

static void conflicts() {
  annals::store store = annals::store::in_memory();
  const annals::new_event event("T", "1");
  CHECK(store.append_multi({{"a", annals::no_stream, {event}}, {"b", 0, {}}}) == 1);
  const annals::error conflict = thrown([&] {
    store.append_multi({{"a", annals::no_stream, {event}}, {"b", annals::stream_exists, {}}});
  });
  CHECK(conflict.is_conflict() && conflict.conflicts().size() == 2);
  CHECK(conflict.conflicts()[0].stream == "a" && conflict.conflicts()[0].actual == 1);
  CHECK(conflict.conflicts()[1].expected == ANNALS_EXPECT_STREAM_EXISTS);
  CHECK(append_elsewhere(store) == 2);
}

static void repeating() {
  annals::store store = annals::store::in_memory();
  const annals::new_event first = annals::new_event("T", "1").id({1});
  const annals::new_event second = annals::new_event("T", "2").id({2});
  CHECK(!store.append("a", annals::no_stream, first).replayed());
  const annals::appended again = store.append("a", annals::no_stream, first);
  CHECK(again.replayed() && again.first_position == 1 && again.first_version == 1);
  const auto other = [&] { store.append("a", 1, annals::new_event("T", "9").id({1})); };
  CHECK(thrown(other).status() == ANNALS_E_DUPLICATE_ID);

  bool replayed = true;
  CHECK(store.append_multi({{"b", annals::no_stream, {second}}}, &replayed) == 2 && !replayed);
  CHECK(store.append_multi({{"b", annals::no_stream, {second}}}, &replayed) == 2 && replayed);
}

static void exchanging() {
  annals::store store = annals::store::in_memory(), copy = annals::store::in_memory();
  store.append("s", annals::any_version, {{"T", "1"}, {"T", "2"}});
  std::ostringstream out;
  CHECK(store.export_ndjson(out) == 2);
  std::istringstream in(out.str());
  CHECK(copy.import_ndjson(in) == 2);
  CHECK(store.export_ndjson_file("cpp.ndjson") == 2);
  CHECK(copy.import_ndjson_file("cpp.ndjson", annals::import_mode::resume) == 0);

  /* The call rethrows the exception of a callback unchanged. */
  try {
    store.export_ndjson([](std::string_view) { throw std::string("mine"); });
    std::exit(1);
  } catch (const std::string &mine) {
    CHECK(mine == "mine");
  }
  try {
    copy.import_ndjson([](annals::span<char>) -> std::size_t { throw 42; });
    std::exit(1);
  } catch (int number) {
    CHECK(number == 42);
  }
  CHECK(store.export_ndjson([](std::string_view) { return false; }) == 2);
  /* The only close that leaves the store open. */
  const annals::error busy =
      thrown([&] { store.export_ndjson([&](std::string_view) { store.close(); }); });
  CHECK(busy.status() == ANNALS_E_BUSY && store.head() == 2);
  std::ostringstream broken;
  broken.setstate(std::ios::badbit);
  CHECK(thrown([&] { store.export_ndjson(broken); }).callback_code() == -1);
  std::istringstream bad("{}\n");
  const annals::error parse = thrown([&] { copy.import_ndjson(bad); });
  CHECK(parse.where() && parse.where()->line == 1 && parse.where()->column > 0);
  const annals::verification report = store.verify();
  CHECK(report.events == 2 && report.findings.empty());
}

void mending() {
  {
    const annals::store store("mended.annals");
    store.append("s", annals::no_stream, annals::new_event("T", "1"));
    CHECK(store.recovery().rebuilt_events == 0 && store.recovery().duration.count() == 0);
  }
  CHECK(annals::repair("mended.annals").empty());
  CHECK(std::remove("mended.annals/trees/conf") == 0);
  annals::options strict;
  strict.rebuild = false;
  CHECK(thrown([&] { annals::store("mended.annals", strict); }).status() == ANNALS_E_CORRUPT);
  CHECK(annals::repair("mended.annals").size() == 1);
  std::string saved;
  CHECK(annals::salvage("mended.annals", [&](std::string_view piece) { saved += piece; }) == 1);
  CHECK(saved.rfind("{\"event_id\": 1, ", 0) == 0);
  std::vector<annals::error> missing;
  const auto ignore = [](std::string_view) {};
  CHECK(annals::salvage("mended.annals", ignore, &missing) == 1 && missing.empty());
  CHECK(annals::repair("mended.annals", ANNALS_REPAIR_APPLY).size() == 1);
  CHECK(annals::compact("mended.annals") == "mended.annals");
  CHECK(annals::store("mended.annals", strict).head() == 1);
  const annals::store writer("mended.annals");
  const annals::store reader = annals::reader("mended.annals");
  writer.append("s", 1, annals::new_event("T", "2"));
  CHECK(reader.head() == 2);
  CHECK(thrown([&] { reader.append("s", 2, annals::new_event("T", "3")); }).status() ==
        ANNALS_E_READ_ONLY);
}

int main() {
  mending();
  opening();
  appending_and_reading();
  batches_and_queries();
  ends_ids_and_shapes();
  conflicts();
  repeating();
  exchanging();
  return 0;
}
