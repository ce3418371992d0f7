// Arithmetic on sizes, of which the standard library's templates are not for files in kernels/.
#pragma once

#include <cstddef>

#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {

DTORCH_INLINE constexpr std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }
DTORCH_INLINE constexpr std::size_t larger(std::size_t a, std::size_t b) { return a > b ? a : b; }
DTORCH_INLINE constexpr std::size_t divide_up(std::size_t a, std::size_t b) {
  return (a + b - 1) / b;
}
DTORCH_INLINE constexpr std::size_t round_up(std::size_t a, std::size_t b) {
  return divide_up(a, b) * b;
}

}  // namespace dtorch::DTORCH_CAPABILITY
