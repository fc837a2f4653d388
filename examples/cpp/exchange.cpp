// Imports NDJSON from a file into a store, and exports the whole store to standard output.
//
//   exchange STORE FILE

#include <annals.hpp>
#include <fstream>
#include <iostream>

int main(int argc, char **argv) try {
  if (argc != 3) {
    std::cerr << "usage: exchange STORE FILE\n";
    return 2;
  }
  annals::store store(argv[1]);
  std::ifstream file(argv[2], std::ios::binary);
  if (!file) {
    std::cerr << "exchange: cannot open " << argv[2] << '\n';
    return 1;
  }
  // Events that are already in the store are compared and skipped, so the import may be repeated.
  std::cerr << "imported " << store.import_ndjson(file, annals::import_mode::resume) << " events\n";
  std::cerr << "exported " << store.export_ndjson(std::cout) << " events\n";
  store.close();
  return 0;
} catch (const annals::error &error) {
  std::cerr << "exchange: ";
  if (error.where()) std::cerr << argv[2] << ':' << error.where()->line << ": ";
  std::cerr << error.what() << '\n';
  return 1;
}
