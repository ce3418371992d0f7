// Normalisation of rows: several at once, as every sum waits for the one before.
#include "kernels/moments.h"
#include "kernels/normalization.h"
#include "kernels/rows.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t rows_at_once = 4;

// function.operator()<R>(first row) for blocks of R rows.
template <class Function>
DTORCH_INLINE void for_each_block(std::size_t rows, Function function) {
  std::size_t i = 0;
  for (; i + rows_at_once <= rows; i += rows_at_once) {
    function.template operator()<rows_at_once>(i);
  }
  for (; i < rows; ++i) function.template operator()<1>(i);
}

// Totals of R rows of term(row, place, count), vectors of a row.
template <class T, std::size_t R, class F>
DTORCH_INLINE void sum_block(std::size_t columns, double* totals, F term) {
  for (std::size_t r = 0; r < R; ++r) totals[r] = 0;
  for_each_stretch<T>(columns, [&](std::size_t first, std::size_t some) {
    Vector<T> sums[R] = {};
    for_each_vector<T>(some, [&](std::size_t j, std::size_t n, std::size_t) {
#pragma GCC unroll 4
      for (std::size_t r = 0; r < R; ++r) sums[r] += term(r, first + j, n);
    });
#pragma GCC unroll 4
    for (std::size_t r = 0; r < R; ++r) totals[r] += static_cast<double>(sum_of<T>(sums[r]));
  });
}

template <class T, std::size_t R>
DTORCH_INLINE void normalize_block(const T* input, const T* weight, const T* bias, double eps,
                                   T* out, T* average, T* variance, T* scale, std::size_t columns) {
  const double count = static_cast<double>(columns);
  double sums[R], squares[R];
  Vector<T> start[R], shifts[R];
  Moments<T> found[R];
  // Differences from `from`, which is there in place of what is behind a row.
  const auto difference = [&](std::size_t r, std::size_t j, std::size_t n, Vector<T> from) {
    return load_some(input + r * columns + j, n, from) - from;
  };
#pragma GCC unroll 4
  for (std::size_t r = 0; r < R; ++r) start[r] = Vector<T>{} + pivot(input[r * columns]);
  sum_block<T, R>(columns, sums, [&](std::size_t r, std::size_t j, std::size_t n) {
    return difference(r, j, n, start[r]);
  });
#pragma GCC unroll 4
  for (std::size_t r = 0; r < R; ++r) {
    found[r].find_mean(start[r][0], sums[r], count);
    average[r] = found[r].mean;
    start[r] = Vector<T>{} + average[r];
  }
  sum_block<T, R>(columns, squares, [&](std::size_t r, std::size_t j, std::size_t n) {
    const Vector<T> x = difference(r, j, n, start[r]);
    return x * x;
  });
#pragma GCC unroll 4
  for (std::size_t r = 0; r < R; ++r) {
    const double spread = found[r].variance(squares[r], count);
    variance[r] = static_cast<T>(spread);
    scale[r] = static_cast<T>(1 / root(spread + eps));
    shifts[r] = Vector<T>{} - found[r].rest * scale[r];
  }
  for_each_vector<T>(columns, [&](std::size_t j, std::size_t n, std::size_t) {
    const Vector<T> factor = weight == nullptr ? Vector<T>{} + T(1) : load_some(weight + j, n);
    const Vector<T> shift = bias == nullptr ? Vector<T>{} : load_some(bias + j, n);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < R; ++r) {
      const Vector<T> x = load_some(input + r * columns + j, n);
      const Vector<T> standard = (x - average[r]) * scale[r] + shifts[r];
      store_some(out + r * columns + j, standard * factor + shift, n);
    }
  });
}

template <class T, std::size_t R>
DTORCH_INLINE void gradients_of_block(const T* grad, const T* input, const T* weight,
                                      const T* average, const T* scale, T* grad_input,
                                      T* weight_sums, T* bias_sums, std::size_t columns) {
  double sums[R] = {}, products[R] = {};
  for_each_stretch<T>(columns, [&](std::size_t first, std::size_t some) {
    Vector<T> part[R] = {}, part_products[R] = {};
    for_each_vector<T>(some, [&](std::size_t at, std::size_t n, std::size_t) {
      const std::size_t j = first + at;
      const Vector<T> factor = weight == nullptr ? Vector<T>{} + T(1) : load_some(weight + j, n);
      Vector<T> of_weight = {}, of_bias = {};
#pragma GCC unroll 4
      for (std::size_t r = 0; r < R; ++r) {
        const Vector<T> g = load_some(grad + r * columns + j, n);
        const Vector<T> x = (load_some(input + r * columns + j, n) - average[r]) * scale[r];
        of_bias += g;
        of_weight += g * x;
        part[r] += g * factor;
        part_products[r] += g * factor * x;
      }
      store_some(weight_sums + j, load_some(weight_sums + j, n) + of_weight, n);
      store_some(bias_sums + j, load_some(bias_sums + j, n) + of_bias, n);
    });
#pragma GCC unroll 4
    for (std::size_t r = 0; r < R; ++r) {
      sums[r] += static_cast<double>(sum_of<T>(part[r]));
      products[r] += static_cast<double>(sum_of<T>(part_products[r]));
    }
  });
  if (grad_input == nullptr) return;
  T mean_grad[R], slope[R];
#pragma GCC unroll 4
  for (std::size_t r = 0; r < R; ++r) {
    mean_grad[r] = static_cast<T>(sums[r] / static_cast<double>(columns));
    slope[r] = static_cast<T>(products[r] / static_cast<double>(columns)) * scale[r];
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
