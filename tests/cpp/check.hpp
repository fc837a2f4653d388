/* Checks for the C++ tests. */

#ifndef ANNALS_TESTS_CHECK_HPP
#define ANNALS_TESTS_CHECK_HPP

#include <annals.hpp>

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                           \
    }                                                                         \
  } while (0)

#ifndef ANNALS_NO_EXCEPTIONS
/* The exception that a call throws, of any type. */
template <class Thrown = annals::error, class Call>
Thrown thrown(Call &&call) {
  try {
    call();
  } catch (const Thrown &thrown) {
    return thrown;
  }
  std::fprintf(stderr, "nothing was thrown\n");
  std::exit(1);
}
#endif

#endif
