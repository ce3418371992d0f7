#include "kernels/topk.h"

#include "kernels/integers.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t block = 64;  // elements that are compared with the last one kept at once

// Whether a comes before b.
template <bool Largest, class T>
DTORCH_INLINE bool precedes(T a, T b) {
  if constexpr (Largest) {
    return a > b || (a != a && b == b);
  } else {
    return a < b || (b != b && a == a);
  }
}

// The elements kept are in order; a better one moves those after it by one.
template <bool Largest, class T>
void insert(T value, std::int64_t index, T* values, std::int64_t* indices, std::size_t count) {
  std::size_t at = count;
  for (; at > 0 && precedes<Largest>(value, values[at - 1]); --at) {
    values[at] = values[at - 1];
    indices[at] = indices[at - 1];
  }
  values[at] = value;
  indices[at] = index;
}

template <bool Largest, class T>
void top_of_row(const T* row, std::size_t n, T* values, std::int64_t* indices, std::size_t k) {
  for (std::size_t i = 0; i < k; ++i) {
    insert<Largest>(row[i], static_cast<std::int64_t>(i), values, indices, i);
  }
  for (std::size_t i = k; i < n; i += block) {
    const std::size_t some = smaller(n - i, block);
    const T last = values[k - 1];
    int better = 0;
#pragma omp simd reduction(| : better)
    for (std::size_t j = 0; j < some; ++j) {
      better |= Largest ? !(row[i + j] <= last) : !(row[i + j] >= last);
    }
    if (!better) continue;
    for (std::size_t j = i; j < i + some; ++j) {
      if (!precedes<Largest>(row[j], values[k - 1])) continue;
      insert<Largest>(row[j], static_cast<std::int64_t>(j), values, indices, k - 1);
    }
  }
}

}  // namespace

template <class T>
void top_of_rows(const T* input, T* values, std::int64_t* indices, std::size_t rows, std::size_t n,
                 std::size_t k, bool largest) {
  for (std::size_t r = 0; r < rows; ++r, input += n, values += k, indices += k) {
    if (largest) {
      top_of_row<true>(input, n, values, indices, k);
    } else {
      top_of_row<false>(input, n, values, indices, k);
    }
  }
}

#define DTORCH_INSTANTIATE(T)                                                                   \
  template void top_of_rows(const T*, T*, std::int64_t*, std::size_t, std::size_t, std::size_t, \
                            bool);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
DTORCH_INSTANTIATE(std::int64_t)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
