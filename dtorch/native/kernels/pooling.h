// The largest number or the sum of each window of a plane, and what hands gradients back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.h"

namespace dtorch {

// Windows of planes (height, width); result planes (out_height, out_width). A window may reach
// beyond both ends of the plane.
struct Pooling {
  std::size_t height, width, kernel_height, kernel_width, stride_height, stride_width, pad_height,
      pad_width, dilation_height, dilation_width, out_height, out_width;
};

}  // namespace dtorch

DTORCH_KERNELS(
  // Number of elements of the workspace of the next two functions.
  template <class T>
  std::size_t pooling_workspace(Pooling shape);

  // Largest element of each window and its place in the plane; the first of equal ones, the last
  // NaN if there is one. `index` may be null.
  template <class T>
  void max_pool(Pooling shape, const T* input, T* out, std::int64_t* index, std::size_t planes,
                T* workspace);

  // out = sum of each window * factor.
  template <class T>
  void sum_pool(Pooling shape, const T* input, T factor, T* out, std::size_t planes,
                T* workspace);

  // out (planes of height * width) = sum of delta * factor over the windows that see an element.
  template <class T>
  void spread_windows(Pooling shape, const T* delta, T factor, T* out, std::size_t planes);

  // out (planes of `size`) = zeros, plus delta (planes of `count`) at the places in index. Stops
  // at a place outside and returns false.
  template <class T>
  bool add_at_places(const T* delta, const std::int64_t* index, T* out, std::size_t planes,
                     std::size_t count, std::size_t size);
)
