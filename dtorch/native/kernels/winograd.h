// Convolution of images with 3x3 kernels by Winograd's method, for 4x4 outputs at a time. Stride 1:
// 36 multiplications instead of 144, F(4x4, 3x3), Lavin and Gray 2015, arXiv:1509.09308. Stride 2:
// 81 instead of 144, by even and odd elements.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"
#include "kernels/epilogue.h"

namespace dtorch {

// out (images, filters, out_height, out_width) of input (images, channels, height, width). `slots`
// is the number of threads that the workspace is made for.
struct Winograd {
  std::size_t images, channels, height, width, filters, out_height, out_width, stride, pad_height,
      pad_width, slots;
};

}  // namespace dtorch

DTORCH_KERNELS(
  // Number of elements of the workspace of winograd_convolution.
  std::size_t winograd_workspace(Winograd shape, bool transposed);

  // Weight is (filters, channels, 3, 3), or, if `transposed`, (channels, filters, 3, 3) and turned
  // around: then `input` is the gradient of a convolution's result and `out` that of its input; at
  // stride 2 padding is 1 in the convolution, and 0 here. Bias may be null. Every sum has an error of some 1e-6 of its largest terms.
  void winograd_convolution(Winograd shape, const float* input, const float* weight,
                            const float* bias, bool transposed, Epilogue<float> epilogue,
                            float* out, float* workspace);

  std::size_t winograd_weight_workspace(Winograd shape);

  // weight_grad (filters, channels, 3, 3) from the gradient `delta` of the result of a convolution
  // at stride 1.
  void winograd_weight(Winograd shape, const float* delta, const float* input, float* weight_grad,
                       float* workspace);
)
