// A ledger: withdraws from an account only what is there, even while others do the same.
//
// The balance is the sum of the events. The decision to withdraw is based on the version that was
// read, and the event is appended only if the account is still at that version; otherwise the
// program reads again.
//
//   ledger [STORE]

#include <annals.hpp>
#include <iostream>

namespace {

constexpr std::string_view account = "account-1";

struct balance {
  long amount = 0;
  std::uint64_t version = 0;
};

balance read(const annals::store &store) {
  balance found;
  for (const annals::event &event : store.read_stream(account)) {
    const long amount = std::stol(std::string(event.text()));
    found.amount += event.type() == "Deposited" ? amount : -amount;
    found.version = event.version();
  }
  return found;
}

// Simulates another part of the program that is faster, once.
void interfere(const annals::store &store) {
  static bool has_interfered = false;
  if (std::exchange(has_interfered, true)) return;
  std::cout << "somebody deposits 5 meanwhile\n";
  store.append(account, annals::any_version, annals::new_event("Deposited", "5"));
}

void withdraw(const annals::store &store, long amount) {
  for (int attempt = 1;; ++attempt) {
    const balance now = read(store);
    if (now.amount < amount) {
      std::cout << "refused: " << amount << " of " << now.amount << '\n';
      return;
    }
    interfere(store);
    try {
      store.append(account, now.version, annals::new_event("Withdrawn", std::to_string(amount)));
      std::cout << "withdrawn: " << amount << ", in attempt " << attempt << '\n';
      return;
    } catch (const annals::error &error) {
      if (!error.is_conflict()) throw;
      const annals::conflict &conflict = error.conflicts().front();
      std::cout << "conflict: expected version " << conflict.expected << ", is at "
                << conflict.actual << '\n';
    }
  }
}

}  // namespace

int main(int argc, char **argv) try {
  annals::store store(argc > 1 ? argv[1] : "ledger.annals");
  store.append(account, annals::any_version, annals::new_event("Deposited", "100"));
  withdraw(store, 70);
  withdraw(store, 70);
  const balance now = read(store);
  std::cout << "balance: " << now.amount << " at version " << now.version << '\n';
  store.close();
  return 0;
} catch (const std::exception &error) {
  std::cerr << "ledger: " << error.what() << '\n';
  return 1;
}
