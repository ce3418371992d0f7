// The k largest or smallest elements of rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.h"

DTORCH_KERNELS(
  // Of each of `rows` rows of n elements the first k in descending (`largest`) or ascending order
  // and where they stand; of equal ones the first. NaN counts as the largest. k is not 0.
  template <class T>
  void top_of_rows(const T* input, T* values, std::int64_t* indices, std::size_t rows,
                   std::size_t n, std::size_t k, bool largest);
)
