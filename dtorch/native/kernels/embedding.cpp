#include "kernels/embedding.h"

namespace dtorch::DTORCH_CAPABILITY {

template <class T>
void add_rows(const T* delta, const std::int64_t* index, T* out, std::size_t count,
              std::size_t columns, std::size_t first, std::size_t last) {
  for (std::size_t i = 0; i < count; ++i, delta += columns) {
    T* to = out + static_cast<std::size_t>(index[i]) * columns;
#pragma omp simd
    for (std::size_t j = first; j < last; ++j) to[j] += delta[j];
  }
}

#define DTORCH_INSTANTIATE(T)                                                                      \
  template void add_rows(const T*, const std::int64_t*, T*, std::size_t, std::size_t, std::size_t, \
                         std::size_t);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
