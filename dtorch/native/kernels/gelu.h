// Gaussian error linear unit, exact, in single precision.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"

DTORCH_KERNELS(
  void gelu(const float* input, float* out, std::size_t n);

  void gelu_backward(const float* grad, const float* input, float* grad_input, std::size_t n);
)
