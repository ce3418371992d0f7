// Running sums and products.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"

namespace dtorch {

enum class Scan { sum, product };

// Along the middle of (outer, count, inner); from the end if `reverse`.
struct ScanShape {
  std::size_t outer, count, inner;
  bool reverse;
};

// Work is done in parts: so many rows, or so many columns, at once.
inline constexpr std::size_t scan_rows = 8, scan_columns = 256;

inline std::size_t parts_of(ScanShape s) {
  return s.inner == 1 ? (s.outer + scan_rows - 1) / scan_rows
                      : s.outer * ((s.inner + scan_columns - 1) / scan_columns);
}

}  // namespace dtorch

DTORCH_KERNELS(
  // Parts first .. last. float is added up in double precision; integers wrap.
  template <class T>
  void scan(Scan op, ScanShape shape, const T* input, T* out, std::size_t first, std::size_t last);
)
