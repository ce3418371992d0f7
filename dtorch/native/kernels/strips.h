// Convolution of single planes by small square kernels, and its gradients, without a copy of the
// plane: down a strip of vectors, every row is read once for all rows of the result that see it.
// Only for files in kernels/.
#pragma once

#include "kernels/planes.h"

namespace dtorch::DTORCH_CAPABILITY {

// What K taps meet in a row of a plane, for a vector of windows that are Stride apart: zeros where
// that is beside the plane, of which nothing else is read.
template <class T, std::size_t K, std::size_t Stride>
class RowOfTaps {
 public:
  // The first tap of the first window is at column `left` of `width`.
  RowOfTaps(std::ptrdiff_t left, std::ptrdiff_t width) {
    for (std::size_t p = 0; p < pieces; ++p) {
      const std::ptrdiff_t at = left + begin(p);
      inside_[p] = Between<T>(-at, width - at);
    }
  }

  void load(const T* at, Vector<T>* met) const {
    Vector<T> piece[pieces];
#pragma GCC unroll 8
    for (std::size_t p = 0; p < pieces; ++p) piece[p] = inside_[p].load_or_zero(at + begin(p));
#pragma GCC unroll 8
    for (std::size_t j = 0; j < K; ++j) {
      if constexpr (Stride == 1) {
        met[j] = piece[j];
      } else {
        met[j] = j % 2 == 0 ? even_elements<T>(piece[j], piece[j + 1])
                            : odd_elements<T>(piece[j - 1], piece[j]);
      }
    }
  }

 private:
  // At stride 2 two vectors hold what two taps meet, one the even and one the odd elements.
  static constexpr std::size_t pieces = Stride == 1 ? K : round_up(K, 2);
  static std::ptrdiff_t begin(std::size_t p) {
    return static_cast<std::ptrdiff_t>(Stride == 1 ? p : p / 2 * 2 + p % 2 * lanes<T>);
  }

  Between<T> inside_[pieces];
};

// Rows of windows that see one row of the plane.
template <std::size_t K, std::size_t Stride>
inline constexpr std::size_t rows_at_once = divide_up(K, Stride);

// Down the strip of windows from column x on: meet(phase, met) for every row of the plane that taps
// 0 .. Stride of the windows in row y come to, then step(y). What is met there, taps `phase`,
// `phase` + Stride, ... of the windows in rows y, y - 1, ... meet. This strip's
// share of the next plane is fetched on the way.
template <class T, std::size_t K, std::size_t Stride, class Meet, class Step>
DTORCH_INLINE void go_down(const Convolution& s, const Planes<T>& of, std::size_t x, Meet meet,
                           Step step) {
  const auto width = static_cast<std::ptrdiff_t>(s.width);
  const auto height = static_cast<std::ptrdiff_t>(s.height);
  const std::ptrdiff_t left = static_cast<std::ptrdiff_t>(x * Stride) - s.pad_width;
  const RowOfTaps<T, K, Stride> taps(left, width);
  const T* ahead = of.next + x * Stride * s.height;  // one vector for every vector of a row
  std::ptrdiff_t row = -s.pad_height;
  for (std::size_t y = 0; y < s.out_height + rows_at_once<K, Stride> - 1; ++y) {
#pragma GCC unroll 2
    for (std::size_t phase = 0; phase < Stride; ++phase, ++row) {
      if (row < 0 || row >= height) continue;
#pragma GCC unroll 2
      for (std::size_t i = 0; i < Stride; ++i, ahead += lanes<T>) __builtin_prefetch(ahead);
      Vector<T> met[K];
      taps.load(of.plane + row * width + left, met);
      meet(phase, met);
    }
    step(y);
  }
}

template <class T, std::size_t K, std::size_t Stride>
class Strips {
 public:
  explicit Strips(const Convolution& s) : s_(s) {}

  std::size_t shared() const { return 0; }
  void write_shared(T*) const {}
  std::size_t own() const { return 0; }
  void clear(T*) const {}
  void fill(const T*, T*) const {}

  void convolve(const Planes<T>& of, Taps<T> taps, T shift, T* out) const {
    Vector<T> weights[K * K];
#pragma GCC unroll 25
    for (std::size_t t = 0; t < K * K; ++t) weights[t] = Vector<T>{} + taps[t];
    for (std::size_t begin = 0; begin < s_.out_width; begin += lanes<T>) {
      // The last strip goes over some windows once more rather than over half a vector.
      const std::size_t x = s_.out_width < lanes<T> ? 0 : smaller(begin, s_.out_width - lanes<T>);
      Vector<T> sums[live];  // of row y - live + 1, ..., y
#pragma GCC unroll 5
      for (std::size_t i = 0; i < live; ++i) sums[i] = Vector<T>{} + shift;
      go_down<T, K, Stride>(
          s_, of, x,
          [&](std::size_t phase, const Vector<T>* met) {
#pragma GCC unroll 5
            for (std::size_t j = 0; j < K; ++j) {
#pragma GCC unroll 5
              for (std::size_t t = phase; t < K; t += Stride) {
                sums[live - 1 - t / Stride] += weights[t * K + j] * met[j];
              }
            }
          },
          [&](std::size_t y) {
            if (y + 1 >= live) {
              store_some(out + (y + 1 - live) * s_.out_width + x, sums[0], s_.out_width - x);
            }
#pragma GCC unroll 5
            for (std::size_t i = 0; i + 1 < live; ++i) sums[i] = sums[i + 1];
            sums[live - 1] = Vector<T>{} + shift;
          });
    }
  }

  void correlate(const Planes<T>& of, const T* delta, T* all_sums) const {
    Vector<T> sums[K * K];
#pragma GCC unroll 25
    for (std::size_t t = 0; t < K * K; ++t) sums[t] = load(all_sums + t * lanes<T>);
    for (std::size_t x = 0; x < s_.out_width; x += lanes<T>) {
      const Between<T> inside(0, static_cast<std::ptrdiff_t>(s_.out_width - x));
      Vector<T> grads[live] = {inside.load_or_zero(delta + x)};  // of row y, ..., y - live + 1
      go_down<T, K, Stride>(
          s_, of, x,
          [&](std::size_t phase, const Vector<T>* met) {
#pragma GCC unroll 5
            for (std::size_t j = 0; j < K; ++j) {
#pragma GCC unroll 5
              for (std::size_t t = phase; t < K; t += Stride) {
                sums[t * K + j] += grads[t / Stride] * met[j];
              }
            }
          },
          [&](std::size_t y) {
#pragma GCC unroll 5
            for (std::size_t i = live - 1; i > 0; --i) grads[i] = grads[i - 1];
            grads[0] = y + 1 < s_.out_height
                           ? inside.load_or_zero(delta + (y + 1) * s_.out_width + x)
                           : Vector<T>{};
          });
    }
#pragma GCC unroll 25
    for (std::size_t t = 0; t < K * K; ++t) store(all_sums + t * lanes<T>, sums[t]);
  }

 private:
  static constexpr std::size_t live = rows_at_once<K, Stride>;
  Convolution s_;
};

// The gradient with respect to the plane at stride 2, two rows and two vectors at a time: rows and
// columns of the padded plane with the same remainder meet the same taps. Padding is not negative.
template <class T, std::size_t K>
void spread_strips(const Convolution& s, const T* delta, const T* ahead, const T* weights,
                   T* plane) {
  constexpr std::size_t live = rows_at_once<K, 2>;
  constexpr auto n = static_cast<std::ptrdiff_t>(lanes<T>);
  const auto height = static_cast<std::ptrdiff_t>(s.height);
  const auto width = static_cast<std::ptrdiff_t>(s.width);
  const auto out_height = static_cast<std::ptrdiff_t>(s.out_height);
  const auto out_width = static_cast<std::ptrdiff_t>(s.out_width);
  for (std::ptrdiff_t x = s.pad_width / 2; 2 * x < width + s.pad_width; x += n) {
    Between<T> seen[live];
    for (std::size_t j = 0; j < live; ++j) {
      const std::ptrdiff_t at = x - static_cast<std::ptrdiff_t>(j);
      seen[j] = Between<T>(-at, out_width - at);
    }
    const std::ptrdiff_t column = 2 * x - s.pad_width;
    const Between<T> left(-column, width - column), right(-column - n, width - column - n);
    for (std::ptrdiff_t y = s.pad_height / 2; 2 * y < height + s.pad_height; ++y) {
      __builtin_prefetch(ahead);
      ahead += lanes<T>;
      Vector<T> sums[2][2] = {};
#pragma GCC unroll 3
      for (std::size_t i = 0; i < live; ++i) {
        const std::ptrdiff_t row = y - static_cast<std::ptrdiff_t>(i);
        if (row < 0 || row >= out_height) continue;
#pragma GCC unroll 3
        for (std::size_t j = 0; j < live; ++j) {
          const T* from = delta + row * out_width + x - static_cast<std::ptrdiff_t>(j);
          const Vector<T> grad = seen[j].load_or_zero(from);
#pragma GCC unroll 4
          for (std::size_t part = 0; part < 4; ++part) {
            const std::size_t p = part / 2, q = part % 2;
            if (2 * i + p < K && 2 * j + q < K) {
              sums[p][q] += weights[(2 * i + p) * K + 2 * j + q] * grad;
            }
          }
        }
      }
#pragma GCC unroll 2
      for (std::size_t p = 0; p < 2; ++p) {
        const std::ptrdiff_t row = 2 * y + static_cast<std::ptrdiff_t>(p) - s.pad_height;
        if (row < 0 || row >= height) continue;
        interleave<T>(sums[p][0], sums[p][1]);
        T* to = plane + row * width + column;
        left.store(to, sums[p][0]);
        right.store(to + n, sums[p][1]);
      }
    }
  }
}

}  // namespace dtorch::DTORCH_CAPABILITY
