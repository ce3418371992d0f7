// The product of two small matrices that are near the processor; everything that multiplies
// matrices in kernels/ is a loop around it. Only for files in kernels/.
#pragma once

#include "kernels/simd.h"

namespace dtorch::DTORCH_CAPABILITY {

// Rows of the product that are kept in registers. Together with two vectors of columns that is 16
// sums with AVX-512, 8 before: enough to hide the latency of a multiplication.
#if defined(__AVX512F__)
inline constexpr std::size_t tile_rows = 8;
#else
inline constexpr std::size_t tile_rows = 4;
#endif
template <class T>
inline constexpr std::size_t tile_columns = 2 * lanes<T>;

// out[i][j] (+)= sum over k of a[i * a_row + k * a_column] * b[k * b_row + j], for M rows and N
// vectors of columns. start: null, or a row that every row of the sums begins with.
template <class T, std::size_t M, std::size_t N>
DTORCH_INLINE void multiply_tile(const T* a, std::size_t a_row, std::size_t a_column, const T* b,
                                 std::size_t b_row, T* out, std::size_t out_row, std::size_t depth,
                                 bool add, const T* start = nullptr) {
  Vector<T> sums[M][N] = {};
  if (start != nullptr) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < M; ++i) {
#pragma GCC unroll 4
      for (std::size_t j = 0; j < N; ++j) sums[i][j] = load(start + j * lanes<T>);
    }
  }
  for (std::size_t k = 0; k < depth; ++k) {
    Vector<T> columns[N];
#pragma GCC unroll 4
    for (std::size_t j = 0; j < N; ++j) columns[j] = load(b + j * lanes<T>);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < M; ++i) {
      const T factor = a[i * a_row];
#pragma GCC unroll 4
      for (std::size_t j = 0; j < N; ++j) sums[i][j] += factor * columns[j];
    }
    a += a_column;
    b += b_row;
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < M; ++i) {
#pragma GCC unroll 4
    for (std::size_t j = 0; j < N; ++j) {
      T* to = out + i * out_row + j * lanes<T>;
      store(to, add ? load(to) + sums[i][j] : sums[i][j]);
    }
  }
}

// The same for up to tile_rows rows; how many is found at run time.
template <class T, std::size_t N, std::size_t M = tile_rows>
DTORCH_INLINE void multiply_rows(std::size_t rows, const T* a, std::size_t a_row,
                                 std::size_t a_column, const T* b, std::size_t b_row, T* out,
                                 std::size_t out_row, std::size_t depth, bool add,
                                 const T* start = nullptr) {
  if (rows >= M) {
    multiply_tile<T, M, N>(a, a_row, a_column, b, b_row, out, out_row, depth, add, start);
  } else if constexpr (M > 1) {
    multiply_rows<T, N, M - 1>(rows, a, a_row, a_column, b, b_row, out, out_row, depth, add, start);
  }
}

// The same for up to tile_columns columns of `out`; columns of b are whole vectors, but of up to
// one vector of columns the second is not read.
template <class T>
DTORCH_INLINE void multiply_edge(std::size_t rows, std::size_t columns, const T* a,
                                 std::size_t a_row, std::size_t a_column, const T* b,
                                 std::size_t b_row, T* out, std::size_t out_row, std::size_t depth,
                                 bool add, const T* start = nullptr) {
  if (columns >= tile_columns<T>) {
    multiply_rows<T, 2>(rows, a, a_row, a_column, b, b_row, out, out_row, depth, add, start);
    return;
  }
  T part[tile_rows * tile_columns<T>];
  const std::size_t high = rows < tile_rows ? rows : tile_rows;
  if (columns > lanes<T>) {
    multiply_rows<T, 2>(high, a, a_row, a_column, b, b_row, part, tile_columns<T>, depth, false);
  } else {
    multiply_rows<T, 1>(high, a, a_row, a_column, b, b_row, part, tile_columns<T>, depth, false);
  }
  for (std::size_t i = 0; i < high; ++i) {
    for (std::size_t j = 0; j < columns; j += lanes<T>) {
      T* to = out + i * out_row + j;
      Vector<T> sums = load(part + i * tile_columns<T> + j);
      if (start != nullptr) sums += load_some(start + j, columns - j);
      store_some(to, add ? load_some(to, columns - j) + sums : sums, columns - j);
    }
  }
}

}  // namespace dtorch::DTORCH_CAPABILITY
