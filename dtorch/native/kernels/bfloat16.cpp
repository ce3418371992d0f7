#include "kernels/bfloat16.h"

#include "kernels/integers.h"
#include "kernels/items.h"
#include "kernels/simd.h"

// Elements that follow each other along the sum travel in pairs, as one 32-bit word: the
// instruction adds both products of two pairs to each of 16 sums.
namespace dtorch::avx512_bf16 {
namespace {

using Element = std::uint16_t;
using Word = std::uint32_t;

constexpr std::size_t wide = 16;           // words of a vector
constexpr std::size_t panel_columns = 32;  // two vectors: columns of a tile
constexpr std::size_t tile_rows = 8;
static_assert(wide % tile_rows == 0, "rows of a tile are in one packed panel");
constexpr std::size_t pairs_at_once = 256;  // pairs whose products are added up in registers
constexpr std::size_t rows_at_once = 64;    // rows that are packed
constexpr std::size_t panels_at_once = 16;  // panels whose sums stay near the processor

// Items are blocks of rows and of columns, enough of them for every slot; of a large batch they
// are whole products.
struct Blocks {
  std::size_t pairs, panels, packed, packed_rows, row_blocks, columns, column_blocks, slot;
  bool by_batch;

  explicit Blocks(const Product& s)
      : pairs(divide_up(s.depth, 2)),
        panels(divide_up(s.columns, panel_columns)),
        packed(panels * panel_columns * pairs),
        packed_rows(rows_at_once * smaller(pairs, pairs_at_once)),
        row_blocks(divide_up(s.rows, rows_at_once)),
        columns(smaller(panels, panels_at_once)),
        by_batch(s.batches >= 2 * s.slots) {
    if (!by_batch && row_blocks < 4 * s.slots) {
      columns = smaller(columns, divide_up(panels * row_blocks, 4 * s.slots));
    }
    column_blocks = divide_up(panels, columns);
    slot = packed_rows + rows_at_once * columns * panel_columns + (by_batch ? packed : 0);
  }
};

Word mask_of(std::size_t count) { return count >= 32 ? ~Word{0} : (Word{1} << count) - 1; }

// The plain forms of these intrinsics set off a false warning of GCC 12.
constexpr __mmask16 every = 0xFFFF;
__m512i words_of(__m256i elements) { return _mm512_maskz_cvtepu16_epi32(every, elements); }

// Of up to 16 vectors along the sum, `step` apart, pairs side by side: (pairs, out_step) words.
void pack_along(const Element* in, std::size_t step, std::size_t vectors, std::size_t depth,
                Word* out, std::size_t out_step) {
  for (std::size_t k = 0; k < depth; k += 2 * wide) {
    const Word mask = mask_of(depth - k);
    Vector<float> block[wide];
    for (std::size_t i = 0; i < wide; ++i) {
      block[i] = i < vectors
                     ? _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, in + i * step + k))
                     : Vector<float>{};
    }
    transpose<float>(block);
    const std::size_t pairs = smaller(wide, divide_up(depth - k, 2));
    float* to = reinterpret_cast<float*>(out + k / 2 * out_step);
    for (std::size_t j = 0; j < pairs; ++j) store(to + j * out_step, block[j]);
  }
}

// The same of vectors whose elements are `step` apart and that lie side by side themselves.
void pack_across(const Element* in, std::size_t step, std::size_t vectors, std::size_t depth,
                 Word* out, std::size_t out_step) {
  const auto mask = static_cast<__mmask16>(mask_of(vectors));
  for (std::size_t k = 0; k < depth; k += 2, out += out_step) {
    const Element* from = in + k * step;
    __m512i words = words_of(_mm256_maskz_loadu_epi16(mask, from));
    if (k + 1 < depth) {
      const __m512i second = words_of(_mm256_maskz_loadu_epi16(mask, from + step));
      words = _mm512_or_si512(words, _mm512_maskz_slli_epi32(every, second, 16));
    }
    _mm512_storeu_si512(out, words);
  }
}

void pack(const Element* in, std::size_t along, std::size_t across, std::size_t vectors,
          std::size_t depth, Word* out, std::size_t out_step) {
  if (along == 1) {
    pack_along(in, across, vectors, depth, out, out_step);
  } else {
    pack_across(in, along, vectors, depth, out, out_step);
  }
}

// Panel of columns: (pairs, panel_columns) words.
void pack_panel(const Product& s, const Element* b, std::size_t panel, Word* out) {
  const std::size_t first = panel * panel_columns;
  for (std::size_t half = 0; half < panel_columns; half += wide) {
    const std::size_t known = s.columns > first + half ? s.columns - first - half : 0;
    pack(b + (first + half) * s.b_column, s.b_row, s.b_column, smaller(known, wide), s.depth,
         out + half, panel_columns);
  }
}

// Rows in panels of one vector: (panel, pairs, wide) words.
void pack_rows(const Product& s, const Element* a, std::size_t rows, std::size_t depth, Word* out) {
  for (std::size_t i = 0; i < rows; i += wide, out += divide_up(depth, 2) * wide) {
    pack(a + i * s.a_row, s.a_column, s.a_row, smaller(rows - i, wide), depth, out, wide);
  }
}

// sums[i][j] (+)= sum over pairs of a[i] * b[j], for M rows and a panel of columns.
template <std::size_t M>
DTORCH_INLINE void multiply_tile(const Word* a, const Word* b, float* sums, std::size_t step,
                                 std::size_t pairs, bool add) {
  __m512 tile[M][2];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < M; ++i) {
    for (std::size_t j = 0; j < 2; ++j) {
      tile[i][j] = add ? _mm512_loadu_ps(sums + i * step + j * wide) : _mm512_setzero_ps();
    }
  }
  for (std::size_t k = 0; k < pairs; ++k, a += wide, b += panel_columns) {
    const auto left = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b));
    const auto right = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + wide));
#pragma GCC unroll 8
    for (std::size_t i = 0; i < M; ++i) {
      const auto factor = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a[i])));
      tile[i][0] = _mm512_dpbf16_ps(tile[i][0], factor, left);
      tile[i][1] = _mm512_dpbf16_ps(tile[i][1], factor, right);
    }
  }
#pragma GCC unroll 8
  for (std::size_t i = 0; i < M; ++i) {
    for (std::size_t j = 0; j < 2; ++j) _mm512_storeu_ps(sums + i * step + j * wide, tile[i][j]);
  }
}

template <std::size_t M = tile_rows>
void multiply_rows(std::size_t rows, const Word* a, const Word* b, float* sums, std::size_t step,
                   std::size_t pairs, bool add) {
  if (rows >= M) {
    multiply_tile<M>(a, b, sums, step, pairs, add);
  } else if constexpr (M > 1) {
    multiply_rows<M - 1>(rows, a, b, sums, step, pairs, add);
  }
}

// start: null, or a row that is added to each.
void round_rows(const float* sums, std::size_t step, std::size_t rows, std::size_t columns,
                const float* start, Element* out, std::size_t out_step) {
  for (std::size_t i = 0; i < rows; ++i, sums += step, out += out_step) {
    for (std::size_t j = 0; j < columns; j += wide) {
      Vector<float> sum = load(sums + j);
      if (start != nullptr) sum += load_some(start + j, columns - j);
      const auto rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(sum));
      const auto mask = static_cast<__mmask16>(mask_of(smaller(columns - j, wide)));
      _mm256_mask_storeu_epi16(out + j, mask, rounded);
    }
  }
}

// Panels begin .. end of the columns of up to rows_at_once rows of one product.
void multiply_block(const Product& s, const Blocks& blocks, const Element* a, const Word* packed,
                    std::size_t rows, std::size_t begin, std::size_t end, const float* start,
                    Element* out, Word* workspace) {
  float* sums = reinterpret_cast<float*>(workspace + blocks.packed_rows);
  const std::size_t step = (end - begin) * panel_columns;
  for (std::size_t k = 0; k < blocks.pairs; k += pairs_at_once) {
    const std::size_t pairs = smaller(blocks.pairs - k, pairs_at_once);
    pack_rows(s, a + 2 * k * s.a_column, rows, smaller(s.depth - 2 * k, 2 * pairs), workspace);
    for (std::size_t panel = begin; panel < end; ++panel) {
      const Word* b = packed + (panel * blocks.pairs + k) * panel_columns;
      for (std::size_t i = 0; i < rows; i += tile_rows) {
        multiply_rows(rows - i, workspace + i / wide * wide * pairs + i % wide, b,
                      sums + i * step + (panel - begin) * panel_columns, step, pairs, k != 0);
      }
    }
  }
  const std::size_t first = begin * panel_columns;
  round_rows(sums, step, rows, smaller(s.columns - first, step),
             start == nullptr ? nullptr : start + first, out + first, s.columns);
}

}  // namespace

std::size_t matmul_workspace(Product s) {
  const Blocks blocks(s);
  return s.slots * blocks.slot + (blocks.by_batch ? 0 : blocks.packed);
}

void matmul(Product s, const Element* a, const std::size_t* a_at, const Element* b,
            const std::size_t* b_at, const float* start, Element* out, Word* workspace) {
  const Blocks blocks(s);
  const std::size_t size = s.rows * s.columns, panel = panel_columns * blocks.pairs;
  const auto multiply = [&](std::size_t batch, std::size_t row_block, std::size_t column_block,
                            const Word* packed, Word* own) {
    const std::size_t i = row_block * rows_at_once, begin = column_block * blocks.columns;
    multiply_block(s, blocks, a + a_at[batch] + i * s.a_row, packed,
                   smaller(s.rows - i, rows_at_once), begin,
                   smaller(begin + blocks.columns, blocks.panels), start,
                   out + batch * size + i * s.columns, own);
  };
  if (blocks.by_batch) {
    for_each_item(s.batches, s.slots, [&](std::size_t batch, std::size_t slot) {
      Word* own = workspace + slot * blocks.slot;
      Word* packed = own + blocks.slot - blocks.packed;
      for (std::size_t p = 0; p < blocks.panels; ++p) {
        pack_panel(s, b + b_at[batch], p, packed + p * panel);
      }
      for (std::size_t j = 0; j < blocks.column_blocks; ++j) {
        for (std::size_t i = 0; i < blocks.row_blocks; ++i) multiply(batch, i, j, packed, own);
      }
    });
    return;
  }
  Word* packed = workspace + s.slots * blocks.slot;
  for (std::size_t batch = 0; batch < s.batches; ++batch) {
    for_each_item(blocks.panels, s.slots, [&](std::size_t p, std::size_t) {
      pack_panel(s, b + b_at[batch], p, packed + p * panel);
    });
    const std::size_t items = blocks.row_blocks * blocks.column_blocks;
    for_each_item(items, s.slots, [&](std::size_t item, std::size_t slot) {
      multiply(batch, item / blocks.column_blocks, item % blocks.column_blocks, packed,
               workspace + slot * blocks.slot);
    });
  }
}

// ------------------------------------------------------------------------- sums of products

namespace {

constexpr std::size_t columns_of_sum = 2 * panel_columns;  // of an item; it has rows_at_once rows
constexpr std::size_t packed_of_sum = rows_at_once * pairs_at_once;
constexpr std::size_t slot_of_sum =
    packed_of_sum + columns_of_sum * pairs_at_once + rows_at_once * columns_of_sum;

// One item of the sum: rows from i and columns from j on.
void sum_products(const Product& s, const Element* a, const Element* b, std::size_t i,
                  std::size_t j, Element* out, Word* workspace) {
  const std::size_t rows = smaller(s.rows - i, rows_at_once);
  const std::size_t columns = smaller(s.columns - j, columns_of_sum);
  Word* panels = workspace + packed_of_sum;
  float* sums = reinterpret_cast<float*>(panels + columns_of_sum * pairs_at_once);
  bool add = false;
  for (std::size_t batch = 0; batch < s.batches; ++batch) {
    const Element* from_a = a + (batch * s.rows + i) * s.depth;
    const Element* from_b = b + (batch * s.columns + j) * s.depth;
    for (std::size_t k = 0; k < s.depth; k += 2 * pairs_at_once, add = true) {
      const std::size_t depth = smaller(s.depth - k, 2 * pairs_at_once);
      const std::size_t pairs = divide_up(depth, 2);
      for (std::size_t r = 0; r < rows; r += wide) {
        pack_along(from_a + r * s.depth + k, s.depth, smaller(rows - r, wide), depth,
                   workspace + r * pairs, wide);
      }
      for (std::size_t c = 0; c < columns; c += panel_columns) {
        Word* panel = panels + c * pairs;
        for (std::size_t half = 0; half < panel_columns; half += wide) {
          const std::size_t known = columns > c + half ? columns - c - half : 0;
          pack_along(from_b + (c + half) * s.depth + k, s.depth, smaller(known, wide), depth,
                     panel + half, panel_columns);
        }
        for (std::size_t r = 0; r < rows; r += tile_rows) {
          multiply_rows(rows - r, workspace + r / wide * wide * pairs + r % wide, panel,
                        sums + r * columns_of_sum + c, columns_of_sum, pairs, add);
        }
      }
    }
  }
  round_rows(sums, columns_of_sum, rows, columns, nullptr, out + i * s.columns + j, s.columns);
}

}  // namespace

std::size_t summed_matmul_workspace(Product s) { return s.slots * slot_of_sum; }

void summed_matmul(Product s, const Element* a, const Element* b, Element* out, Word* workspace) {
  const std::size_t column_blocks = divide_up(s.columns, columns_of_sum);
  const std::size_t items = divide_up(s.rows, rows_at_once) * column_blocks;
  for_each_item(items, s.slots, [&](std::size_t item, std::size_t slot) {
    sum_products(s, a, b, item / column_blocks * rows_at_once,
                 item % column_blocks * columns_of_sum, out, workspace + slot * slot_of_sum);
  });
}

}  // namespace dtorch::avx512_bf16
