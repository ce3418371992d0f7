// What is common to the ways to go through the planes of a depthwise convolution: Strips, Narrow
// and Padded. Only for files in kernels/.
//
// Each has
//   shared(), write_shared(to)     elements that all threads read
//   own(), clear(to), fill(plane, to)   elements of a thread, cleared once and filled for a plane
//   convolve(planes, taps, shift, out)
//   correlate(planes, delta, sums)  sums (tap, lanes) += what the tap meets times the gradient,
//                                   window by window
#pragma once

#include "kernels/convolution.h"
#include "kernels/integers.h"
#include "kernels/simd.h"

namespace dtorch::DTORCH_CAPABILITY {

template <class T>
struct Planes {
  const T *plane, *next;  // `next` is gone through after `plane`
  const T* shared;
  T* own;
};

// Weights of one filter, forwards or backwards.
template <class T>
struct Taps {
  const T* first;
  std::ptrdiff_t step;

  Taps(const T* weight, std::size_t count, bool turned)
      : first(turned ? weight + count - 1 : weight), step(turned ? -1 : 1) {}

  T operator[](std::size_t tap) const { return first[static_cast<std::ptrdiff_t>(tap) * step]; }
};

}  // namespace dtorch::DTORCH_CAPABILITY
