#include "kernels/gelu.h"

#include "kernels/rows.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

// A power of two that is 0 in single precision.
constexpr Vector<float> nothing = Vector<float>{} - 150.0f;

// Normal distribution function: 2^q(|x|) below 0, where a polynomial q is fitted to the logarithm
// so that this times x is nowhere wrong by more than 2e-8; beyond 6 nothing is left.
DTORCH_INLINE Vector<float> share_below(Vector<float> x) {
  const Vector<float> size = magnitude(x);
  Vector<float> q = Vector<float>{} + 2.07498006e-7f;
  q = q * size - 4.92813655e-6f;
  q = q * size + 4.65793031e-5f;
  q = q * size - 1.93650411e-4f;
  q = q * size - 1.47446654e-4f;
  q = q * size + 7.09449287e-3f;
  q = q * size - 5.25220378e-2f;
  q = q * size - 4.59199898e-1f;
  q = q * size - 1.151106f;
  q = q * size - 1.0f;
  const Vector<float> tail = power_of_2(size > 6.0f ? nothing : q);
  return x < 0.0f ? tail : 1.0f - tail;
}

DTORCH_INLINE Vector<float> density(Vector<float> x) {
  constexpr float at_0 = 0.39894228040143268f;  // 1 / sqrt(2 pi)
  constexpr float half_of_log2_e = 0.72134752044448170f;
  return at_0 * power_of_2(at_least<float>(nothing, x * x * -half_of_log2_e));
}

}  // namespace

void gelu(const float* input, float* out, std::size_t n) {
  for_each_vector<float>(n, [=](std::size_t i, std::size_t count, std::size_t) {
    const Vector<float> x = load_some(input + i, count);
    store_some(out + i, x * share_below(x), count);
  });
}

void gelu_backward(const float* grad, const float* input, float* grad_input, std::size_t n) {
  for_each_vector<float>(n, [=](std::size_t i, std::size_t count, std::size_t) {
    const Vector<float> x = load_some(input + i, count);
    const Vector<float> slope = share_below(x) + x * density(x);
    store_some(grad_input + i, load_some(grad + i, count) * slope, count);
  });
}

}  // namespace dtorch::DTORCH_CAPABILITY
