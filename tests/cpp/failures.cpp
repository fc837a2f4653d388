/* annals.hpp: which failure is reported, and that none is missed. */

#include <annals.hpp>

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

int main() {
  an_exception_is_reported_for_its_own_event_only(false);
  an_exception_is_reported_for_its_own_event_only(true);
  return 0;
}
