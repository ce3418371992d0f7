// Copies between memory whose elements lie in different orders.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"

namespace dtorch {

// Sizes of the dims and their steps in elements, the last dim being that of `to` with step 1.
struct CopyPlan {
  static constexpr int max_dims = 8;
  int ndim;
  std::size_t sizes[max_dims];
  std::ptrdiff_t from[max_dims], to[max_dims];
};

}  // namespace dtorch

DTORCH_KERNELS(
  // Number of independent parts of a copy; `size` gets the number of elements in one of them.
  template <class T>
  std::size_t copy_parts(const CopyPlan* plan, std::size_t* size);
  // Copies parts begin .. end.
  template <class T>
  void copy_elements(const CopyPlan* plan, const T* from, T* to, std::size_t begin,
                     std::size_t end);
)
