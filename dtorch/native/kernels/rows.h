// Passes over one row and reductions of it, shared by the kernels that normalise rows.
#pragma once

#include <cstddef>

#include "kernels/vector_exponential.h"

namespace dtorch::DTORCH_CAPABILITY {

// f(place, count, slot) for all vectors of a row: `count` elements from `place` on. Sums and maxima
// of the four slots are kept apart, as each waits for the one before.
template <class T, class F>
DTORCH_INLINE void for_each_vector(std::size_t columns, F f) {
  std::size_t j = 0;
  for (; j + 4 * lanes<T> <= columns; j += 4 * lanes<T>) {
#pragma GCC unroll 4
    for (std::size_t slot = 0; slot < 4; ++slot) f(j + slot * lanes<T>, lanes<T>, slot);
  }
  for (; j + lanes<T> <= columns; j += lanes<T>) f(j, lanes<T>, 0);
  if (j < columns) f(j, columns - j, 0);
}

template <class T>
DTORCH_INLINE T sum_of(Vector<T> x) {
  return fold<T>(x, [](Vector<T> a, Vector<T> b) { return a + b; });
}

// So many vectors are added up in T, and sums of these in double precision: errors stay those of a
// short row.
inline constexpr std::size_t vectors_at_once = 128;

// f(place, columns) for stretches of a row of that length.
template <class T, class F>
DTORCH_INLINE void for_each_stretch(std::size_t columns, F f) {
  constexpr std::size_t most = vectors_at_once * lanes<T>;
  for (std::size_t j = 0; j < columns; j += most) f(j, columns - j < most ? columns - j : most);
}

// Sum of term(place, count) over the vectors of a row.
template <class T, class F>
DTORCH_INLINE T row_sum(std::size_t columns, F term) {
  double sum = 0;
  for_each_stretch<T>(columns, [&](std::size_t first, std::size_t some) {
    Vector<T> sums[4] = {};
    for_each_vector<T>(some, [&](std::size_t j, std::size_t count, std::size_t slot) {
      sums[slot] += term(first + j, count);
    });
    sum += static_cast<double>(sum_of<T>((sums[0] + sums[1]) + (sums[2] + sums[3])));
  });
  return static_cast<T>(sum);
}

// Largest element; NaN is passed over (whoever sums exponentials meets it there). -inf when empty.
template <class T>
DTORCH_INLINE T row_max(const T* row, std::size_t columns) {
  const auto larger_of = [](Vector<T> a, Vector<T> b) { return a > b ? a : b; };
  const Vector<T> least = Vector<T>{} - static_cast<T>(__builtin_inf());
  Vector<T> largest[4] = {least, least, least, least};
  for_each_vector<T>(columns, [&](std::size_t j, std::size_t count, std::size_t slot) {
    largest[slot] = larger_of(load_some(row + j, count, least), largest[slot]);
  });
  return fold<T>(larger_of(larger_of(largest[0], largest[1]), larger_of(largest[2], largest[3])),
                 larger_of);
}

// exp(row - shift) of some elements of a row; 0 behind them.
template <class T>
DTORCH_INLINE Vector<T> some_exponentials(const T* row, T shift, std::size_t count) {
  const Vector<T> nothing = Vector<T>{} - static_cast<T>(__builtin_inf());
  return exponential_below<T>(load_some(row, count, nothing) - shift);
}

template <class T>
DTORCH_INLINE T row_sum_of_exponentials(const T* row, T shift, std::size_t columns) {
  return row_sum<T>(columns, [=](std::size_t j, std::size_t count) {
    return some_exponentials(row + j, shift, count);
  });
}

}  // namespace dtorch::DTORCH_CAPABILITY
