#include "kernels/matmul.h"

#include "kernels/gemm.h"
#include "kernels/integers.h"
#include "kernels/items.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t depth_at_once = 256;  // terms of the sums that are formed in registers
constexpr std::size_t rows_at_once = 64;    // rows that are packed

// Items are blocks of rows and of columns, enough of them for every slot; of a large batch they
// are whole products.
template <class T>
struct Blocks {
  bool by_batch;
  std::size_t panels, packed, columns, column_blocks, row_blocks, slot;

  explicit Blocks(const Product& s)
      : by_batch(s.batches >= 2 * s.slots),
        panels(divide_up(s.columns, tile_columns<T>)),
        packed(panels * tile_columns<T> * s.depth),
        columns(panels),
        column_blocks(1),
        row_blocks(divide_up(s.rows, rows_at_once)) {
    if (!by_batch && row_blocks < 4 * s.slots) {
      columns = divide_up(panels, smaller(panels, divide_up(4 * s.slots, row_blocks)));
      column_blocks = divide_up(panels, columns);
    }
    slot = rows_at_once * smaller(s.depth, depth_at_once);
    if (by_batch) slot += packed;
  }

  std::size_t workspace(std::size_t slots) const { return slots * slot + (by_batch ? 0 : packed); }
};

// A panel of tile_columns columns: (depth, tile_columns). Of up to one vector of columns the second
// may be left out.
template <class T>
void pack_panel(const Product& s, const T* b, std::size_t panel, T* out) {
  constexpr std::size_t wide = tile_columns<T>;
  const std::size_t first = panel * wide, known = smaller(s.columns - first, wide);
  if (s.b_column != 1) {
    transpose_into(b + first * s.b_column, s.b_column, known, s.depth, out, wide);
    return;
  }
  for (std::size_t k = 0; k < s.depth; ++k, out += wide) {
    const T* from = b + k * s.b_row + first;
    store(out, load_some(from, known));
    store(out + lanes<T>,
          known > lanes<T> ? load_some(from + lanes<T>, known - lanes<T>) : Vector<T>{});
  }
}

// Rows in panels of one vector: (panel, depth, lanes).
template <class T>
void pack_rows(const Product& s, const T* a, std::size_t rows, std::size_t depth, T* out) {
  for (std::size_t i = 0; i < rows; i += lanes<T>, out += depth * lanes<T>) {
    const std::size_t known = smaller(rows - i, lanes<T>);
    if (s.a_row != 1) {
      transpose_into(a + i * s.a_row, s.a_row, known, depth, out, lanes<T>);
      continue;
    }
    for (std::size_t k = 0; k < depth; ++k) {
      store(out + k * lanes<T>, load_some(a + i + k * s.a_column, known));
    }
  }
}

// Panels begin .. end of the columns of up to rows_at_once rows of one product, plus `start`.
template <class T>
void multiply_block(const Product& s, const T* a, const T* packed, std::size_t rows,
                    std::size_t begin, std::size_t end, const T* start, T* out, T* workspace) {
  constexpr std::size_t wide = tile_columns<T>;
  if (start != nullptr) {
    const std::size_t first = begin * wide, count = smaller(s.columns, end * wide) - first;
    for (std::size_t i = 0; i < rows; ++i) {
      __builtin_memcpy(out + i * s.columns + first, start + first, count * sizeof(T));
    }
  }
  for (std::size_t k = 0; k < s.depth; k += depth_at_once) {
    const std::size_t depth = smaller(s.depth - k, depth_at_once);
    pack_rows(s, a + k * s.a_column, rows, depth, workspace);
    for (std::size_t panel = begin; panel < end; ++panel) {
      const T* b = packed + (panel * s.depth + k) * wide;
      const std::size_t known = smaller(s.columns - panel * wide, wide);
      for (std::size_t i = 0; i < rows; i += tile_rows) {
        const T* block = workspace + i / lanes<T> * lanes<T> * depth + i % lanes<T>;
        multiply_edge<T>(rows - i, known, block, 1, lanes<T>, b, wide,
                         out + i * s.columns + panel * wide, s.columns, depth,
                         k != 0 || start != nullptr);
      }
    }
  }
}

}  // namespace

template <class T>
std::size_t matmul_workspace(Product s) {
  return Blocks<T>(s).workspace(s.slots);
}

template <class T>
void matmul(Product s, const T* a, const std::size_t* a_at, const T* b, const std::size_t* b_at,
            const T* start, T* out, T* workspace) {
  const Blocks<T> blocks(s);
  const std::size_t size = s.rows * s.columns, panel = tile_columns<T> * s.depth;
  const std::size_t packed_rows = rows_at_once * smaller(s.depth, depth_at_once);
  if (blocks.by_batch) {
    for_each_item(s.batches, s.slots, [&](std::size_t batch, std::size_t slot) {
      T* rows = workspace + slot * blocks.slot;
      T* packed = rows + packed_rows;
      for (std::size_t p = 0; p < blocks.panels; ++p) {
        pack_panel(s, b + b_at[batch], p, packed + p * panel);
      }
      for (std::size_t i = 0; i < s.rows; i += rows_at_once) {
        multiply_block(s, a + a_at[batch] + i * s.a_row, packed, smaller(s.rows - i, rows_at_once),
                       0, blocks.panels, start, out + batch * size + i * s.columns, rows);
      }
    });
    return;
  }
  T* packed = workspace + s.slots * blocks.slot;
  for (std::size_t batch = 0; batch < s.batches; ++batch) {
    for_each_item(blocks.panels, s.slots, [&](std::size_t p, std::size_t) {
      pack_panel(s, b + b_at[batch], p, packed + p * panel);
    });
    const std::size_t items = blocks.row_blocks * blocks.column_blocks;
    for_each_item(items, s.slots, [&](std::size_t item, std::size_t slot) {
      const std::size_t i = item / blocks.column_blocks * rows_at_once;
      const std::size_t begin = item % blocks.column_blocks * blocks.columns;
      multiply_block(s, a + a_at[batch] + i * s.a_row, packed, smaller(s.rows - i, rows_at_once),
                     begin, smaller(begin + blocks.columns, blocks.panels), start,
                     out + batch * size + i * s.columns, workspace + slot * blocks.slot);
    });
  }
}

#define DTORCH_INSTANTIATE(T)                                                               \
  template std::size_t matmul_workspace<T>(Product);                                        \
  template void matmul(Product, const T*, const std::size_t*, const T*, const std::size_t*, \
                       const T*, T*, T*);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
