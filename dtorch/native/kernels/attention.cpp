#include "kernels/attention.h"

#include "kernels/gemm.h"
#include "kernels/integers.h"
#include "kernels/items.h"
#include "kernels/philox.h"
#include "kernels/rows.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t rows_at_once = 32;
constexpr std::size_t keys_at_once = 128;
constexpr std::size_t rows_of_item = 256;
// Parts of the keys whose gradients are formed at the same time, over all batches. The number does
// not depend on that of threads, so neither does the result.
constexpr std::size_t backward_parts = 8;

template <class T>
constexpr T infinity = static_cast<T>(__builtin_inf());

template <class T>
std::size_t panels(std::size_t columns) {
  return round_up(columns, tile_columns<T>);
}

// A matrix of `depth` rows as panels of tile_columns columns, (panel, depth, tile_columns).
template <class T>
void pack(const T* from, std::size_t row, std::size_t depth, std::size_t columns, T* to) {
  constexpr std::size_t wide = tile_columns<T>;
  for (std::size_t j = 0; j < columns; j += wide) {
    const std::size_t known = smaller(columns - j, wide);
    for (std::size_t k = 0; k < depth; ++k, to += wide) {
      const T* at = from + k * row + j;
      store(to, load_some(at, known));
      store(to + lanes<T>,
            known > lanes<T> ? load_some(at + lanes<T>, known - lanes<T>) : Vector<T>{});
    }
  }
}

// The same of the transpose of a matrix of `columns` rows of `depth` elements.
template <class T>
void pack_transposed(const T* from, std::size_t row, std::size_t depth, std::size_t columns,
                     T* to) {
  constexpr std::size_t wide = tile_columns<T>;
  for (std::size_t j = 0; j < columns; j += wide, to += depth * wide) {
    transpose_into(from + j * row, row, smaller(columns - j, wide), depth, to, wide);
  }
}

// out (+)= a * packed; element (i, k) of a is a[i * a_row + k * a_column].
template <class T>
void multiply(std::size_t rows, std::size_t columns, std::size_t depth, const T* a,
              std::size_t a_row, std::size_t a_column, const T* packed, T* out, std::size_t out_row,
              bool add) {
  constexpr std::size_t wide = tile_columns<T>;
  for (std::size_t j = 0; j < columns; j += wide) {
    for (std::size_t i = 0; i < rows; i += tile_rows) {
      multiply_edge<T>(rows - i, columns - j, a + i * a_row, a_row, a_column, packed + j * depth,
                       wide, out + i * out_row + j, out_row, depth, add);
    }
  }
}

// Zeros and factors for the weights of one row and keys first .. first + keys_at_once, first being
// a multiple of that. Key k has word k % 128 / 32 of the counter (k / 128 * 32 + k % 32, row,
// batch).
template <class T>
void find_factors(const Attention& s, std::size_t batch, std::size_t row, std::size_t first,
                  T* factors) {
  constexpr std::size_t quarter = keys_at_once / 4;
  const auto low = static_cast<std::uint32_t>(s.seed);
  const auto high = static_cast<std::uint32_t>(s.seed >> 32);
  const T kept = static_cast<T>(s.kept_factor);
#pragma omp simd
  for (std::size_t j = 0; j < quarter; ++j) {
    const Words words = philox({{static_cast<std::uint32_t>(first / 4 + j),
                                 static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(batch),
                                 static_cast<std::uint32_t>(std::uint64_t{batch} >> 32)}},
                               low, high);
    for (std::size_t w = 0; w < 4; ++w) {
      factors[w * quarter + j] = words.at[w] < s.drop_below ? T(0) : kept;
    }
  }
}

// Number of the `count` keys from `first` on that a row sees.
DTORCH_INLINE std::size_t seen(const Attention& s, std::size_t row, std::size_t first,
                               std::size_t count) {
  return !s.causal ? count : row < first ? 0 : smaller(row + 1 - first, count);
}

// Scores of one row, scaled and masked, over `count` keys from `first` on; -inf for those not seen.
template <class T>
void finish_scores(const Attention& s, const AttentionMask& mask, std::size_t batch,
                   std::size_t row, std::size_t first, std::size_t count, T* scores) {
  const T scale = static_cast<T>(s.scale);
  const std::size_t known = seen(s, row, first, count);
  const std::size_t at =
      mask.data == nullptr ? 0 : mask.at[batch] + row * mask.row + first * mask.column;
  if (mask.data == nullptr) {
#pragma omp simd
    for (std::size_t j = 0; j < known; ++j) scores[j] *= scale;
  } else if (mask.numbers) {
    const T* added = static_cast<const T*>(mask.data) + at;
    for (std::size_t j = 0; j < known; ++j) {
      scores[j] = scores[j] * scale + added[j * mask.column];
    }
  } else {
    const auto* counts = static_cast<const unsigned char*>(mask.data) + at;
    for (std::size_t j = 0; j < known; ++j) {
      scores[j] = counts[j * mask.column] != 0 ? scores[j] * scale : -infinity<T>;
    }
  }
  for (std::size_t j = known; j < count; ++j) scores[j] = -infinity<T>;
}

// Maximum and sum of the exponentials of a row so far.
template <class T>
struct Running {
  T top, sum;
};

// Scores of further keys become exponentials; what was found for earlier ones is to be multiplied
// by the factor returned.
template <class T>
T add_exponentials(T* scores, std::size_t count, Running<T>& so_far) {
  const T largest = row_max(scores, count);
  const T top = largest > so_far.top ? largest : so_far.top;
  const T shift = top == -infinity<T> ? T(0) : top;
  const T factor = exponential(so_far.top - shift);
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t j = 0; j < count; ++j) {
    const T e = exponential(scores[j] - shift);
    scores[j] = e;
    sum += e;
  }
  so_far = {top, so_far.sum * factor + sum};
  return factor;
}

// Workspace of one thread in the forward pass.
template <class T>
struct ForwardTiles {
  T *key, *value, *scores, *factors, *sums, *tops;
  std::size_t size;

  ForwardTiles(const Attention& s, T* at) {
    T* next = at;
    const auto take = [&next](std::size_t count) {
      T* found = next;
      next += count;
      return found;
    };
    key = take(keys_at_once * s.width);
    value = take(keys_at_once * panels<T>(s.out_width));
    scores = take(rows_at_once * keys_at_once);
    factors = take(keys_at_once);
    sums = take(rows_of_item);
    tops = take(rows_of_item);
    size = round_up(static_cast<std::size_t>(next - at), lanes<T>);
  }
};

template <class T>
void scale_row(T* row, T factor, std::size_t n) {
#pragma omp simd
  for (std::size_t j = 0; j < n; ++j) row[j] *= factor;
}

// Rows begin .. end of one batch, of at most rows_of_item.
template <class T>
void attend(const Attention& s, const T* query, std::size_t query_row, const T* key,
            std::size_t key_row, const T* value, std::size_t value_row, const AttentionMask& mask,
            std::size_t batch, std::size_t begin, std::size_t end, T* out, std::size_t out_row,
            T* log_sums, const ForwardTiles<T>& tiles) {
  for (std::size_t i = 0; i < end - begin; ++i) {
    tiles.sums[i] = 0;
    tiles.tops[i] = -infinity<T>;
    for (std::size_t j = 0; j < s.out_width; ++j) out[(begin + i) * out_row + j] = 0;
  }
  const std::size_t visible = s.causal ? smaller(end, s.keys) : s.keys;
  for (std::size_t first = 0; first < visible; first += keys_at_once) {
    const std::size_t count = smaller(s.keys - first, keys_at_once);
    pack_transposed(key + first * key_row, key_row, s.width, count, tiles.key);
    pack(value + first * value_row, value_row, count, s.out_width, tiles.value);
    for (std::size_t i = begin; i < end; i += rows_at_once) {
      const std::size_t rows = smaller(end - i, rows_at_once);
      if (s.causal && i + rows <= first) continue;
      multiply(rows, count, s.width, query + i * query_row, query_row, 1, tiles.key, tiles.scores,
               keys_at_once, false);
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t row = i + r;
        T* scores = tiles.scores + r * keys_at_once;
        finish_scores(s, mask, batch, row, first, count, scores);
        Running<T> so_far = {tiles.tops[row - begin], tiles.sums[row - begin]};
        const T factor = add_exponentials(scores, count, so_far);
        tiles.tops[row - begin] = so_far.top;
        tiles.sums[row - begin] = so_far.sum;
        if (factor != 1) scale_row(out + row * out_row, factor, s.out_width);
        if (s.drop_below == 0) continue;
        find_factors(s, batch, row, first, tiles.factors);
#pragma omp simd
        for (std::size_t j = 0; j < count; ++j) scores[j] *= tiles.factors[j];
      }
      multiply(rows, s.out_width, count, tiles.scores, keys_at_once, 1, tiles.value,
               out + i * out_row, out_row, true);
    }
  }
  for (std::size_t row = begin; row < end; ++row) {
    const T sum = tiles.sums[row - begin];
    log_sums[row] = sum == 0 ? infinity<T> : tiles.tops[row - begin] + natural_log(sum);
    if (sum != 0) scale_row(out + row * out_row, 1 / sum, s.out_width);
  }
}

std::size_t item_rows(const Attention& s) {
  const std::size_t wanted = divide_up(4 * s.slots, s.batches);
  return smaller(round_up(divide_up(s.rows, wanted), rows_at_once), rows_of_item);
}

// ------------------------------------------------------------------------------------- backward

std::size_t backward_split(const Attention& s) {
  const std::size_t tiles = larger(divide_up(s.keys, keys_at_once), 1);
  return smaller(tiles, larger(backward_parts / s.batches, 1));
}

template <class T>
struct BackwardTiles {
  T *key, *key_transposed, *value_transposed, *query, *grad, *weights, *slopes, *factors;
  T *grad_key, *grad_value;
  std::size_t size;

  BackwardTiles(const Attention& s, T* at) {
    T* next = at;
    const auto take = [&next](std::size_t count) {
      T* found = next;
      next += count;
      return found;
    };
    key = take(keys_at_once * panels<T>(s.width));
    key_transposed = take(keys_at_once * s.width);
    value_transposed = take(keys_at_once * s.out_width);
    query = take(rows_at_once * panels<T>(s.width));
    grad = take(rows_at_once * panels<T>(s.out_width));
    weights = take(rows_at_once * keys_at_once);
    slopes = take(rows_at_once * keys_at_once);
    factors = take(keys_at_once);
    grad_key = take(keys_at_once * s.width);
    grad_value = take(keys_at_once * s.out_width);
    size = round_up(static_cast<std::size_t>(next - at), lanes<T>);
  }
};

// The pointers of one batch, and how far apart their rows are.
template <class T>
struct BatchOf {
  const T *grad, *query, *key, *value;
  std::size_t grad_row, query_row, key_row, value_row;
  const T *log_sums, *products;  // products: of each row of the result and its gradient
};

// Weights of up to rows_at_once rows and keys_at_once keys, as they were multiplied with values,
// and the slopes of the scores.
template <class T>
void find_slopes(const Attention& s, const BatchOf<T>& from, const AttentionMask& mask,
                 std::size_t batch, std::size_t i, std::size_t rows, std::size_t first,
                 std::size_t count, const BackwardTiles<T>& tiles) {
  multiply(rows, count, s.width, from.query + i * from.query_row, from.query_row, 1,
           tiles.key_transposed, tiles.weights, keys_at_once, false);
  multiply(rows, count, s.out_width, from.grad + i * from.grad_row, from.grad_row, 1,
           tiles.value_transposed, tiles.slopes, keys_at_once, false);
  const T scale = static_cast<T>(s.scale);
  for (std::size_t r = 0; r < rows; ++r) {
    T* weights = tiles.weights + r * keys_at_once;
    T* slopes = tiles.slopes + r * keys_at_once;
    finish_scores(s, mask, batch, i + r, first, count, weights);
    const T log_sum = from.log_sums[i + r], product = from.products[i + r];
    if (s.drop_below == 0) {
#pragma omp simd
      for (std::size_t j = 0; j < count; ++j) {
        weights[j] = exponential(weights[j] - log_sum);
        slopes[j] = weights[j] * (slopes[j] - product) * scale;
      }
      continue;
    }
    find_factors(s, batch, i + r, first, tiles.factors);
#pragma omp simd
    for (std::size_t j = 0; j < count; ++j) {
      const T weight = exponential(weights[j] - log_sum), factor = tiles.factors[j];
      weights[j] = weight * factor;
      slopes[j] = weight * (slopes[j] * factor - product) * scale;
    }
  }
}

template <class T>
void clear(T* at, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) at[i] = 0;
}

// Gradients of keys begin .. end, a multiple of keys_at_once apart from the last, and their share
// in that of the queries.
template <class T>
void differentiate(const Attention& s, const BatchOf<T>& from, const AttentionMask& mask,
                   std::size_t batch, std::size_t begin, std::size_t end, T* grad_query,
                   std::size_t grad_query_row, T* grad_key, std::size_t grad_key_row, T* grad_value,
                   std::size_t grad_value_row, const BackwardTiles<T>& tiles) {
  for (std::size_t i = 0; i < s.rows; ++i) clear(grad_query + i * grad_query_row, s.width);
  for (std::size_t first = begin; first < end; first += keys_at_once) {
    const std::size_t count = smaller(end - first, keys_at_once);
    const T* key = from.key + first * from.key_row;
    pack(key, from.key_row, count, s.width, tiles.key);
    pack_transposed(key, from.key_row, s.width, count, tiles.key_transposed);
    pack_transposed(from.value + first * from.value_row, from.value_row, s.out_width, count,
                    tiles.value_transposed);
    clear(tiles.grad_key, count * s.width);
    clear(tiles.grad_value, count * s.out_width);
    const std::size_t start = s.causal ? first / rows_at_once * rows_at_once : 0;
    for (std::size_t i = start; i < s.rows; i += rows_at_once) {
      const std::size_t rows = smaller(s.rows - i, rows_at_once);
      find_slopes(s, from, mask, batch, i, rows, first, count, tiles);
      pack(from.query + i * from.query_row, from.query_row, rows, s.width, tiles.query);
      pack(from.grad + i * from.grad_row, from.grad_row, rows, s.out_width, tiles.grad);
      multiply(count, s.out_width, rows, tiles.weights, 1, keys_at_once, tiles.grad,
               tiles.grad_value, s.out_width, true);
      multiply(count, s.width, rows, tiles.slopes, 1, keys_at_once, tiles.query, tiles.grad_key,
               s.width, true);
      multiply(rows, s.width, count, tiles.slopes, keys_at_once, 1, tiles.key,
               grad_query + i * grad_query_row, grad_query_row, true);
    }
    for (std::size_t k = 0; k < count; ++k) {
      __builtin_memcpy(grad_key + (first + k) * grad_key_row, tiles.grad_key + k * s.width,
                       s.width * sizeof(T));
      __builtin_memcpy(grad_value + (first + k) * grad_value_row,
                       tiles.grad_value + k * s.out_width, s.out_width * sizeof(T));
    }
  }
}

template <class T>
void find_products(const Attention& s, const T* grad, std::size_t grad_row, const T* out,
                   std::size_t out_row, T* products) {
  for (std::size_t i = 0; i < s.rows; ++i, grad += grad_row, out += out_row) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t j = 0; j < s.out_width; ++j) sum += grad[j] * out[j];
    products[i] = sum;
  }
}

}  // namespace

template <class T>
std::size_t attention_workspace(Attention s) {
  return s.slots * ForwardTiles<T>(s, nullptr).size;
}

template <class T>
void attention(Attention s, Matrices<const T> query, Matrices<const T> key, Matrices<const T> value,
               AttentionMask mask, Matrices<T> out, T* log_sums, T* workspace) {
  const std::size_t block = item_rows(s), blocks = divide_up(s.rows, block);
  const std::size_t slot_size = ForwardTiles<T>(s, workspace).size;
  for_each_item(s.batches * blocks, s.slots, [&](std::size_t item, std::size_t slot) {
    const std::size_t batch = item / blocks, begin = item % blocks * block;
    const ForwardTiles<T> tiles(s, workspace + slot * slot_size);
    attend(s, query.data + query.at[batch], query.row, key.data + key.at[batch], key.row,
           value.data + value.at[batch], value.row, mask, batch, begin,
           smaller(begin + block, s.rows), out.data + out.at[batch], out.row,
           log_sums + batch * s.rows, tiles);
  });
}

template <class T>
std::size_t attention_backward_workspace(Attention s) {
  const std::size_t parts = backward_split(s);
  const std::size_t shares = parts == 1 ? 0 : parts * s.batches * s.rows * s.width;
  return s.slots * BackwardTiles<T>(s, nullptr).size + s.batches * s.rows + shares;
}

template <class T>
void attention_backward(Attention s, Matrices<const T> grad, Matrices<const T> query,
                        Matrices<const T> key, Matrices<const T> value, AttentionMask mask,
                        Matrices<const T> out, const T* log_sums, Matrices<T> grad_query,
                        Matrices<T> grad_key, Matrices<T> grad_value, T* workspace) {
  const std::size_t parts = backward_split(s), size = s.rows * s.width;
  const std::size_t slot_size = BackwardTiles<T>(s, workspace).size;
  T* products = workspace + s.slots * slot_size;
  T* shares = products + s.batches * s.rows;
  for_each_item(s.batches, s.slots, [&](std::size_t batch, std::size_t) {
    find_products(s, grad.data + grad.at[batch], grad.row, out.data + out.at[batch], out.row,
                  products + batch * s.rows);
  });
  const std::size_t tiles_of_part = divide_up(divide_up(s.keys, keys_at_once), parts);
  const std::size_t keys_of_part = tiles_of_part * keys_at_once;
  for_each_item(s.batches * parts, s.slots, [&](std::size_t item, std::size_t slot) {
    const std::size_t batch = item / parts, begin = item % parts * keys_of_part;
    const BatchOf<T> from = {grad.data + grad.at[batch],
                             query.data + query.at[batch],
                             key.data + key.at[batch],
                             value.data + value.at[batch],
                             grad.row,
                             query.row,
                             key.row,
                             value.row,
                             log_sums + batch * s.rows,
                             products + batch * s.rows};
    T* into = parts == 1 ? grad_query.data + grad_query.at[batch] : shares + item * size;
    differentiate(s, from, mask, batch, smaller(begin, s.keys),
                  smaller(begin + keys_of_part, s.keys), into,
                  parts == 1 ? grad_query.row : s.width, grad_key.data + grad_key.at[batch],
                  grad_key.row, grad_value.data + grad_value.at[batch], grad_value.row,
                  BackwardTiles<T>(s, workspace + slot * slot_size));
  });
  if (parts == 1) return;
  const std::size_t blocks = divide_up(s.rows, rows_at_once);
  for_each_item(s.batches * blocks, s.slots, [&](std::size_t item, std::size_t) {
    const std::size_t batch = item / blocks, begin = item % blocks * rows_at_once;
    const std::size_t end = smaller(begin + rows_at_once, s.rows);
    for (std::size_t i = begin; i < end; ++i) {
      T* to = grad_query.data + grad_query.at[batch] + i * grad_query.row;
      const T* from = shares + batch * parts * size + i * s.width;
      __builtin_memcpy(to, from, s.width * sizeof(T));
      for (std::size_t p = 1; p < parts; ++p) {
        const T* share = from + p * size;
#pragma omp simd
        for (std::size_t j = 0; j < s.width; ++j) to[j] += share[j];
      }
    }
  });
}

#define DTORCH_INSTANTIATE(T)                                                                 \
  template std::size_t attention_workspace<T>(Attention);                                     \
  template void attention(Attention, Matrices<const T>, Matrices<const T>, Matrices<const T>, \
                          AttentionMask, Matrices<T>, T*, T*);                                \
  template std::size_t attention_backward_workspace<T>(Attention);                            \
  template void attention_backward(                                                           \
      Attention, Matrices<const T>, Matrices<const T>, Matrices<const T>, Matrices<const T>,  \
      AttentionMask, Matrices<const T>, const T*, Matrices<T>, Matrices<T>, Matrices<T>, T*);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
