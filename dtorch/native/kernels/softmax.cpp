#include "kernels/softmax.h"

#include "kernels/rows.h"

namespace dtorch::DTORCH_CAPABILITY {

template <class T>
void softmax(const T* input, T* out, std::size_t rows, std::size_t columns) {
  for (std::size_t i = 0; i < rows; ++i, input += columns, out += columns) {
    const T largest = row_max(input, columns);
    const T sum = row_sum<T>(columns, [=](std::size_t j, std::size_t count) {
      const Vector<T> e = some_exponentials(input + j, largest, count);
      store_some(out + j, e, count);
      return e;
    });
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
    const T sum = row_sum<T>(columns, [=](std::size_t j, std::size_t count) {
      return load_some(grad + j, count) * load_some(out + j, count);
    });
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) grad_input[j] = out[j] * (grad[j] - sum);
  }
}

template <class T>
void log_softmax_backward(const T* grad, const T* out, T* grad_input, std::size_t rows,
                          std::size_t columns) {
  for (std::size_t i = 0; i < rows; ++i, grad += columns, out += columns, grad_input += columns) {
    const T sum = row_sum<T>(
        columns, [=](std::size_t j, std::size_t count) { return load_some(grad + j, count); });
    for_each_vector<T>(columns, [=](std::size_t j, std::size_t count, std::size_t) {
      const Vector<T> p = exponential<T>(load_some(out + j, count));
      store_some(grad_input + j, load_some(grad + j, count) - p * sum, count);
    });
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
