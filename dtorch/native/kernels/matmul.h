// The product of two matrices of any size.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"

namespace dtorch {

// out (rows, columns) = a (rows, depth) * b (depth, columns), for `batches` pairs. Rows of out are
// contiguous. Of each of a and b one of the two steps is 1.
struct Product {
  std::size_t batches, rows, columns, depth, a_row, a_column, b_row, b_column, slots;
};

}  // namespace dtorch

DTORCH_KERNELS(
  // Number of elements of the workspace of the next function.
  template <class T>
  std::size_t matmul_workspace(Product shape);

  // a_at, b_at: where each matrix of the batch begins, in elements. start: null, or a row that is
  // added to each of out. row_sums: null, or, for the only matrix of a batch, gets the sums of the
  // rows of a.
  template <class T>
  void matmul(Product shape, const T* a, const std::size_t* a_at, const T* b,
              const std::size_t* b_at, const T* start, T* out, T* row_sums, T* workspace);
)
