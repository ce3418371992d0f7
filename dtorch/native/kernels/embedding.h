// Rows of a table looked up by number.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.h"

DTORCH_KERNELS(
  // out[index[i]] += delta[i] for all i, in order, in the columns first .. last. Both arrays have
  // `columns` columns; numbers are rows of `out`.
  template <class T>
  void add_rows(const T* delta, const std::int64_t* index, T* out, std::size_t count,
                std::size_t columns, std::size_t first, std::size_t last);
)
