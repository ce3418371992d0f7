#include "kernels/recurrent.h"

#include "kernels/gemm.h"
#include "kernels/integers.h"
#include "kernels/items.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t wide = tile_columns<float>;

// Rows of a product kept in registers: a step has few sequences, so that rows left over for a
// second tile would be a large share.
#if defined(__AVX512F__)
constexpr std::size_t most_rows = 12;
#else
constexpr std::size_t most_rows = tile_rows;
#endif

// out (+)= a * packed, panels of `wide` columns of `depth` rows each.
void multiply_packed(std::size_t rows, const float* a, std::size_t depth, const float* packed,
                     std::size_t columns, float* out, bool add) {
  const std::size_t high = divide_up(rows, divide_up(rows, most_rows));
  for (std::size_t j = 0; j < columns; j += wide) {
    for (std::size_t i = 0; i < rows; i += high) {
      const std::size_t count = smaller(rows - i, high);
      const float* from = a + i * depth;
      const float* b = packed + j * depth;
      float* to = out + i * columns + j;
      if (columns - j >= wide) {
        multiply_rows<float, 2, most_rows>(count, from, depth, 1, b, wide, to, columns, depth, add);
        continue;
      }
      for (std::size_t k = 0; k < count; k += tile_rows) {
        multiply_edge<float>(count - k, columns - j, from + k * depth, depth, 1, b, wide,
                             to + k * columns, columns, depth, add);
      }
    }
  }
}

// function(first, count, step) for the steps that a block of sequences takes part in.
template <class Function>
void for_blocks(const Lstm& s, bool reverse, Function function) {
  const std::size_t block = divide_up(s.sequences, smaller(s.slots, s.sequences));
  for_each_item(divide_up(s.sequences, block), s.slots, [&](std::size_t item, std::size_t) {
    const std::size_t first = item * block;
    for (std::size_t t = 0; t < s.steps; ++t) {
      const std::size_t step = reverse ? s.steps - 1 - t : t;
      const auto size = static_cast<std::size_t>(s.sizes[step]);
      if (size > first) function(first, smaller(size - first, block), step);
    }
  });
}

}  // namespace

std::size_t lstm_workspace(Lstm s) {
  return larger(round_up(4 * s.width, wide) * s.width, round_up(s.width, wide) * 4 * s.width);
}

void lstm_forward(Lstm s, float* gates, const float* weight, float* hidden, float* cell, float* out,
                  float* squashed, float* hiddens, float* cells, float* workspace) {
  const std::size_t n = s.width;
  for_each_item(divide_up(4 * n, wide), s.slots, [&](std::size_t panel, std::size_t) {
    transpose_into(weight + panel * wide * n, n, smaller(4 * n - panel * wide, wide), n,
                   workspace + panel * wide * n, wide);
  });
  for_blocks(s, false, [&](std::size_t first, std::size_t count, std::size_t step) {
    const std::size_t at = static_cast<std::size_t>(s.starts[step]) + first;
    float* h = hidden + first * n;
    float* c = cell + first * n;
    __builtin_memcpy(hiddens + at * n, h, count * n * sizeof(float));
    __builtin_memcpy(cells + at * n, c, count * n * sizeof(float));
    multiply_packed(count, h, n, workspace, 4 * n, gates + at * 4 * n, true);
    for (std::size_t r = 0; r < count; ++r) {
      float* g = gates + (at + r) * 4 * n;
      float* state = c + r * n;
      float* y = h + r * n;
      float* s_row = squashed + (at + r) * n;
#pragma omp simd
      for (std::size_t j = 0; j < n; ++j) {
        const float i = logistic(g[j]), f = logistic(g[n + j]);
        const float u = hyperbolic_tangent(g[2 * n + j]), o = logistic(g[3 * n + j]);
        g[j] = i;
        g[n + j] = f;
        g[2 * n + j] = u;
        g[3 * n + j] = o;
        state[j] = f * state[j] + i * u;
        s_row[j] = hyperbolic_tangent(state[j]);
        y[j] = o * s_row[j];
      }
    }
    __builtin_memcpy(out + at * n, h, count * n * sizeof(float));
  });
}

void lstm_backward(Lstm s, const float* grad_out, const float* gates, const float* squashed,
                   const float* cells, const float* weight, float* grad_hidden, float* grad_cell,
                   float* delta, float* workspace) {
  const std::size_t n = s.width, depth = 4 * n;
  for_each_item(divide_up(n, wide), s.slots, [&](std::size_t panel, std::size_t) {
    const std::size_t known = smaller(n - panel * wide, wide);
    for (std::size_t k = 0; k < depth; ++k) {
      const float* from = weight + k * n + panel * wide;
      float* to = workspace + (panel * depth + k) * wide;
      store(to, load_some(from, known));
      store(to + lanes<float>, known > lanes<float>
                                   ? load_some(from + lanes<float>, known - lanes<float>)
                                   : Vector<float>{});
    }
  });
  for_blocks(s, true, [&](std::size_t first, std::size_t count, std::size_t step) {
    const std::size_t at = static_cast<std::size_t>(s.starts[step]) + first;
    for (std::size_t r = 0; r < count; ++r) {
      const float* g = gates + (at + r) * depth;
      const float* s_row = squashed + (at + r) * n;
      const float* before = cells + (at + r) * n;
      const float* dy_row = grad_out + (at + r) * n;
      const float* dh = grad_hidden + (first + r) * n;
      float* dc = grad_cell + (first + r) * n;
      float* d = delta + (at + r) * depth;
#pragma omp simd
      for (std::size_t j = 0; j < n; ++j) {
        const float i = g[j], f = g[n + j], u = g[2 * n + j], o = g[3 * n + j];
        const float dy = dh[j] + dy_row[j];
        const float state = dc[j] + dy * o * (1 - s_row[j] * s_row[j]);
        d[j] = state * u * i * (1 - i);
        d[n + j] = state * before[j] * f * (1 - f);
        d[2 * n + j] = state * i * (1 - u * u);
        d[3 * n + j] = dy * s_row[j] * o * (1 - o);
        dc[j] = state * f;
      }
    }
    multiply_packed(count, delta + at * depth, depth, workspace, n, grad_hidden + first * n, false);
  });
}

}  // namespace dtorch::DTORCH_CAPABILITY
