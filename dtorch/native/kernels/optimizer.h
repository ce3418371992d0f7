// Steps of optimisers in one pass over a parameter, its gradient and its state.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"

namespace dtorch {

struct SgdOptions {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
};

struct AdamOptions {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled, maximize;
  double correction1, correction2;  // 1 - beta ** step
};

}  // namespace dtorch

DTORCH_KERNELS(
  // Buffer may be null, then there is no momentum.
  template <class T>
  void sgd_step(SgdOptions options, T* param, const T* grad, T* buffer, std::size_t n);

  // Largest may be null; otherwise the largest average of squares so far (AMSGrad).
  template <class T>
  void adam_step(AdamOptions options, T* param, const T* grad, T* average, T* square, T* largest,
                 std::size_t n);
)
