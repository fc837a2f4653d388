// A balance that is up to date when an append returns, whichever thread appends.
//
// A live projection maintains it, in a state that this program owns and guards with its own lock.
// If the account does not cover a withdrawal, the handler throws: the append stands, because the
// event has happened, and the projection stops there until it is resumed. At the end the state is
// saved, so that the next run does not have to begin at the first event.
//
//   live [STORE]

#include <annals.hpp>
#include <iostream>
#include <mutex>
#include <thread>

namespace {

struct overdrawn : std::runtime_error {
  explicit overdrawn(long amount)
      : std::runtime_error("overdrawn by " + std::to_string(amount)), amount(amount) {}
  long amount;
};

class account {
 public:
  long balance() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return balance_;
  }
  void restore(long balance) {
    const std::lock_guard<std::mutex> lock(mutex_);
    balance_ = balance;
  }
  void extend_credit(long amount) {
    const std::lock_guard<std::mutex> lock(mutex_);
    credit_ += amount;
  }
  // Leaves the balance unchanged when it throws, because the event will come again.
  void change(long amount) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const long rest = balance_ + amount;
    if (amount < 0 && rest + credit_ < 0) throw overdrawn(-(rest + credit_));
    balance_ = rest;
  }

 private:
  mutable std::mutex mutex_;
  long balance_ = 0;
  // How far below zero the balance may go.
  long credit_ = 0;
};

void add(const annals::store &store, const char *type, long amount) {
  store.append("account-1", annals::any_version, annals::new_event(type, std::to_string(amount)));
}

void set_up(annals::projection &projection, account &account) {
  projection.when("Deposited", [&](const annals::event &event) {
    account.change(std::stol(std::string(event.text())));
  });
  projection.when("Withdrawn", [&](const annals::event &event) {
    account.change(-std::stol(std::string(event.text())));
  });
  const auto restore = [&](std::uint64_t position, annals::bytes state) {
    account.restore(std::stol(std::string(state.begin(), state.end())));
    std::cout << "restored: " << account.balance() << " at position " << position << '\n';
  };
  if (!projection.load_snapshot(restore)) std::cout << "restored: nothing\n";
  projection.live();
}

// Prints why the projection has stopped, and resumes it at that event.
void go_on(annals::projection &projection, account &account) {
  try {
    projection.check();
  } catch (const overdrawn &reason) {
    std::cout << "stopped: " << projection.failure()->what() << '\n'
              << "because: " << reason.what() << '\n';
    account.extend_credit(reason.amount);
    std::cout << "processed: " << projection.catch_up() << '\n';
  }
}

}  // namespace

int main(int argc, char **argv) try {
  annals::store store(argc > 1 ? argv[1] : "live.annals");
  // Declared before the projection, so that the account outlives it.
  account account;
  annals::projection projection(store, "balance");
  set_up(projection, account);
  // What another part of the program does.
  std::thread([&] { add(store, "Deposited", 100); }).join();
  std::cout << "deposited: " << account.balance() << '\n';
  add(store, "Withdrawn", 500);
  std::cout << "withdrawn: " << account.balance() << '\n';
  go_on(projection, account);
  std::cout << "balance: " << account.balance() << '\n';
  // Nobody appends any more, so the state matches the projection's position.
  projection.save_snapshot(std::to_string(account.balance()));
  std::cout << "saved: at position " << projection.position() << '\n';
  store.close();
  return 0;
} catch (const std::exception &error) {
  std::cerr << "live: " << error.what() << '\n';
  return 1;
}
