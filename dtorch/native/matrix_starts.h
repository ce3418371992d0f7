// Stacks of matrices in NumPy arrays, as kernels see them.
#pragma once

#include "numpy_api.h"

#include <cstddef>
#include <utility>
#include <vector>

namespace dtorch {

// Where each matrix begins, in elements, of a stack of `lead` dims with these sizes, to which the
// array's are broadcast; false for steps that are negative or no whole elements.
inline bool find_starts(PyArrayObject* array, int lead, const npy_intp* sizes,
                        std::vector<std::size_t>& starts) {
  const int missing = lead - (PyArray_NDIM(array) - 2);
  const auto item = static_cast<npy_intp>(PyArray_ITEMSIZE(array));
  starts.assign(1, 0);
  for (int d = 0; d < lead; ++d) {
    const bool once = d < missing || PyArray_DIM(array, d - missing) == 1;
    const npy_intp step = once ? 0 : PyArray_STRIDE(array, d - missing);
    if (step < 0 || step % item != 0) return false;
    std::vector<std::size_t> more;
    more.reserve(starts.size() * static_cast<std::size_t>(sizes[d]));
    for (const std::size_t start : starts) {
      for (npy_intp i = 0; i < sizes[d]; ++i) {
        more.push_back(start + static_cast<std::size_t>(i * step / item));
      }
    }
    starts = std::move(more);
  }
  return true;
}

inline bool find_starts(PyArrayObject* array, std::vector<std::size_t>& starts) {
  return find_starts(array, PyArray_NDIM(array) - 2, PyArray_DIMS(array), starts);
}

}  // namespace dtorch
