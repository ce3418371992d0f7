// Numbers standardised over a batch (one mean for each channel) or over rows.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"
#include "kernels/epilogue.h"

DTORCH_KERNELS(
  // out (channels first .. last) = sums over images and pixels.
  template <class T>
  void sum_channels(const T* input, T* out, std::size_t images, std::size_t channels,
                    std::size_t pixels, std::size_t first, std::size_t last);

  // Channels first .. last of (images, channels, pixels): out = (input - mean) * scale * weight +
  // bias, with scale = 1 / sqrt(variance + eps). Weight and bias may be null.
  template <class T>
  void normalize_channels(const T* input, const T* weight, const T* bias, double eps, T* out,
                          T* average, T* variance, T* scale, std::size_t images,
                          std::size_t channels, std::size_t pixels, std::size_t first,
                          std::size_t last);

  // Its gradients; each of grad_input, grad_weight and grad_bias may be null.
  template <class T>
  void normalize_channels_backward(const T* grad, const T* input, const T* weight,
                                   const T* average, const T* scale, T* grad_input,
                                   T* grad_weight, T* grad_bias, std::size_t images,
                                   std::size_t channels, std::size_t pixels, std::size_t first,
                                   std::size_t last);

  // Planes first .. last of what the epilogue makes of the input.
  template <class T>
  void finish_planes(const T* input, Epilogue<T> epilogue, T* out, std::size_t channels,
                     std::size_t pixels, std::size_t first, std::size_t last);

  // The same for each row by itself; weight and bias are those of the columns.
  template <class T>
  void normalize_rows(const T* input, const T* weight, const T* bias, double eps, T* out,
                      T* average, T* variance, T* scale, std::size_t rows, std::size_t columns);

  // grad_input may be null. Adds the gradients of weight and bias to sums (columns).
  template <class T>
  void normalize_rows_backward(const T* grad, const T* input, const T* weight, const T* average,
                               const T* scale, T* grad_input, T* weight_sums, T* bias_sums,
                               std::size_t rows, std::size_t columns);
)
