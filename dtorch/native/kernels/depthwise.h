// Convolution of images in which every filter sees one channel (channels / groups = 1): there is no
// matrix to multiply by, so every plane is gone through directly.
#pragma once

#include <cstddef>

#include "kernels/convolution.h"
#include "kernels/dispatch.h"

DTORCH_KERNELS(
  template <class T>
  std::size_t depthwise_workspace(Convolution shape);

  // `turned`: by the kernels turned around. Bias may be null.
  template <class T>
  void depthwise_convolution(Convolution shape, const T* input, const T* weight, const T* bias,
                             bool turned, Epilogue<T> epilogue, T* out, T* workspace);

  template <class T>
  void depthwise_weight(Convolution shape, const T* delta, const T* input, T* weight_grad,
                        T* workspace);
)
