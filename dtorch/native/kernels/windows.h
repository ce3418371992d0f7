// Images laid out so that what a tap of a kernel meets in one window after another lies side by
// side, whatever the stride. Only for files in kernels/.
//
// An image becomes padded planes, one for each remainder that the places of taps leave when they
// are divided by the stride. Windows are numbered along the rows of such a plane: a tap is one
// offset to that number, and nothing is copied for each tap. The last `reach` numbers of a row
// belong to no window; what is computed for them is thrown away.
#pragma once

#include "kernels/convolution.h"
#include "kernels/integers.h"
#include "kernels/simd.h"

namespace dtorch::DTORCH_CAPABILITY {

DTORCH_INLINE std::size_t common_divisor(std::size_t a, std::size_t b) {
  while (b != 0) {
    const std::size_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

// Height or width of an image, and the windows along it.
struct Side {
  std::size_t size, windows, taps, stride, dilation;
  std::ptrdiff_t pad;
  std::size_t planes;

  Side(std::size_t size_, std::size_t windows_, std::size_t taps_, std::size_t stride_,
       std::size_t dilation_, std::ptrdiff_t pad_)
      : size(size_),
        windows(windows_),
        taps(taps_),
        stride(stride_),
        dilation(dilation_),
        pad(pad_),
        planes(smaller(taps, stride / common_divisor(stride, dilation))) {}

  std::size_t plane_of(std::size_t tap) const { return tap % planes; }
  std::size_t ahead(std::size_t tap) const { return tap * dilation / stride; }
  std::size_t reach() const { return ahead(taps - 1); }
  // Where in the image a plane begins; from there on it has every stride-th element.
  std::ptrdiff_t begin(std::size_t plane) const {
    return static_cast<std::ptrdiff_t>(plane * dilation % stride) - pad;
  }
};

// Vectors of every step-th element of a line of `size`, the first of them at place `at`; `outside`
// before and behind. Step 0 stands for any other.
template <class T, std::ptrdiff_t Step>
class EveryOf {
 public:
  EveryOf(std::ptrdiff_t at, std::ptrdiff_t size, std::ptrdiff_t step, T outside)
      : at_(at),
        size_(size),
        step_(step),
        outside_(Vector<T>{} + outside),
        low_(-at, size - at),
        high_(-at - n, size - at - n) {}

  Vector<T> load_from(const T* line) const {
    if constexpr (Step == 1) return low_.load_or(line + at_, outside_);
    if constexpr (Step == 2) {
      return even_elements(low_.load_or(line + at_, outside_),
                           high_.load_or(line + at_ + n, outside_));
    }
    Vector<T> values = outside_;
    for (std::ptrdiff_t k = 0; k < n; ++k) {
      const std::ptrdiff_t place = at_ + k * step_;
      if (place >= 0 && place < size_) values[k] = line[place];
    }
    return values;
  }

 private:
  static constexpr auto n = static_cast<std::ptrdiff_t>(lanes<T>);
  std::ptrdiff_t at_, size_, step_;
  Vector<T> outside_;
  Between<T> low_, high_;
};

// The planes of one channel for `rows` rows of windows.
template <class T>
struct Windows {
  Side height, width;
  std::size_t rows, row, plane, channel;

  Windows(const Convolution& s, std::size_t rows_)
      : Windows(Side(s.height, s.out_height, s.kernel_height, s.stride_height, s.dilation_height,
                     s.pad_height),
                Side(s.width, s.out_width, s.kernel_width, s.stride_width, s.dilation_width,
                     s.pad_width),
                rows_) {}

  Windows(const Side& height_, const Side& width_, std::size_t rows_)
      : height(height_),
        width(width_),
        rows(rows_),
        row(width.windows + width.reach()),
        plane((rows + height.reach()) * row),
        channel(height.planes * width.planes * plane) {}

  // So many numbers have windows, from the first to the last.
  std::size_t numbers(std::size_t count) const { return (count - 1) * row + width.windows; }

  std::size_t offset(std::size_t tap) const {
    const std::size_t y = tap / width.taps, x = tap % width.taps;
    return (height.plane_of(y) * width.planes + width.plane_of(x)) * plane + height.ahead(y) * row +
           width.ahead(x);
  }

  // Planes of windows in rows first .. first + count, `outside` around the image. Writes whole
  // vectors: up to one vector more than `channel` elements.
  void fill(const T* image, std::size_t first, std::size_t count, T* out, T outside = 0) const {
    if (width.stride == 1) return fill_planes<1>(image, first, count, outside, out);
    if (width.stride == 2) return fill_planes<2>(image, first, count, outside, out);
    fill_planes<0>(image, first, count, outside, out);
  }

  // The image that has every element of the planes at its place, zeros elsewhere.
  void put_together(const T* in, T* image) const {
    __builtin_memset(image, 0, height.size * width.size * sizeof(T));
    for (std::size_t i = 0; i < height.planes; ++i) {
      for (std::size_t j = 0; j < width.planes; ++j, in += plane) {
        for (std::size_t y = 0; y < rows + height.reach(); ++y) {
          const std::ptrdiff_t to =
              height.begin(i) + static_cast<std::ptrdiff_t>(y * height.stride);
          if (to < 0 || to >= static_cast<std::ptrdiff_t>(height.size)) continue;
          put_row(in + y * row, j, image + to * static_cast<std::ptrdiff_t>(width.size));
        }
      }
    }
  }

 private:
  // From right to left: the next row's first elements are written after those behind a row's end.
  template <std::ptrdiff_t Step>
  void fill_planes(const T* image, std::size_t first, std::size_t count, T outside, T* out) const {
    const auto size = static_cast<std::ptrdiff_t>(width.size);
    const auto step = static_cast<std::ptrdiff_t>(width.stride);
    const std::size_t lines = count + height.reach();
    for (std::size_t i = 0; i < height.planes; ++i) {
      const std::ptrdiff_t top =
          height.begin(i) + static_cast<std::ptrdiff_t>(first * height.stride);
      for (std::size_t j = 0; j < width.planes; ++j, out += plane) {
        for (std::size_t x = round_up(row, lanes<T>); x > 0;) {
          x -= lanes<T>;
          const EveryOf<T, Step> every(width.begin(j) + static_cast<std::ptrdiff_t>(x) * step, size,
                                       step, outside);
          std::ptrdiff_t from = top;
          for (std::size_t y = 0; y < lines; ++y) {
            const bool inside = from >= 0 && from < static_cast<std::ptrdiff_t>(height.size);
            store(out + y * row + x,
                  inside ? every.load_from(image + from * size) : Vector<T>{} + outside);
            from += static_cast<std::ptrdiff_t>(height.stride);
          }
        }
      }
    }
  }

  void put_row(const T* in, std::size_t column_plane, T* line) const {
    const std::ptrdiff_t begin = width.begin(column_plane);
    const auto step = static_cast<std::ptrdiff_t>(width.stride);
    const auto size = static_cast<std::ptrdiff_t>(width.size);
    const std::size_t low = begin < 0 ? static_cast<std::size_t>((step - 1 - begin) / step) : 0;
    if (begin >= size) return;
    const std::size_t high =
        smaller(row, static_cast<std::size_t>((size - begin + step - 1) / step));
    if (step == 1) {
      for (std::size_t x = low; x < high; x += lanes<T>) {
        store_some(line + begin + x, load_some(in + x, high - x), high - x);
      }
    } else {
      for (std::size_t x = low; x < high; ++x) {
        line[begin + static_cast<std::ptrdiff_t>(x * width.stride)] = in[x];
      }
    }
  }
};

}  // namespace dtorch::DTORCH_CAPABILITY
