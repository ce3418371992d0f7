// Elements and slices looked up by number, and added where they were looked up.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.h"

namespace dtorch {

// `rows` slices of `inner` elements, `outer` times.
struct Slices {
  std::size_t outer, rows, inner;
};

}  // namespace dtorch

DTORCH_KERNELS(
  // Numbers are rows of the looked-up array; false if one is not, which is passed over. `count` is
  // the number of rows of the other array.

  // out[o, i, j] = input[o, index[o, i, j], j] for the rows o * count + i from first to last.
  template <class T>
  bool take_along(const T* input, Slices shape, const std::int64_t* index, T* out,
                  std::size_t count, std::size_t first, std::size_t last);

  // out[o, index[o, i, j], j] += source[o, i, j], in order of i, for o from first to last.
  template <class T>
  bool add_along(const T* source, const std::int64_t* index, T* out, Slices shape,
                 std::size_t count, std::size_t first, std::size_t last);

  // out[o, index[i], j] += source[o, i, j], in order of i, for j from first to last.
  template <class T>
  bool add_rows(const T* source, const std::int64_t* index, T* out, Slices shape,
                std::size_t count, std::size_t first, std::size_t last);
)
