// Convolution of single planes by small square kernels, and its gradients, without a copy of the
// plane: down a strip of vectors, every row is read once for all rows of the result that see it.
// Only for files in kernels/.
#pragma once

#include "kernels/planes.h"

namespace dtorch::DTORCH_CAPABILITY {

// A vector of windows; half of one where that is all that is left of a row.
template <class T, class Function>
DTORCH_INLINE void for_each_vector(std::size_t windows, Function function) {
  for (std::size_t x = 0; x < windows; x += lanes<T>) {
#if defined(__AVX512F__)
    if (windows - x <= lanes<T> / 2) {
      function.template operator()<HalfVectorOf<T>>(x);
      return;
    }
#endif
    function.template operator()<VectorOf<T>>(x);
  }
}

template <class T, class Of>
inline constexpr std::size_t lanes_of = sizeof(typename Of::type) / sizeof(T);

// What K taps meet in a row of a plane, for a vector of windows that are Stride apart: zeros
// where that is beside the plane, of which nothing else is read.
template <class T, class Of, std::size_t K, std::size_t Stride>
class RowOfTaps {
 public:
  using V = typename Of::type;

  // The first tap of the first window is at column `left` of `width`.
  RowOfTaps(std::ptrdiff_t left, std::ptrdiff_t width) {
    for (std::size_t p = 0; p < pieces; ++p) {
      const std::ptrdiff_t at = left + begin(p);
      inside_[p] = Between<T, Of>(-at, width - at);
    }
  }

  void load(const T* at, V* met) const {
    V piece[pieces];
#pragma GCC unroll 8
    for (std::size_t p = 0; p < pieces; ++p) piece[p] = inside_[p].load_or_zero(at + begin(p));
#pragma GCC unroll 8
    for (std::size_t j = 0; j < K; ++j) {
      if constexpr (Stride == 1) {
        met[j] = piece[j];
      } else {
        met[j] = j % 2 == 0 ? even_elements(piece[j], piece[j + 1])
                            : odd_elements(piece[j - 1], piece[j]);
      }
    }
  }

 private:
  // At stride 2 two vectors hold what two taps meet, one the even and one the odd elements.
  static constexpr std::size_t pieces = Stride == 1 ? K : round_up(K, 2);
  static std::ptrdiff_t begin(std::size_t p) {
    return static_cast<std::ptrdiff_t>(Stride == 1 ? p : p / 2 * 2 + p % 2 * lanes_of<T, Of>);
  }

  Between<T, Of> inside_[pieces];
};

// Rows of windows that see one row of the plane.
template <std::size_t K, std::size_t Stride>
inline constexpr std::size_t rows_at_once = divide_up(K, Stride);

// Down the strip of windows from column x on: meet(phase, met) for every row of the plane that taps
// 0 .. Stride of the windows in row y come to, then step(y). What is met there, taps `phase`,
// `phase` + Stride, ... of the windows in rows y, y - 1, ... meet. This strip's share of the next
// plane is fetched on the way.
template <class T, class Of, std::size_t K, std::size_t Stride, class Meet, class Step>
DTORCH_INLINE void go_down(const Convolution& s, const Planes<T>& of, std::size_t x, Meet meet,
                           Step step) {
  using V = typename Of::type;
  const auto width = static_cast<std::ptrdiff_t>(s.width);
  const auto height = static_cast<std::ptrdiff_t>(s.height);
  const std::ptrdiff_t left = static_cast<std::ptrdiff_t>(x * Stride) - s.pad_width;
  const RowOfTaps<T, Of, K, Stride> taps(left, width);
  const T* ahead = of.next + x * Stride * s.height;  // one vector for every vector of a row
  std::ptrdiff_t row = -s.pad_height;
  for (std::size_t y = 0; y < s.out_height + rows_at_once<K, Stride> - 1; ++y) {
#pragma GCC unroll 2
    for (std::size_t phase = 0; phase < Stride; ++phase, ++row) {
      if (row < 0 || row >= height) continue;
#pragma GCC unroll 2
      for (std::size_t i = 0; i < Stride; ++i, ahead += lanes_of<T, Of>) __builtin_prefetch(ahead);
      V met[K];
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
    for_each_vector<T>(s_.out_width, [&]<class Of>(std::size_t begin) {
      // The last strip goes over some windows once more rather than over a part of a vector.
      constexpr std::size_t n = lanes_of<T, Of>;
      const std::size_t x = s_.out_width < n ? 0 : smaller(begin, s_.out_width - n);
      convolve_strip<Of>(of, taps, shift, x, out + x);
    });
  }

  void correlate(const Planes<T>& of, const T* delta, T* sums) const {
    for_each_vector<T>(s_.out_width, [&]<class Of>(std::size_t x) {
      correlate_strip<Of>(of, x, delta + x, sums);
    });
  }

 private:
  template <class Of>
  void convolve_strip(const Planes<T>& of, Taps<T> taps, T shift, std::size_t x, T* out) const {
    using V = typename Of::type;
    V weights[K * K];
#pragma GCC unroll 25
    for (std::size_t t = 0; t < K * K; ++t) weights[t] = V{} + taps[t];
    const Between<T, Of> seen(0, static_cast<std::ptrdiff_t>(s_.out_width));
    const bool whole = s_.out_width >= lanes_of<T, Of>;
    V sums[live];  // of row y - live + 1, ..., y
#pragma GCC unroll 5
    for (std::size_t i = 0; i < live; ++i) sums[i] = V{} + shift;
    go_down<T, Of, K, Stride>(
        s_, of, x,
        [&](std::size_t phase, const V* met) {
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
            T* to = out + (y + 1 - live) * s_.out_width;
            if (whole) {
              *reinterpret_cast<V*>(to) = sums[0];
            } else {
              seen.store(to, sums[0]);
            }
          }
#pragma GCC unroll 5
          for (std::size_t i = 0; i + 1 < live; ++i) sums[i] = sums[i + 1];
          sums[live - 1] = V{} + shift;
        });
  }

  template <class Of>
  void correlate_strip(const Planes<T>& of, std::size_t x, const T* delta, T* all_sums) const {
    using V = typename Of::type;
    V sums[K * K];
#pragma GCC unroll 25
    for (std::size_t t = 0; t < K * K; ++t) {
      sums[t] = *reinterpret_cast<const V*>(all_sums + t * lanes<T>);
    }
    const Between<T, Of> seen(0, static_cast<std::ptrdiff_t>(s_.out_width - x));
    V grads[live] = {seen.load_or_zero(delta)};  // of row y, ..., y - live + 1
    go_down<T, Of, K, Stride>(
        s_, of, x,
        [&](std::size_t phase, const V* met) {
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
          const bool more = y + 1 < s_.out_height;
          grads[0] = more ? seen.load_or_zero(delta + (y + 1) * s_.out_width) : V{};
        });
#pragma GCC unroll 25
    for (std::size_t t = 0; t < K * K; ++t) {
      *reinterpret_cast<V*>(all_sums + t * lanes<T>) = sums[t];
    }
  }

  static constexpr std::size_t live = rows_at_once<K, Stride>;
  Convolution s_;
};

// The gradient with respect to a strip of the plane at stride 2, two rows and two vectors at a
// time: rows and columns of the padded plane with the same remainder meet the same taps. Padding is
// not negative.
template <class T, class Of, std::size_t K>
void spread_strip(const Convolution& s, const T* delta, const T* ahead, const T* weights,
                  std::ptrdiff_t x, T* plane) {
  using V = typename Of::type;
  constexpr std::size_t live = rows_at_once<K, 2>;
  constexpr auto n = static_cast<std::ptrdiff_t>(lanes_of<T, Of>);
  const auto height = static_cast<std::ptrdiff_t>(s.height);
  const auto width = static_cast<std::ptrdiff_t>(s.width);
  const auto out_height = static_cast<std::ptrdiff_t>(s.out_height);
  const auto out_width = static_cast<std::ptrdiff_t>(s.out_width);
  Between<T, Of> seen[live];
  for (std::size_t j = 0; j < live; ++j) {
    const std::ptrdiff_t at = x - static_cast<std::ptrdiff_t>(j);
    seen[j] = Between<T, Of>(-at, out_width - at);
  }
  const std::ptrdiff_t column = 2 * x - s.pad_width;
  const Between<T, Of> left(-column, width - column), right(-column - n, width - column - n);
  for (std::ptrdiff_t y = s.pad_height / 2; 2 * y < height + s.pad_height; ++y, ahead += n) {
    __builtin_prefetch(ahead);
    V sums[2][2] = {};
#pragma GCC unroll 3
    for (std::size_t i = 0; i < live; ++i) {
      const std::ptrdiff_t row = y - static_cast<std::ptrdiff_t>(i);
      if (row < 0 || row >= out_height) continue;
#pragma GCC unroll 3
      for (std::size_t j = 0; j < live; ++j) {
        const T* from = delta + row * out_width + x - static_cast<std::ptrdiff_t>(j);
        const V grad = seen[j].load_or_zero(from);
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
      interleave(sums[p][0], sums[p][1]);
      T* to = plane + row * width + column;
      left.store(to, sums[p][0]);
      right.store(to + n, sums[p][1]);
    }
  }
}

template <class T, std::size_t K>
void spread_strips(const Convolution& s, const T* delta, const T* next, const T* weights,
                   T* plane) {
  const auto pad = static_cast<std::size_t>(s.pad_width);
  const std::size_t first = pad / 2, columns = divide_up(s.width + pad, 2) - first;
  for_each_vector<T>(columns, [&]<class Of>(std::size_t x) {
    spread_strip<T, Of, K>(s, delta, next + x * s.out_height, weights,
                           static_cast<std::ptrdiff_t>(first + x), plane);
  });
}

}  // namespace dtorch::DTORCH_CAPABILITY
