// Normalisation of rows: several at once, as every sum waits for the one before.
#include "kernels/normalization.h"
#include "kernels/rows.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t rows_at_once = 4;

DTORCH_INLINE double root(double x) { return __builtin_sqrt(x); }

template <class T>
DTORCH_INLINE T sum_of(Vector<T> x) {
  return fold<T>(x, [](Vector<T> a, Vector<T> b) { return a + b; });
}

// function.operator()<R>(first row) for blocks of R rows.
template <class Function>
DTORCH_INLINE void for_each_block(std::size_t rows, Function function) {
  std::size_t i = 0;
  for (; i + rows_at_once <= rows; i += rows_at_once) {
    function.template operator()<rows_at_once>(i);
  }
  for (; i < rows; ++i) function.template operator()<1>(i);
}

template <class T, std::size_t R>
DTORCH_INLINE void normalize_block(const T* input, const T* weight, const T* bias, double eps,
                                   T* out, T* average, T* variance, T* scale, std::size_t columns) {
  const double count = static_cast<double>(columns);
  Vector<T> sums[R] = {}, squares[R] = {};
  for_each_vector<T>(columns, [&](std::size_t j, std::size_t n, std::size_t) {
#pragma GCC unroll 4
    for (std::size_t r = 0; r < R; ++r) sums[r] += load_some(input + r * columns + j, n);
  });
#pragma GCC unroll 4
  for (std::size_t r = 0; r < R; ++r) {
    average[r] = static_cast<T>(static_cast<double>(sum_of<T>(sums[r])) / count);
  }
  for_each_vector<T>(columns, [&](std::size_t j, std::size_t n, std::size_t) {
#pragma GCC unroll 4
    for (std::size_t r = 0; r < R; ++r) {
      const Vector<T> mean = Vector<T>{} + average[r];
      const Vector<T> x = n == lanes<T> ? load(input + r * columns + j)
                                        : Between<T>(0, static_cast<std::ptrdiff_t>(n))
                                              .load_or(input + r * columns + j, mean);
      squares[r] += (x - mean) * (x - mean);
    }
  });
#pragma GCC unroll 4
  for (std::size_t r = 0; r < R; ++r) {
    const double spread = static_cast<double>(sum_of<T>(squares[r])) / count;
    variance[r] = static_cast<T>(spread);
    scale[r] = static_cast<T>(1 / root(spread + eps));
  }
  for_each_vector<T>(columns, [&](std::size_t j, std::size_t n, std::size_t) {
    const Vector<T> factor = weight == nullptr ? Vector<T>{} + T(1) : load_some(weight + j, n);
    const Vector<T> shift = bias == nullptr ? Vector<T>{} : load_some(bias + j, n);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < R; ++r) {
      const Vector<T> x = load_some(input + r * columns + j, n);
      store_some(out + r * columns + j, (x - average[r]) * scale[r] * factor + shift, n);
    }
  });
}

template <class T, std::size_t R>
DTORCH_INLINE void gradients_of_block(const T* grad, const T* input, const T* weight,
                                      const T* average, const T* scale, T* grad_input,
                                      T* weight_sums, T* bias_sums, std::size_t columns) {
  Vector<T> sums[R] = {}, products[R] = {};
  for_each_vector<T>(columns, [&](std::size_t j, std::size_t n, std::size_t) {
    const Vector<T> factor = weight == nullptr ? Vector<T>{} + T(1) : load_some(weight + j, n);
    Vector<T> of_weight = load_some(weight_sums + j, n), of_bias = load_some(bias_sums + j, n);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < R; ++r) {
      const Vector<T> g = load_some(grad + r * columns + j, n);
      const Vector<T> x = (load_some(input + r * columns + j, n) - average[r]) * scale[r];
      of_bias += g;
      of_weight += g * x;
      sums[r] += g * factor;
      products[r] += g * factor * x;
    }
    store_some(weight_sums + j, of_weight, n);
    store_some(bias_sums + j, of_bias, n);
  });
  if (grad_input == nullptr) return;
  T mean_grad[R], slope[R];
#pragma GCC unroll 4
  for (std::size_t r = 0; r < R; ++r) {
    mean_grad[r] = sum_of<T>(sums[r]) / static_cast<T>(columns);
    slope[r] = sum_of<T>(products[r]) / static_cast<T>(columns) * scale[r];
  }
  for_each_vector<T>(columns, [&](std::size_t j, std::size_t n, std::size_t) {
    const Vector<T> factor = weight == nullptr ? Vector<T>{} + T(1) : load_some(weight + j, n);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < R; ++r) {
      const Vector<T> g = load_some(grad + r * columns + j, n) * factor;
      const Vector<T> x = load_some(input + r * columns + j, n) - average[r];
      store_some(grad_input + r * columns + j, ((g - mean_grad[r]) - x * slope[r]) * scale[r], n);
    }
  });
}

}  // namespace

template <class T>
void normalize_rows(const T* input, const T* weight, const T* bias, double eps, T* out, T* average,
                    T* variance, T* scale, std::size_t rows, std::size_t columns) {
  for_each_block(rows, [=]<std::size_t R>(std::size_t i) {
    normalize_block<T, R>(input + i * columns, weight, bias, eps, out + i * columns, average + i,
                          variance + i, scale + i, columns);
  });
}

template <class T>
void normalize_rows_backward(const T* grad, const T* input, const T* weight, const T* average,
                             const T* scale, T* grad_input, T* weight_sums, T* bias_sums,
                             std::size_t rows, std::size_t columns) {
  for_each_block(rows, [=]<std::size_t R>(std::size_t i) {
    const std::size_t at = i * columns;
    gradients_of_block<T, R>(grad + at, input + at, weight, average + i, scale + i,
                             grad_input == nullptr ? nullptr : grad_input + at, weight_sums,
                             bias_sums, columns);
  });
}

#define DTORCH_INSTANTIATE(T)                                                                     \
  template void normalize_rows(const T*, const T*, const T*, double, T*, T*, T*, T*, std::size_t, \
                               std::size_t);                                                      \
  template void normalize_rows_backward(const T*, const T*, const T*, const T*, const T*, T*, T*, \
                                        T*, std::size_t, std::size_t);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
