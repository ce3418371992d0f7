// An epilogue carried out. Only for files in kernels/.
#pragma once

#include <cstddef>

#include "kernels/epilogue.h"
#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {

// Of `n` numbers of one channel, that lie from element `at` of the result on; `from` and `to` may
// be the same.
template <class T>
DTORCH_INLINE void finish(const Epilogue<T>& epilogue, std::size_t channel, std::size_t at,
                          std::size_t n, const T* from, T* to) {
  const T factor = epilogue.factor == nullptr ? T(1) : epilogue.factor[channel];
  const T shift = epilogue.factor == nullptr ? T(0) : epilogue.shift[channel];
  const T low = epilogue.low, high = epilogue.high;
  const auto held = [&](T value) {  // keeps NaN
    value = value < low ? low : value;
    return value > high ? high : value;
  };
  if (epilogue.added == nullptr) {
#pragma omp simd
    for (std::size_t k = 0; k < n; ++k) to[k] = held(from[k] * factor + shift);
  } else {
    const T* added = epilogue.added + at;
#pragma omp simd
    for (std::size_t k = 0; k < n; ++k) to[k] = held(from[k] * factor + shift + added[k]);
  }
}

}  // namespace dtorch::DTORCH_CAPABILITY
