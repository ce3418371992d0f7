// Softmax and its logarithm over the rows of a matrix, and their gradients.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"

DTORCH_KERNELS(
  // out = exp(input - max) / sum of exp(input - max), in each row.
  template <class T>
  void softmax(const T* input, T* out, std::size_t rows, std::size_t columns);

  // out = input - max - log(sum of exp(input - max)), in each row.
  template <class T>
  void log_softmax(const T* input, T* out, std::size_t rows, std::size_t columns);

  // grad_input = out * (grad - sum of grad * out), in each row.
  template <class T>
  void softmax_backward(const T* grad, const T* out, T* grad_input, std::size_t rows,
                        std::size_t columns);

  // grad_input = grad - exp(out) * sum of grad, in each row.
  template <class T>
  void log_softmax_backward(const T* grad, const T* out, T* grad_input, std::size_t rows,
                            std::size_t columns);
)
