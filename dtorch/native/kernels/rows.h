// Reductions over one row, shared by the kernels that normalise rows.
#pragma once

#include <cstddef>

#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {

// Largest element; NaN is passed over (whoever sums exponentials meets it there). -inf when empty.
template <class T>
DTORCH_INLINE T row_max(const T* row, std::size_t columns) {
  T largest = -static_cast<T>(__builtin_inf());
#pragma omp simd reduction(max : largest)
  for (std::size_t j = 0; j < columns; ++j) largest = row[j] > largest ? row[j] : largest;
  return largest;
}

template <class T>
DTORCH_INLINE T row_sum_of_exponentials(const T* row, T shift, std::size_t columns) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t j = 0; j < columns; ++j) sum += exponential(row[j] - shift);
  return sum;
}

}  // namespace dtorch::DTORCH_CAPABILITY
