// Products of a packed matrix with the windows that windows.h lays out. Only for files in kernels/.
#pragma once

#include "kernels/gemm.h"

namespace dtorch::DTORCH_CAPABILITY {

// Rows of a product that are kept in registers, together with two vectors of columns.
// Packing asks that they be no more than a vector has elements.
#if defined(__AVX512F__)
inline constexpr std::size_t most_window_rows = 12;
#elif defined(__AVX__)
inline constexpr std::size_t most_window_rows = 6;
#else
inline constexpr std::size_t most_window_rows = 4;
#endif
template <class T>
inline constexpr std::size_t window_rows =
    most_window_rows < lanes<T> ? most_window_rows : lanes<T>;
static_assert(window_rows<float> <= lanes<float> && window_rows<double> <= lanes<double>);

// What the columns of a product are: for every channel the elements at each of its offsets.
template <class T>
struct Columns {
  const T* begin;
  std::size_t channels, channel;  // number, and distance from one to the next
  const std::size_t* offsets;
  std::size_t taps;
};

// out[i][j] = shift[i] + sum over k of a[k * a_step + i] * column k [j], or that added to out.
template <class T, std::size_t M, std::size_t N>
DTORCH_INLINE void multiply_columns(const T* a, std::size_t a_step, Columns<T> b, const T* shift,
                                    bool add, T* out, std::size_t out_row) {
  Vector<T> sums[M][N] = {};
  for (std::size_t c = 0; c < b.channels; ++c, b.begin += b.channel) {
    for (std::size_t t = 0; t < b.taps; ++t, a += a_step) {
      const T* from = b.begin + b.offsets[t];
      Vector<T> columns[N];
#pragma GCC unroll 2
      for (std::size_t j = 0; j < N; ++j) columns[j] = load(from + j * lanes<T>);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < M; ++i) {
#pragma GCC unroll 2
        for (std::size_t j = 0; j < N; ++j) sums[i][j] += a[i] * columns[j];
      }
    }
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (std::size_t j = 0; j < N; ++j) {
      T* to = out + i * out_row + j * lanes<T>;
      const Vector<T> sum = sums[i][j] + shift[i];
      store(to, add ? load(to) + sum : sum);
    }
  }
}

// The same for up to window_rows rows; how many is found at run time.
template <class T, std::size_t N, std::size_t M = window_rows<T>>
DTORCH_INLINE void multiply_columns(std::size_t rows, const T* a, std::size_t a_step,
                                    const Columns<T>& b, const T* shift, bool add, T* out,
                                    std::size_t out_row) {
  if (rows >= M) {
    multiply_columns<T, M, N>(a, a_step, b, shift, add, out, out_row);
  } else if constexpr (M > 1) {
    multiply_columns<T, N, M - 1>(rows, a, a_step, b, shift, add, out, out_row);
  }
}

// sums[i][j] += sum over rows y and columns x of a[i][y * a_row + x] * b[y * columns + x][j], rows
// of b being tile_columns apart: a product whose sums run over windows.
template <class T, std::size_t M, std::size_t N>
DTORCH_INLINE void sum_windows(const T* const* a, std::size_t a_row, std::size_t rows,
                               std::size_t columns, const T* b, T* out, std::size_t out_row) {
  const T* line[M];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < M; ++i) line[i] = a[i];
  Vector<T> sums[M][N] = {};
  std::size_t at = 0;
  for (std::size_t y = 0; y < rows; ++y, at += a_row) {
    for (std::size_t x = at; x < at + columns; ++x, b += tile_columns<T>) {
      Vector<T> values[N];
#pragma GCC unroll 2
      for (std::size_t j = 0; j < N; ++j) values[j] = load(b + j * lanes<T>);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < M; ++i) {
        const T factor = line[i][x];
#pragma GCC unroll 2
        for (std::size_t j = 0; j < N; ++j) sums[i][j] += factor * values[j];
      }
    }
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < M; ++i) {
#pragma GCC unroll 2
    for (std::size_t j = 0; j < N; ++j) {
      T* to = out + i * out_row + j * lanes<T>;
      store(to, load(to) + sums[i][j]);
    }
  }
}

template <class T, std::size_t N, std::size_t M = window_rows<T>>
DTORCH_INLINE void sum_windows(std::size_t terms, const T* const* a, std::size_t a_row,
                               std::size_t rows, std::size_t columns, const T* b, T* out,
                               std::size_t out_row) {
  if (terms >= M) {
    sum_windows<T, M, N>(a, a_row, rows, columns, b, out, out_row);
  } else if constexpr (M > 1) {
    sum_windows<T, N, M - 1>(terms, a, a_row, rows, columns, b, out, out_row);
  }
}

}  // namespace dtorch::DTORCH_CAPABILITY
