#include "kernels/depthwise.h"

#include "kernels/integers.h"
#include "kernels/items.h"
#include "kernels/simd.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

// A plane with its padding, as far as windows reach, and two vectors more: the last loads of a row
// are whole.
template <class T>
struct Padded {
  std::size_t rows, columns, row;

  explicit Padded(const Convolution& s)
      : rows((s.out_height - 1) * s.stride_height + (s.kernel_height - 1) * s.dilation_height + 1),
        columns((s.out_width - 1) * s.stride_width + (s.kernel_width - 1) * s.dilation_width + 1),
        row(round_up(columns, lanes<T>) + 2 * lanes<T> * s.stride_width) {}

  std::size_t size() const { return rows * row; }

  void fill(const Convolution& s, const T* plane, T* out) const {
    const auto height = static_cast<std::ptrdiff_t>(s.height);
    const std::size_t skipped = s.pad_width > 0 ? static_cast<std::size_t>(s.pad_width) : 0;
    const std::size_t cut = s.pad_width < 0 ? static_cast<std::size_t>(-s.pad_width) : 0;
    const std::size_t known = s.width > cut ? s.width - cut : 0;
    for (std::size_t y = 0; y < rows; ++y, out += row) {
      const std::ptrdiff_t from = static_cast<std::ptrdiff_t>(y) - s.pad_height;
      __builtin_memset(out, 0, row * sizeof(T));
      if (from < 0 || from >= height || skipped >= columns) continue;
      __builtin_memcpy(out + skipped, plane + from * static_cast<std::ptrdiff_t>(s.width) + cut,
                       smaller(known, columns - skipped) * sizeof(T));
    }
  }
};

template <class T, std::size_t Step>
DTORCH_INLINE Vector<T> load_steps(const T* from, std::size_t step) {
  if constexpr (Step == 1) {
    return load(from);
  } else if constexpr (Step == 2) {
    return even_elements<T>(load(from), load(from + lanes<T>));
  } else {
    T values[lanes<T>];
    for (std::size_t i = 0; i < lanes<T>; ++i) values[i] = from[i * step];
    return load(values);
  }
}

// One plane of the result.
template <class T, std::size_t Step>
DTORCH_INLINE void convolve_plane(const Convolution& s, std::size_t kernel_height,
                                  std::size_t kernel_width, const T* padded, std::size_t row,
                                  const T* taps, T shift, T* out) {
  for (std::size_t y = 0; y < s.out_height; ++y, out += s.out_width) {
    const T* line = padded + y * s.stride_height * row;
    for (std::size_t x = 0; x < s.out_width; x += lanes<T>) {
      Vector<T> sum = Vector<T>{} + shift;
      for (std::size_t i = 0; i < kernel_height; ++i) {
        for (std::size_t j = 0; j < kernel_width; ++j) {
          const T* from =
              line + i * s.dilation_height * row + x * s.stride_width + j * s.dilation_width;
          sum += taps[i * kernel_width + j] * load_steps<T, Step>(from, s.stride_width);
        }
      }
      store_some(out + x, sum, s.out_width - x);
    }
  }
}

template <class T, std::size_t Step>
void convolve(const Convolution& s, const T* padded, std::size_t row, const T* taps, T shift,
              T* out) {
  if (s.kernel_height == 3 && s.kernel_width == 3) {
    convolve_plane<T, Step>(s, 3, 3, padded, row, taps, shift, out);
  } else {
    convolve_plane<T, Step>(s, s.kernel_height, s.kernel_width, padded, row, taps, shift, out);
  }
}

// sums[tap] += what the tap meets times the gradient, over one plane.
template <class T, std::size_t Step>
void correlate(const Convolution& s, const T* padded, std::size_t row, const T* delta, T* sums) {
  for (std::size_t i = 0; i < s.kernel_height; ++i) {
    for (std::size_t j = 0; j < s.kernel_width; ++j) {
      Vector<T> sum = {};
      for (std::size_t y = 0; y < s.out_height; ++y) {
        const T* line =
            padded + (y * s.stride_height + i * s.dilation_height) * row + j * s.dilation_width;
        for (std::size_t x = 0; x < s.out_width; x += lanes<T>) {
          sum += load_some(delta + y * s.out_width + x, s.out_width - x) *
                 load_steps<T, Step>(line + x * s.stride_width, s.stride_width);
        }
      }
      T total = 0;
      for (std::size_t k = 0; k < lanes<T>; ++k) total += sum[k];
      sums[i * s.kernel_width + j] += total;
    }
  }
}

}  // namespace

template <class T>
std::size_t depthwise_workspace(Convolution s) {
  return s.slots * (Padded<T>(s).size() + s.kernel_height * s.kernel_width);
}

template <class T>
void depthwise_convolution(Convolution s, const T* input, const T* weight, const T* bias,
                           bool turned, T* out, T* workspace) {
  const Padded<T> padded(s);
  const std::size_t taps = s.kernel_height * s.kernel_width;
  const std::size_t filters = s.filters / s.groups, pixels = s.out_height * s.out_width;
  for_each_item(s.images * s.channels, s.slots, [&](std::size_t item, std::size_t slot) {
    T* kernel = workspace + slot * (padded.size() + taps);
    T* copy = kernel + taps;
    padded.fill(s, input + item * s.height * s.width, copy);
    for (std::size_t f = 0; f < filters; ++f) {
      const std::size_t filter = item % s.channels * filters + f;
      for (std::size_t t = 0; t < taps; ++t) {
        kernel[t] = weight[filter * taps + (turned ? taps - 1 - t : t)];
      }
      const T shift = bias == nullptr ? T(0) : bias[filter];
      T* to = out + (item * filters + f) * pixels;
      if (s.stride_width == 1) {
        convolve<T, 1>(s, copy, padded.row, kernel, shift, to);
      } else if (s.stride_width == 2) {
        convolve<T, 2>(s, copy, padded.row, kernel, shift, to);
      } else {
        convolve<T, 0>(s, copy, padded.row, kernel, shift, to);
      }
    }
  });
}

template <class T>
void depthwise_weight(Convolution s, const T* delta, const T* input, T* weight_grad, T* workspace) {
  const Padded<T> padded(s);
  const std::size_t taps = s.kernel_height * s.kernel_width;
  const std::size_t filters = s.filters / s.groups, pixels = s.out_height * s.out_width;
  for_each_item(s.channels, s.slots, [&](std::size_t channel, std::size_t slot) {
    T* copy = workspace + slot * (padded.size() + taps);
    __builtin_memset(weight_grad + channel * filters * taps, 0, filters * taps * sizeof(T));
    for (std::size_t image = 0; image < s.images; ++image) {
      padded.fill(s, input + (image * s.channels + channel) * s.height * s.width, copy);
      for (std::size_t f = 0; f < filters; ++f) {
        const std::size_t filter = channel * filters + f;
        const T* grad = delta + (image * s.filters + filter) * pixels;
        T* sums = weight_grad + filter * taps;
        if (s.stride_width == 1) {
          correlate<T, 1>(s, copy, padded.row, grad, sums);
        } else if (s.stride_width == 2) {
          correlate<T, 2>(s, copy, padded.row, grad, sums);
        } else {
          correlate<T, 0>(s, copy, padded.row, grad, sums);
        }
      }
    }
  });
}

#define DTORCH_INSTANTIATE(T)                                                                   \
  template std::size_t depthwise_workspace<T>(Convolution);                                     \
  template void depthwise_convolution(Convolution, const T*, const T*, const T*, bool, T*, T*); \
  template void depthwise_weight(Convolution, const T*, const T*, T*, T*);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
