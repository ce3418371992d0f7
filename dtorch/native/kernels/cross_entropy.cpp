#include "kernels/cross_entropy.h"

#include "kernels/rows.h"

namespace dtorch::DTORCH_CAPABILITY {

template <class T>
std::size_t cross_entropy_forward(const T* logits, const std::int64_t* target, const T* weight,
                                  std::int64_t ignore_index, T* losses, T* row_max_out,
                                  T* row_log_sum_out, std::size_t rows, std::size_t columns) {
  for (std::size_t i = 0; i < rows; ++i, logits += columns) {
    const T largest = row_max(logits, columns);
    const T log_sum = natural_log(row_sum_of_exponentials(logits, largest, columns));
    row_max_out[i] = largest;
    row_log_sum_out[i] = log_sum;
    const std::int64_t t = target[i];
    if (t == ignore_index) {
      losses[i] = 0;
      continue;
    }
    if (t < 0 || static_cast<std::size_t>(t) >= columns) return i;
    const T loss = log_sum - (logits[t] - largest);
    losses[i] = weight == nullptr ? loss : weight[t] * loss;
  }
  return rows;
}

template <class T>
std::size_t cross_entropy_backward(const T* grad, const T* logits, const std::int64_t* target,
                                   const T* weight, std::int64_t ignore_index, const T* row_max_in,
                                   const T* row_log_sum_in, T* grad_logits, std::size_t rows,
                                   std::size_t columns) {
  for (std::size_t i = 0; i < rows; ++i, logits += columns, grad_logits += columns) {
    const std::int64_t t = target[i];
    if (t == ignore_index) {
      for (std::size_t j = 0; j < columns; ++j) grad_logits[j] = 0;
      continue;
    }
    // It may have been changed since, through an array that shares its memory.
    if (t < 0 || static_cast<std::size_t>(t) >= columns) return i;
    const T scale = weight == nullptr ? grad[i] : grad[i] * weight[t];
    const T largest = row_max_in[i];
    const T log_sum = row_log_sum_in[i];
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) {
      grad_logits[j] = scale * exponential((logits[j] - largest) - log_sum);
    }
    grad_logits[t] -= scale;
  }
  return rows;
}

#define DTORCH_INSTANTIATE(T)                                                                     \
  template std::size_t cross_entropy_forward(const T*, const std::int64_t*, const T*,             \
                                             std::int64_t, T*, T*, T*, std::size_t, std::size_t); \
  template std::size_t cross_entropy_backward(const T*, const T*, const std::int64_t*, const T*,  \
                                              std::int64_t, const T*, const T*, T*, std::size_t,  \
                                              std::size_t);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
