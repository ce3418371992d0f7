#include "kernels/normalization.h"

#include "kernels/finish.h"
#include "kernels/moments.h"
#include "kernels/simd.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t at_once = 2048;  // numbers that are added up in T

// Sum of term(place) over one stretch of memory; parts of it are added up in double precision.
template <class T, class F>
DTORCH_INLINE double sum_over(std::size_t n, F term) {
  double total = 0;
  for (std::size_t first = 0; first < n; first += at_once) {
    const std::size_t end = n - first < at_once ? n : first + at_once;
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = first; i < end; ++i) sum += term(i);
    total += static_cast<double>(sum);
  }
  return total;
}

template <class T>
DTORCH_INLINE double sum_of(const T* x, std::size_t n) {
  return sum_over<T>(n, [=](std::size_t i) { return x[i]; });
}

}  // namespace

template <class T>
void sum_channels(const T* input, T* out, std::size_t images, std::size_t channels,
                  std::size_t pixels, std::size_t first, std::size_t last) {
  for (std::size_t c = first; c < last; ++c) {
    double sum = 0;
    for (std::size_t i = 0; i < images; ++i) {
      sum += sum_of(input + (i * channels + c) * pixels, pixels);
    }
    out[c] = static_cast<T>(sum);
  }
}

template <class T>
void normalize_channels(const T* input, const T* weight, const T* bias, double eps, T* out,
                        T* average, T* variance, T* scale, std::size_t images, std::size_t channels,
                        std::size_t pixels, std::size_t first, std::size_t last) {
  const double count = static_cast<double>(images * pixels);
  for (std::size_t c = first; c < last; ++c) {
    const T start = pivot(input[c * pixels]);
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < images; ++i) {
      const T* x = input + (i * channels + c) * pixels;
      sum += sum_over<T>(pixels, [=](std::size_t k) { return x[k] - start; });
    }
    Moments<T> found;
    found.find_mean(start, sum, count);
    const T mean = found.mean;
    for (std::size_t i = 0; i < images; ++i) {
      const T* x = input + (i * channels + c) * pixels;
      squares += sum_over<T>(pixels, [=](std::size_t k) { return (x[k] - mean) * (x[k] - mean); });
    }
    const double spread = found.variance(squares, count);
    average[c] = mean;
    variance[c] = static_cast<T>(spread);
    scale[c] = static_cast<T>(1 / root(spread + eps));
    const T factor = weight == nullptr ? scale[c] : scale[c] * weight[c];
    const T shift = (bias == nullptr ? T(0) : bias[c]) - found.rest * factor;
    for (std::size_t i = 0; i < images; ++i) {
      const T* from = input + (i * channels + c) * pixels;
      T* to = out + (i * channels + c) * pixels;
#pragma omp simd
      for (std::size_t k = 0; k < pixels; ++k) to[k] = (from[k] - mean) * factor + shift;
    }
  }
}

template <class T>
void normalize_channels_backward(const T* grad, const T* input, const T* weight, const T* average,
                                 const T* scale, T* grad_input, T* grad_weight, T* grad_bias,
                                 std::size_t images, std::size_t channels, std::size_t pixels,
                                 std::size_t first, std::size_t last) {
  const double count = static_cast<double>(images * pixels);
  for (std::size_t c = first; c < last; ++c) {
    double sum = 0, products = 0;
    for (std::size_t i = 0; i < images; ++i) {
      const std::size_t at = (i * channels + c) * pixels;
      sum += sum_of(grad + at, pixels);
      const T *g = grad + at, *x = input + at, mean = average[c];
      products += sum_over<T>(pixels, [=](std::size_t k) { return g[k] * (x[k] - mean); });
    }
    products *= static_cast<double>(scale[c]);
    if (grad_weight != nullptr) grad_weight[c] = static_cast<T>(products);
    if (grad_bias != nullptr) grad_bias[c] = static_cast<T>(sum);
    if (grad_input == nullptr) continue;
    const T mean = average[c];
    const T factor = weight == nullptr ? scale[c] : scale[c] * weight[c];
    const T mean_grad = static_cast<T>(sum / count);
    const T slope = static_cast<T>(products / count * static_cast<double>(scale[c]));
    for (std::size_t i = 0; i < images; ++i) {
      const std::size_t at = (i * channels + c) * pixels;
      const T* g = grad + at;
      const T* x = input + at;
      T* to = grad_input + at;
#pragma omp simd
      for (std::size_t k = 0; k < pixels; ++k) {
        to[k] = factor * ((g[k] - mean_grad) - (x[k] - mean) * slope);
      }
    }
  }
}

template <class T>
void finish_planes(const T* input, Epilogue<T> epilogue, T* out, std::size_t channels,
                   std::size_t pixels, std::size_t first, std::size_t last) {
  for (std::size_t p = first; p < last; ++p) {
    const std::size_t at = p * pixels;
    finish(epilogue, p % channels, at, pixels, input + at, out + at);
  }
}

#define DTORCH_INSTANTIATE(T)                                                                     \
  template void sum_channels(const T*, T*, std::size_t, std::size_t, std::size_t, std::size_t,    \
                             std::size_t);                                                        \
  template void normalize_channels(const T*, const T*, const T*, double, T*, T*, T*, T*,          \
                                   std::size_t, std::size_t, std::size_t, std::size_t,            \
                                   std::size_t);                                                  \
  template void normalize_channels_backward(const T*, const T*, const T*, const T*, const T*, T*, \
                                            T*, T*, std::size_t, std::size_t, std::size_t,        \
                                            std::size_t, std::size_t);                            \
  template void finish_planes(const T*, Epilogue<T>, T*, std::size_t, std::size_t, std::size_t,   \
                              std::size_t);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
