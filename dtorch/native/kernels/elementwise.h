// Loops over elements: arithmetic, comparisons and common functions.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"

namespace dtorch {

// where_positive: a where b > 0 or nan, else 0. fmod has the sign of a, remainder that of b.
// clang-format off
#define DTORCH_BINARY_LOOPS(X)                                                                \
  X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) X(where_positive) X(fmod) X(remainder)    \
  X(floor_divide) X(eq) X(ne) X(lt) X(le) X(gt) X(ge)
#define DTORCH_UNARY_LOOPS(X)                                                                 \
  X(neg) X(abs) X(square) X(sqrt) X(exp) X(tanh) X(sigmoid) X(relu) X(reciprocal)             \
  X(hardsigmoid) X(hardswish) X(logsigmoid) X(mish) X(relu6) X(silu) X(sign) X(rsqrt) X(erf)
// clang-format on

#define DTORCH_ENUMERATOR(name) name,
enum class Binary { DTORCH_BINARY_LOOPS(DTORCH_ENUMERATOR) count };
enum class Unary { DTORCH_UNARY_LOOPS(DTORCH_ENUMERATOR) count };
#undef DTORCH_ENUMERATOR
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
    void sum_rows(const double* input, double* sums, std::size_t rows, std::size_t columns);)
