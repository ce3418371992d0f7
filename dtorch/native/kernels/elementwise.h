// Loops over elements: arithmetic, comparisons and common functions.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"

namespace dtorch {

// where_positive: a where b > 0 or nan, else 0. fmod has the sign of a, remainder that of b.
enum class Binary {
  add,
  sub,
  mul,
  div,
  maximum,
  minimum,
  where_positive,
  fmod,
  remainder,
  floor_divide,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  count
};
enum class Unary {
  neg,
  abs,
  square,
  sqrt,
  exp,
  tanh,
  sigmoid,
  relu,
  reciprocal,
  hardsigmoid,
  hardswish,
  logsigmoid,
  mish,
  relu6,
  silu,
  sign,
  rsqrt,
  erf,
  count
};
enum class Element { float32, float64, int64, count };

// out[i] = f(a[i * a_step], b[i * b_step]) for i < n. Steps are 0 or 1, in elements. The outputs of
// comparisons are bool, others have the type of the operands.
using BinaryLoop = void (*)(const void* a, const void* b, void* out, std::size_t n, int a_step,
                            int b_step);
// out[i] = f(input[i]) for i < n.
using UnaryLoop = void (*)(const void* input, void* out, std::size_t n);

// out[i] = condition[i] ? a[i * a_step] : b[i * b_step] for i < n, of elements of any type.
using ChooseLoop = void (*)(const bool* condition, const void* a, const void* b, void* out,
                            std::size_t n, int a_step, int b_step);

inline bool is_comparison(Binary op) { return op >= Binary::eq; }

}  // namespace dtorch

DTORCH_KERNELS(
  // Null where there is no loop of our own for that type.
  BinaryLoop binary_loop(Binary op, Element element);
  UnaryLoop unary_loop(Unary op, Element element);
  // For elements of 1, 2, 4 or 8 bytes; null for others.
  ChooseLoop choose_loop(std::size_t bytes);
  // Sum of n numbers, always in the same order of additions: blocks, then pairs of blocks. In
  // double precision, as float would lose what many numbers that are alike have behind the point.
  double sum_block(const float* input, std::size_t n);
  double sum_block(const double* input, std::size_t n);
  // Sums of the columns of a matrix.
  void sum_rows(const float* input, double* sums, std::size_t rows, std::size_t columns);
  void sum_rows(const double* input, double* sums, std::size_t rows, std::size_t columns);
)
