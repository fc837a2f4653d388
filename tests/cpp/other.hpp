/* A function of a second file that includes annals.hpp. */

#ifndef ANNALS_TESTS_OTHER_HPP
#define ANNALS_TESTS_OTHER_HPP

#include <annals.hpp>

std::uint64_t append_elsewhere(const annals::store &store);

#endif
