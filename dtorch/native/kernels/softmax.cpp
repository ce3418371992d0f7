#include "kernels/softmax.h"

#include "kernels/rows.h"

namespace dtorch::DTORCH_CAPABILITY {

template <class T>
void softmax(const T* input, T* out, std::size_t rows, std::size_t columns) {
  for (std::size_t i = 0; i < rows; ++i, input += columns, out += columns) {
    const T largest = row_max(input, columns);
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t j = 0; j < columns; ++j) {
      const T e = exponential_below(input[j] - largest);
      out[j] = e;
      sum += e;
    }
    const T scale = 1 / sum;
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) out[j] *= scale;
  }
}

template <class T>
void log_softmax(const T* input, T* out, std::size_t rows, std::size_t columns) {
  for (std::size_t i = 0; i < rows; ++i, input += columns, out += columns) {
    const T largest = row_max(input, columns);
    const T log_sum = natural_log(row_sum_of_exponentials(input, largest, columns));
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) out[j] = (input[j] - largest) - log_sum;
  }
}

template <class T>
void softmax_backward(const T* grad, const T* out, T* grad_input, std::size_t rows,
                      std::size_t columns) {
  for (std::size_t i = 0; i < rows; ++i, grad += columns, out += columns, grad_input += columns) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t j = 0; j < columns; ++j) sum += grad[j] * out[j];
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) grad_input[j] = out[j] * (grad[j] - sum);
  }
}

template <class T>
void log_softmax_backward(const T* grad, const T* out, T* grad_input, std::size_t rows,
                          std::size_t columns) {
  for (std::size_t i = 0; i < rows; ++i, grad += columns, out += columns, grad_input += columns) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t j = 0; j < columns; ++j) sum += grad[j];
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) {
      grad_input[j] = grad[j] - exponential(out[j]) * sum;
    }
  }
}

#define DTORCH_INSTANTIATE(T)                                                       \
  template void softmax(const T*, T*, std::size_t, std::size_t);                    \
  template void log_softmax(const T*, T*, std::size_t, std::size_t);                \
  template void softmax_backward(const T*, const T*, T*, std::size_t, std::size_t); \
  template void log_softmax_backward(const T*, const T*, T*, std::size_t, std::size_t);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
