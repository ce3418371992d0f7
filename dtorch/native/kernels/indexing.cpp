#include "kernels/indexing.h"

#include "kernels/integers.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

// Numbers of a row beside each other: out[i] = row[index[i]].
template <class T>
bool take(const T* row, std::size_t rows, const std::int64_t* index, T* out, std::size_t n) {
  bool inside = true;
  for (std::size_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(index[i]);
    if (at < rows) {
      out[i] = row[at];
    } else {
      inside = false;
    }
  }
  return inside;
}

}  // namespace

template <class T>
bool take_along(const T* input, Slices s, const std::int64_t* index, T* out, std::size_t count,
                std::size_t first, std::size_t last) {
  bool inside = true;
  while (first < last) {
    const std::size_t o = first / count, i = first % count;
    const std::size_t some = smaller(last - first, count - i);
    const T* slices = input + o * s.rows * s.inner;
    const std::int64_t* at = index + first * s.inner;
    T* to = out + first * s.inner;
    if (s.inner == 1) {
      inside &= take(slices, s.rows, at, to, some);
    } else {
      for (std::size_t k = 0; k < some; ++k, at += s.inner, to += s.inner) {
        for (std::size_t j = 0; j < s.inner; ++j) {
          const auto row = static_cast<std::size_t>(at[j]);
          if (row < s.rows) {
            to[j] = slices[row * s.inner + j];
          } else {
            inside = false;
          }
        }
      }
    }
    first += some;
  }
  return inside;
}

template <class T>
bool add_along(const T* source, const std::int64_t* index, T* out, Slices s, std::size_t count,
               std::size_t first, std::size_t last) {
  bool inside = true;
  for (std::size_t o = first; o < last; ++o) {
    T* slices = out + o * s.rows * s.inner;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t from = (o * count + i) * s.inner;
      for (std::size_t j = 0; j < s.inner; ++j) {
        const auto at = static_cast<std::size_t>(index[from + j]);
        if (at < s.rows) {
          slices[at * s.inner + j] += source[from + j];
        } else {
          inside = false;
        }
      }
    }
  }
  return inside;
}

template <class T>
bool add_rows(const T* source, const std::int64_t* index, T* out, Slices s, std::size_t count,
              std::size_t first, std::size_t last) {
  bool inside = true;
  for (std::size_t o = 0; o < s.outer; ++o, out += s.rows * s.inner) {
    for (std::size_t i = 0; i < count; ++i, source += s.inner) {
      const auto at = static_cast<std::size_t>(index[i]);
      if (at >= s.rows) {
        inside = false;
        continue;
      }
      T* to = out + at * s.inner;
#pragma omp simd
      for (std::size_t j = first; j < last; ++j) to[j] += source[j];
    }
  }
  return inside;
}

#define DTORCH_INSTANTIATE(T)                                                                  \
  template bool add_along(const T*, const std::int64_t*, T*, Slices, std::size_t, std::size_t, \
                          std::size_t);                                                        \
  template bool add_rows(const T*, const std::int64_t*, T*, Slices, std::size_t, std::size_t,  \
                         std::size_t);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
DTORCH_INSTANTIATE(std::uint64_t)
#undef DTORCH_INSTANTIATE

#define DTORCH_INSTANTIATE(T)                                                                   \
  template bool take_along(const T*, Slices, const std::int64_t*, T*, std::size_t, std::size_t, \
                           std::size_t);
DTORCH_INSTANTIATE(std::uint8_t)
DTORCH_INSTANTIATE(std::uint16_t)
DTORCH_INSTANTIATE(std::uint32_t)
DTORCH_INSTANTIATE(std::uint64_t)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
