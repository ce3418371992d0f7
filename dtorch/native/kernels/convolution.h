// Convolution of images of any shape of kernel, stride, dilation and groups, and its gradients, as
// products of the weights with what windows.h lays out.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"
#include "kernels/epilogue.h"

namespace dtorch {

// Input (images, channels, height, width), result (images, filters, out_height, out_width), weight
// (filters, channels / groups, kernel_height, kernel_width). `slots` is the number of threads that
// the workspace is made for.
struct Convolution {
  std::size_t images, channels, height, width, filters, kernel_height, kernel_width, stride_height,
      stride_width, dilation_height, dilation_width, groups, out_height, out_width, slots;
  std::ptrdiff_t pad_height, pad_width;  // negative: so much of the input is left out
};

}  // namespace dtorch

DTORCH_KERNELS(
  // Numbers of elements of the workspaces of the functions below.
  template <class T>
  std::size_t convolution_workspace(Convolution shape);
  template <class T>
  std::size_t convolution_input_workspace(Convolution shape);
  template <class T>
  std::size_t convolution_weight_workspace(Convolution shape);

  // Bias may be null.
  template <class T>
  void convolution(Convolution shape, const T* input, const T* weight, const T* bias,
                   Epilogue<T> epilogue, T* out, T* workspace);

  // grad_input from the gradient `delta` of the result.
  template <class T>
  void convolution_input(Convolution shape, const T* delta, const T* weight, T* grad_input,
                         T* workspace);

  // weight_grad from the gradient `delta` of the result.
  template <class T>
  void convolution_weight(Convolution shape, const T* delta, const T* input, T* weight_grad,
                          T* workspace);
)
