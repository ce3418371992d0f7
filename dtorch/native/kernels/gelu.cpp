#include "kernels/gelu.h"

#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr float root_of_half = 0.70710678118654752f;
constexpr float density_at_0 = 0.39894228040143268f;  // 1 / sqrt(2 pi)

}  // namespace

void gelu(const float* input, float* out, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const float x = input[i];
    out[i] = 0.5f * x * (1.0f + error_function(x * root_of_half));
  }
}

void gelu_backward(const float* grad, const float* input, float* grad_input, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const float x = input[i];
    const float share = 0.5f * (1.0f + error_function(x * root_of_half));
    grad_input[i] = grad[i] * (share + x * density_at_0 * exponential(-0.5f * x * x));
  }
}

}  // namespace dtorch::DTORCH_CAPABILITY
