// Scaled dot-product attention in tiles: softmax(scale * Q K^T + mask) V without the matrix of
// weights in memory (Dao et al. 2022, arXiv:2205.14135). The forward pass keeps one number a row,
// the logarithm of the sum of its exponentials, from which the backward pass forms the weights
// again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.h"

namespace dtorch {

// Matrices whose columns lie side by side: number b begins at data[at[b]], its rows are `row`
// elements apart.
template <class T>
struct Matrices {
  T* data;
  const std::size_t* at;
  std::size_t row;
};

// What is added to the scores (numbers of the type of the scores), or where they count (bytes, 0
// for a score that is left out).
struct AttentionMask {
  const void* data;  // null: none
  const std::size_t* at;
  std::size_t row, column;
  bool numbers;
};

struct Attention {
  std::size_t batches, rows, keys, width, out_width;
  double scale;
  bool causal;  // row i sees no key after i
  // A weight is dropped where its random word is below `drop_below`; the others are multiplied.
  std::uint32_t drop_below;
  double kept_factor;
  std::uint64_t seed;
  std::size_t slots;
};

}  // namespace dtorch

DTORCH_KERNELS(
  // Elements, as are all workspaces.
  template <class T>
  std::size_t attention_workspace(Attention s);

  // log_sums: (batches, rows); of a row without keys +inf, and its result is zeros.
  template <class T>
  void attention(Attention s, Matrices<const T> query, Matrices<const T> key,
                 Matrices<const T> value, AttentionMask mask, Matrices<T> out, T* log_sums,
                 T* workspace);

  template <class T>
  std::size_t attention_backward_workspace(Attention s);

  template <class T>
  void attention_backward(Attention s, Matrices<const T> grad, Matrices<const T> query,
                          Matrices<const T> key, Matrices<const T> value, AttentionMask mask,
                          Matrices<const T> out, const T* log_sums, Matrices<T> grad_query,
                          Matrices<T> grad_key, Matrices<T> grad_value, T* workspace);
)
