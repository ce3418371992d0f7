#include "kernels/depthwise.h"

#include "kernels/finish.h"
#include "kernels/items.h"
#include "kernels/windows.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t at_once = 4;  // vectors of windows, or taps, whose sums are in registers

// Parts of a slot's workspace: offsets and weights of the taps, the planes of a channel and a
// number for every window, both with what vectors reach behind them.
template <class T>
struct Parts {
  std::size_t taps, count, table, planes, sums;

  Parts(const Convolution& s, const Windows<T>& windows)
      : taps(s.kernel_height * s.kernel_width),
        count(windows.numbers(s.out_height)),
        table(round_up(taps * (sizeof(std::size_t) / sizeof(T) + 1), lanes<T>)),
        planes(round_up(windows.channel, lanes<T>) + (at_once + 1) * lanes<T>),
        sums(round_up(count, at_once * lanes<T>) + lanes<T>) {}

  std::size_t size() const { return table + planes + sums; }
};

template <class T>
void convolve_plane(const Parts<T>& parts, const T* planes, const std::size_t* offsets,
                    const T* weights, T shift, T* sums) {
  for (std::size_t n = 0; n < parts.count; n += at_once * lanes<T>) {
    Vector<T> sum[at_once];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < at_once; ++i) sum[i] = Vector<T>{} + shift;
    for (std::size_t t = 0; t < parts.taps; ++t) {
      const T* from = planes + offsets[t] + n;
      const T weight = weights[t];
#pragma GCC unroll 4
      for (std::size_t i = 0; i < at_once; ++i) sum[i] += weight * load(from + i * lanes<T>);
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < at_once; ++i) store(sums + n + i * lanes<T>, sum[i]);
  }
}

// Square kernels of a fixed size at stride 1: down a strip of vectors, every row is loaded once for
// the rows of the result that see it, and nothing is copied before.
template <class T, std::size_t K>
void convolve_strips(const Convolution& s, const T* plane, const T* weights, T shift, T* out) {
  const auto width = static_cast<std::ptrdiff_t>(s.width);
  const auto height = static_cast<std::ptrdiff_t>(s.height);
  for (std::size_t x = 0; x < s.out_width; x += lanes<T>) {
    const std::ptrdiff_t left = static_cast<std::ptrdiff_t>(x) - s.pad_width;
    Vector<T> sums[K];  // of the rows that end with this one, with the next, ...
#pragma GCC unroll 5
    for (std::size_t i = 0; i < K; ++i) sums[i] = Vector<T>{} + shift;
    for (std::size_t y = 0; y < s.out_height + K - 1; ++y) {
      const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(y) - s.pad_height;
      if (row >= 0 && row < height) {
        const T* line = plane + row * width + left;
#pragma GCC unroll 5
        for (std::size_t j = 0; j < K; ++j) {
          const std::ptrdiff_t at = left + static_cast<std::ptrdiff_t>(j);
          const Vector<T> met = load_between(line + j, -at, width - at);
#pragma GCC unroll 5
          for (std::size_t i = 0; i < K; ++i) sums[i] += weights[(K - 1 - i) * K + j] * met;
        }
      }
      if (y + 1 >= K) store_some(out + (y + 1 - K) * s.out_width + x, sums[0], s.out_width - x);
#pragma GCC unroll 5
      for (std::size_t i = 0; i + 1 < K; ++i) sums[i] = sums[i + 1];
      sums[K - 1] = Vector<T>{} + shift;
    }
  }
}

// Whether there are strips for this shape.
bool goes_in_strips(const Convolution& s) {
  return s.stride_height == 1 && s.stride_width == 1 && s.dilation_height == 1 &&
         s.dilation_width == 1 && s.kernel_height == s.kernel_width &&
         (s.kernel_height == 3 || s.kernel_height == 5);
}

// sums[tap] += what the tap meets times the gradient, over one plane.
template <class T>
void correlate_plane(const Parts<T>& parts, const T* planes, const std::size_t* offsets,
                     const T* delta, T* sums) {
  for (std::size_t t = 0; t < parts.taps; t += at_once) {
    const std::size_t some = smaller(parts.taps - t, at_once);
    const T* from[at_once];
    Vector<T> sum[at_once] = {};
    for (std::size_t i = 0; i < at_once; ++i) from[i] = planes + offsets[t + (i < some ? i : 0)];
    for (std::size_t n = 0; n < parts.count; n += lanes<T>) {
      const Vector<T> grad = load(delta + n);
#pragma GCC unroll 4
      for (std::size_t i = 0; i < at_once; ++i) sum[i] += grad * load(from[i] + n);
    }
    for (std::size_t i = 0; i < some; ++i) {
      T total = 0;
      for (std::size_t k = 0; k < lanes<T>; ++k) total += sum[i][k];
      sums[t + i] += total;
    }
  }
}

}  // namespace

template <class T>
std::size_t depthwise_workspace(Convolution s) {
  return s.slots * Parts<T>(s, Windows<T>(s, s.out_height)).size();
}

template <class T>
void depthwise_convolution(Convolution s, const T* input, const T* weight, const T* bias,
                           bool turned, Epilogue<T> epilogue, T* out, T* workspace) {
  const Windows<T> windows(s, s.out_height);
  const Parts<T> parts(s, windows);
  const std::size_t taps = parts.taps, filters = s.filters / s.groups;
  const std::size_t pixels = s.out_height * s.out_width;
  const bool strips = goes_in_strips(s), finished = epilogue.changes();
  for_each_item(s.images * s.channels, s.slots, [&](std::size_t item, std::size_t slot) {
    T* memory = workspace + slot * parts.size();
    auto* offsets = reinterpret_cast<std::size_t*>(memory);
    T* weights = reinterpret_cast<T*>(offsets + taps);
    T* planes = memory + parts.table;
    T* sums = planes + parts.planes;
    const T* plane = input + item * s.height * s.width;
    if (!strips) {
      for (std::size_t t = 0; t < taps; ++t) offsets[t] = windows.offset(t);
      windows.fill(plane, 0, s.out_height, planes);
    }
    for (std::size_t f = 0; f < filters; ++f) {
      const std::size_t filter = item % s.channels * filters + f;
      for (std::size_t t = 0; t < taps; ++t) {
        weights[t] = weight[filter * taps + (turned ? taps - 1 - t : t)];
      }
      const T shift = bias == nullptr ? T(0) : bias[filter];
      const std::size_t at = (item * filters + f) * pixels;
      T* to = out + at;
      if (strips && s.kernel_height == 3) {
        convolve_strips<T, 3>(s, plane, weights, shift, to);
      } else if (strips) {
        convolve_strips<T, 5>(s, plane, weights, shift, to);
      } else {
        convolve_plane(parts, planes, offsets, weights, shift, sums);
        for (std::size_t y = 0; y < s.out_height; ++y) {
          for (std::size_t x = 0; x < s.out_width; x += lanes<T>) {
            store_some(to + y * s.out_width + x, load(sums + y * windows.row + x), s.out_width - x);
          }
        }
      }
      if (finished) finish(epilogue, filter, at, pixels, to, to);
    }
  });
}

template <class T>
void depthwise_weight(Convolution s, const T* delta, const T* input, T* weight_grad, T* workspace) {
  const Windows<T> windows(s, s.out_height);
  const Parts<T> parts(s, windows);
  const std::size_t taps = parts.taps, filters = s.filters / s.groups;
  const std::size_t pixels = s.out_height * s.out_width;
  for_each_item(s.channels, s.slots, [&](std::size_t channel, std::size_t slot) {
    T* memory = workspace + slot * parts.size();
    auto* offsets = reinterpret_cast<std::size_t*>(memory);
    T* planes = memory + parts.table;
    T* grads = planes + parts.planes;
    for (std::size_t t = 0; t < taps; ++t) offsets[t] = windows.offset(t);
    // Vectors meet numbers without a window, and what lies behind the planes, with a factor of 0.
    __builtin_memset(planes, 0, (parts.planes + parts.sums) * sizeof(T));
    __builtin_memset(weight_grad + channel * filters * taps, 0, filters * taps * sizeof(T));
    for (std::size_t image = 0; image < s.images; ++image) {
      windows.fill(input + (image * s.channels + channel) * s.height * s.width, 0, s.out_height,
                   planes);
      for (std::size_t f = 0; f < filters; ++f) {
        const std::size_t filter = channel * filters + f;
        const T* from = delta + (image * s.filters + filter) * pixels;
        for (std::size_t y = 0; y < s.out_height; ++y, from += s.out_width) {
          T* to = grads + y * windows.row;
          for (std::size_t x = 0; x < s.out_width; x += lanes<T>) {
            store_some(to + x, load_some(from + x, s.out_width - x), s.out_width - x);
          }
        }
        correlate_plane(parts, planes, offsets, grads, weight_grad + filter * taps);
      }
    }
  });
}

#define DTORCH_INSTANTIATE(T)                                                          \
  template std::size_t depthwise_workspace<T>(Convolution);                            \
  template void depthwise_convolution(Convolution, const T*, const T*, const T*, bool, \
                                      Epilogue<T>, T*, T*);                            \
  template void depthwise_weight(Convolution, const T*, const T*, T*, T*);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
