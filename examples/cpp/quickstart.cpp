// Opens a store, appends two events, and reads them back.
//
//   quickstart [STORE]

#include <annals.hpp>
#include <iostream>

int main(int argc, char **argv) try {
  annals::store store(argc > 1 ? argv[1] : "orders.annals");
  store.append("order-7", annals::any_version,
               {annals::new_event("OrderPlaced", R"({"customer": "ada"})"),
                annals::new_event("ItemAdded", R"({"sku": "tea", "quantity": 2})")});
  for (const annals::event &event : store.read_stream("order-7")) {
    std::cout << event.version() << ' ' << event.type() << ' ' << event.text() << '\n';
  }
  store.close();
  return 0;
} catch (const annals::error &error) {
  std::cerr << "quickstart: " << error.what() << '\n';
  return 1;
}
