#include "kernels/optimizer.h"

#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

DTORCH_INLINE float root(float x) { return __builtin_sqrtf(x); }
DTORCH_INLINE double root(double x) { return __builtin_sqrt(x); }

}  // namespace

template <class T>
void sgd_step(SgdOptions o, T* param, const T* grad, T* buffer, std::size_t n) {
  const T lr = static_cast<T>(o.lr), momentum = static_cast<T>(o.momentum),
          share = static_cast<T>(1 - o.dampening), decay = static_cast<T>(o.weight_decay),
          sign = o.maximize ? T(-1) : T(1);
  if (buffer == nullptr) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) param[i] -= lr * (sign * grad[i] + decay * param[i]);
    return;
  }
  const T ahead = o.nesterov ? T(1) : T(0), behind = o.nesterov ? momentum : T(1);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const T g = sign * grad[i] + decay * param[i];
    const T moved = momentum * buffer[i] + share * g;
    buffer[i] = moved;
    param[i] -= lr * (ahead * g + behind * moved);
  }
}

template <class T>
void adam_step(AdamOptions o, T* param, const T* grad, T* average, T* square, T* largest,
               std::size_t n) {
  const T beta1 = static_cast<T>(o.beta1), beta2 = static_cast<T>(o.beta2),
          rest1 = static_cast<T>(1 - o.beta1), rest2 = static_cast<T>(1 - o.beta2),
          eps = static_cast<T>(o.eps), decay = o.decoupled ? T(0) : static_cast<T>(o.weight_decay),
          shrink = o.decoupled ? static_cast<T>(1 - o.lr * o.weight_decay) : T(1),
          step = static_cast<T>(o.lr / o.correction1),
          scale = static_cast<T>(1 / __builtin_sqrt(o.correction2)),
          sign = o.maximize ? T(-1) : T(1);
  if (largest == nullptr) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      const T g = sign * grad[i] + decay * param[i];
      const T a = beta1 * average[i] + rest1 * g, s = beta2 * square[i] + rest2 * g * g;
      average[i] = a;
      square[i] = s;
      param[i] = shrink * param[i] - step * a / (root(s) * scale + eps);
    }
    return;
  }
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const T g = sign * grad[i] + decay * param[i];
    const T a = beta1 * average[i] + rest1 * g, s = beta2 * square[i] + rest2 * g * g;
    const T most = s > largest[i] || s != s ? s : largest[i];
    average[i] = a;
    square[i] = s;
    largest[i] = most;
    param[i] = shrink * param[i] - step * a / (root(most) * scale + eps);
  }
}

#define DTORCH_INSTANTIATE(T)                                        \
  template void sgd_step(SgdOptions, T*, const T*, T*, std::size_t); \
  template void adam_step(AdamOptions, T*, const T*, T*, T*, T*, std::size_t);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
