// Convolution of images in which every filter sees one channel (channels / groups = 1): there is no
// matrix to multiply by, so every plane is gone through directly.
#pragma once

#include <cstddef>

#include "kernels/convolution.h"
#include "kernels/dispatch.h"

DTORCH_KERNELS(
  // Numbers of elements of the workspaces of the functions below.
  template <class T>
  std::size_t depthwise_workspace(Convolution shape);
  template <class T>
  std::size_t depthwise_input_workspace(Convolution shape);
  template <class T>
  std::size_t depthwise_weight_workspace(Convolution shape);

  // `turned`: by the kernels turned around. Bias may be null.
  template <class T>
  void depthwise_convolution(Convolution shape, const T* input, const T* weight, const T* bias,
                             bool turned, Epilogue<T> epilogue, T* out, T* workspace);

  // grad_input from the gradient `delta` of the result. One filter for each channel, and stride 1,
  // or 2 for kernels 3x3 and 5x5 without dilation and with no negative padding.
  template <class T>
  void depthwise_input(Convolution shape, const T* delta, const T* weight, T* grad_input,
                       T* workspace);

  // weight_grad from the gradient `delta` of the result.
  template <class T>
  void depthwise_weight(Convolution shape, const T* delta, const T* input, T* weight_grad,
                        T* workspace);
)
