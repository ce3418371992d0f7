// Reductions over one row, shared by the kernels that normalise rows.
#pragma once

#include <cstddef>

#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {

// Largest element; NaN is passed over (whoever sums exponentials meets it there). -inf when empty.
template <class T>
DTORCH_INLINE T row_max(const T* row, std::size_t columns) {
  // Four at a time: each waits for the one before.
  const T least = -static_cast<T>(__builtin_inf());
  T a = least, b = least, c = least, d = least;
  const std::size_t quarter = columns / 4;
#pragma omp simd reduction(max : a, b, c, d)
  for (std::size_t j = 0; j < quarter; ++j) {
    a = row[j] > a ? row[j] : a;
    b = row[quarter + j] > b ? row[quarter + j] : b;
    c = row[2 * quarter + j] > c ? row[2 * quarter + j] : c;
    d = row[3 * quarter + j] > d ? row[3 * quarter + j] : d;
  }
  for (std::size_t j = 4 * quarter; j < columns; ++j) a = row[j] > a ? row[j] : a;
  a = b > a ? b : a;
  c = d > c ? d : c;
  return c > a ? c : a;
}

template <class T>
DTORCH_INLINE T row_sum_of_exponentials(const T* row, T shift, std::size_t columns) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t j = 0; j < columns; ++j) sum += exponential_below(row[j] - shift);
  return sum;
}

}  // namespace dtorch::DTORCH_CAPABILITY
