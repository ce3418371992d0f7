// Stacks of matrices in NumPy arrays, as kernels see them.
#pragma once

#include "numpy_api.h"

#include <cstddef>
#include <utility>
#include <vector>

namespace dtorch {

// Where each matrix begins, in elements; false for steps that are negative or no whole elements.
inline bool find_starts(PyArrayObject* array, std::vector<std::size_t>& starts) {
  const int lead = PyArray_NDIM(array) - 2;
  const auto item = static_cast<npy_intp>(PyArray_ITEMSIZE(array));
  const npy_intp* steps = PyArray_STRIDES(array);
  const npy_intp* sizes = PyArray_DIMS(array);
  starts.assign(1, 0);
  for (int d = 0; d < lead; ++d) {
    if (steps[d] < 0 || steps[d] % item != 0) return false;
    std::vector<std::size_t> more;
    more.reserve(starts.size() * static_cast<std::size_t>(sizes[d]));
    for (const std::size_t start : starts) {
      for (npy_intp i = 0; i < sizes[d]; ++i) {
        more.push_back(start + static_cast<std::size_t>(i * steps[d] / item));
      }
    }
    starts = std::move(more);
  }
  return true;
}

}  // namespace dtorch
