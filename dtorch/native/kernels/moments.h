// Mean and variance of many numbers, far from 0 too. Only for files in kernels/.
//
// In two passes: sums of differences from a number among them, and of squares of differences from
// the mean. Neither is large where the numbers are, but vary little.
#pragma once

#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {

DTORCH_INLINE double root(double x) { return __builtin_sqrt(x); }

// The first of the numbers; 0 where it is not finite, as from it nothing has a difference.
template <class T>
DTORCH_INLINE T pivot(T first) {
  return first - first == T(0) ? first : T(0);
}

template <class T>
struct Moments {
  T mean, rest;  // rest: what the mean lost when it was rounded

  void find_mean(T pivot, double sum_of_differences, double count) {
    const double found = static_cast<double>(pivot) + sum_of_differences / count;
    mean = static_cast<T>(found);
    rest = static_cast<T>(found - static_cast<double>(mean));
  }

  // From the squares of differences from `mean`.
  double variance(double sum_of_squares, double count) const {
    const auto lost = static_cast<double>(rest);
    return sum_of_squares / count - lost * lost;
  }
};

}  // namespace dtorch::DTORCH_CAPABILITY
