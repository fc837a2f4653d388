/* A second file that includes annals.hpp: everything in the header is inline. */

#include "other.hpp"

std::uint64_t append_elsewhere(const annals::store &store) {
  return store.append("elsewhere", annals::any_version, annals::new_event("T", "1")).first_position;
}
