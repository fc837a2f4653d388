/* The part of mixed.cpp that uses results. */

#define ANNALS_NO_EXCEPTIONS
#include <annals.hpp>

#include "check.hpp"

std::uint64_t head_without_exceptions(annals_store *store);

std::uint64_t head_without_exceptions(annals_store *store) {
  annals::store borrowed(store);
  const annals::result<std::uint64_t> head = borrowed.head();
  CHECK(head && !borrowed.append("s", 0, {{"T", "1"}}));
  annals::result<annals::events> read = borrowed.read_all();
  CHECK(read && read->step() && !read->step() && !read->failure());
  CHECK(borrowed.release() == store);
  return *head;
}
