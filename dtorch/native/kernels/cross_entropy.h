// Logarithm of the softmax and negative log-likelihood in one pass over the logits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.h"

DTORCH_KERNELS(
  // losses[i] = weight[t] * (log(sum of exp(logits[i] - max)) + max - logits[i, t]), t = target[i];
  // 0 where t is ignore_index. weight may be null: all ones. Writes max and log(sum) of each row,
  // apart from each other, because their sum would lose the small one's digits.
  // Both return the first row whose target is out of range and not ignored (then the results are
  // incomplete), or `rows`.
  template <class T>
  std::size_t cross_entropy_forward(const T* logits, const std::int64_t* target, const T* weight,
                                    std::int64_t ignore_index, T* losses, T* row_max_out,
                                    T* row_log_sum_out, std::size_t rows, std::size_t columns);

  // grad_logits[i, j] = grad[i] * weight[t] * (softmax(logits[i])[j] - (j == t)); 0 in ignored rows.
  template <class T>
  std::size_t cross_entropy_backward(const T* grad, const T* logits, const std::int64_t* target,
                              const T* weight, std::int64_t ignore_index, const T* row_max_in,
                              const T* row_log_sum_in, T* grad_logits, std::size_t rows,
                              std::size_t columns);
)
