// Activation functions and their gradients, element by element.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"

namespace dtorch {

// In parentheses the parameters a, b and c.
enum class Activation {
  celu,         // x above 0, else a (exp(c x) - 1), times b above 0 (scales of selu, elu and celu)
  hardsigmoid,  // x / 6 + 1/2, from 0 to 1
  hardswish,    // x times hardsigmoid of it
  hardtanh,     // x, from a to b
  leaky_relu,   // x above 0, else a x
  logsigmoid,   // -log(1 + exp(-x))
  mish,         // x tanh(log(1 + exp(x)))
  sigmoid,      // gradient from the result
  silu,         // x sigmoid(x)
  softplus,     // log(1 + exp(a x)) / a; x where a x is above b
  tanh,         // gradient from the result
};

struct ActivationParameters {
  double a, b, c;
};

}  // namespace dtorch

DTORCH_KERNELS(
  template <class T>
  void activate(Activation f, ActivationParameters p, const T* input, T* out, std::size_t n);

  // grad_input[i] = grad[i] times the slope at known[i], which is the input or, where the list above
  // says so, the result.
  template <class T>
  void activate_backward(Activation f, ActivationParameters p, const T* grad, const T* known,
                         T* grad_input, std::size_t n);
)
