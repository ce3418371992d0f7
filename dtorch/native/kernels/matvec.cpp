#include "kernels/matvec.h"

#include "kernels/integers.h"
#include "kernels/simd.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t at_once = 4;  // independent sums, because an addition takes a while
// Sums of some hundred products, and of their sums: errors grow with the root of the length.
constexpr std::size_t block = 512;

// The sum over `columns`, at most `block` vectors for each of the independent sums.
template <class T>
T dot(const T* a, const T* b, std::size_t columns) {
  constexpr std::size_t n = lanes<T>;
  Vector<T> sums[at_once] = {};
  std::size_t j = 0;
  for (; j + at_once * n <= columns; j += at_once * n) {
#pragma GCC unroll 4
    for (std::size_t k = 0; k < at_once; ++k) sums[k] += load(a + j + k * n) * load(b + j + k * n);
  }
  for (; j < columns; j += n)
    sums[0] += load_some(a + j, columns - j) * load_some(b + j, columns - j);
  return fold<T>((sums[0] + sums[1]) + (sums[2] + sums[3]),
                 [](Vector<T> x, Vector<T> y) { return x + y; });
}

constexpr std::size_t panel = 512;  // columns whose sums stay in the first cache

// Adds the sums of some rows to those of up to `panel` columns.
template <class T>
void add_rows_to(const T* vector, const T* matrix, std::size_t step, std::size_t rows,
                 std::size_t columns, T* out) {
  T sums[panel];
  for (std::size_t j = 0; j < columns; ++j) sums[j] = 0;
  std::size_t i = 0;
  for (; i + at_once <= rows; i += at_once, matrix += at_once * step) {
    const T a = vector[i], b = vector[i + 1], c = vector[i + 2], d = vector[i + 3];
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) {
      sums[j] += (a * matrix[j] + b * matrix[j + step]) +
                 (c * matrix[j + 2 * step] + d * matrix[j + 3 * step]);
    }
  }
  for (; i < rows; ++i, matrix += step) {
    const T a = vector[i];
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) sums[j] += a * matrix[j];
  }
  for (std::size_t j = 0; j < columns; ++j) out[j] += sums[j];
}

}  // namespace

template <class T>
void matrix_times_vector(const T* matrix, std::size_t step, std::size_t rows, std::size_t columns,
                         const T* vector, T* out) {
  constexpr std::size_t whole = block * at_once * lanes<T>;
  for (std::size_t i = 0; i < rows; ++i, matrix += step) {
    T sum = 0;
    for (std::size_t j = 0; j < columns; j += whole) {
      sum += dot(matrix + j, vector + j, smaller(columns - j, whole));
    }
    out[i] = sum;
  }
}

template <class T>
void vector_times_matrix(const T* vector, const T* matrix, std::size_t step, std::size_t rows,
                         std::size_t columns, T* out) {
  for (std::size_t j = 0; j < columns; ++j) out[j] = 0;
  for (std::size_t i = 0; i < rows; i += block) {
    const std::size_t some = smaller(rows - i, block);
    for (std::size_t j = 0; j < columns; j += panel) {
      add_rows_to(vector + i, matrix + i * step + j, step, some, smaller(columns - j, panel),
                  out + j);
    }
  }
}

#define DTORCH_INSTANTIATE(T)                                                                  \
  template void matrix_times_vector(const T*, std::size_t, std::size_t, std::size_t, const T*, \
                                    T*);                                                       \
  template void vector_times_matrix(const T*, const T*, std::size_t, std::size_t, std::size_t, T*);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
