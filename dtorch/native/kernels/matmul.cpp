#include "kernels/matmul.h"

#include "kernels/gemm.h"
#include "kernels/integers.h"
#include "kernels/items.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t depth_at_once = 256;  // terms of the sums that are formed in registers
constexpr std::size_t rows_at_once = 128;   // most rows that are packed

// Items of work: whole products of a large batch; single panels of columns, with all rows, where
// there are few of these; else blocks of rows and of columns, enough of them for every slot. Rows
// that several items share are packed beforehand.
template <class T>
struct Blocks {
  static constexpr std::size_t few_rows = 256;

  bool by_batch, by_panel;
  std::size_t panels, packed, columns, column_blocks, rows, row_blocks, slot, shared_rows;

  explicit Blocks(const Product& s)
      : by_batch(s.batches >= 2 * s.slots),
        panels(divide_up(s.columns, tile_columns<T>)),
        packed(panels * tile_columns<T> * s.depth),
        columns(panels),
        column_blocks(1),
        rows(rows_at_once),
        row_blocks(divide_up(s.rows, rows)) {
    by_panel = !by_batch && s.rows <= few_rows && panels >= 4 * s.slots;
    if (!by_batch && !by_panel && !divide_rows(s)) divide_columns(s);
    slot = rows_at_once * smaller(s.depth, depth_at_once);
    shared_rows = by_panel || column_blocks > 1 ? row_blocks * rows * s.depth : 0;
    if (by_batch) slot += packed;
    if (by_panel) slot = tile_columns<T> * s.depth;
  }

  // Into blocks as large as can be, with enough of them for every slot and nearly the same work for
  // all slots; false, and some blocks, where that cannot be.
  bool divide_rows(const Product& s) {
    for (rows = rows_at_once; rows > 0; rows -= rows_at_once / 4) {
      row_blocks = divide_up(s.rows, rows);
      const std::size_t most = round_up(row_blocks, s.slots) * rows;
      if (row_blocks >= 4 * s.slots && 32 * most <= 33 * s.rows) return true;
    }
    rows = rows_at_once / 2;
    row_blocks = divide_up(s.rows, rows);
    return false;
  }

  // Likewise, for items of several blocks of rows.
  void divide_columns(const Product& s) {
    for (std::size_t blocks = 2; blocks <= panels; ++blocks) {
      columns = divide_up(panels, blocks);
      column_blocks = divide_up(panels, columns);
      const std::size_t items = row_blocks * column_blocks;
      if (items >= 4 * s.slots && 32 * round_up(items, s.slots) <= 33 * items) return;
    }
  }

  std::size_t workspace(std::size_t slots) const {
    return slots * slot + (by_batch || by_panel ? 0 : packed) + shared_rows;
  }
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

// Rows of a packed panel: whole vectors, and whole tiles of rows, whichever is larger.
template <class T>
inline constexpr std::size_t panel_rows = larger(lanes<T>, tile_rows);
static_assert(panel_rows<float> % tile_rows == 0 && panel_rows<double> % tile_rows == 0);
static_assert(panel_rows<float> % lanes<float> == 0 && panel_rows<double> % lanes<double> == 0);
static_assert(rows_at_once / 4 % panel_rows<float> == 0, "blocks of rows begin with a panel");
static_assert(rows_at_once / 4 % panel_rows<double> == 0, "blocks of rows begin with a panel");

// Where rows i .. of a block are in its panels: (panel, depth, panel_rows).
template <class T>
std::size_t packed_at(std::size_t i, std::size_t depth) {
  return i / panel_rows<T> * panel_rows<T> * depth + i % panel_rows<T>;
}

// Rows in panels; those behind the last one are written up to a whole vector.
template <class T>
void pack_rows(const Product& s, const T* a, std::size_t rows, std::size_t depth, T* out) {
  constexpr std::size_t high = panel_rows<T>;
  for (std::size_t i = 0; i < rows; i += high, out += depth * high) {
    const std::size_t known = smaller(rows - i, high);
    if (s.a_row != 1) {
      transpose_into(a + i * s.a_row, s.a_row, known, depth, out, high);
      continue;
    }
    for (std::size_t k = 0; k < depth; ++k) {
      const T* from = a + i + k * s.a_column;
      for (std::size_t j = 0; j < known; j += lanes<T>) {
        store(out + k * high + j, load_some(from + j, known - j));
      }
    }
  }
}

// Packed rows of a block from column k of a on.
template <class T>
struct PackedRows {
  const T* memory;    // of all k; null if they are not packed yet
  T* workspace;       // where they are packed then
  std::size_t block;  // rows between those of one k and of the next

  const T* get(const Product& s, const T* a, std::size_t rows, std::size_t k,
               std::size_t depth) const {
    if (memory != nullptr) return memory + k * block;
    pack_rows(s, a + k * s.a_column, rows, depth, workspace);
    return workspace;
  }
};

// Adds to sums those of packed rows: of a few hundred terms, so that errors grow slowly.
template <class T>
void add_row_sums(const T* packed, std::size_t rows, std::size_t depth, T* sums) {
  for (std::size_t i = 0; i < rows; i += lanes<T>) {
    const T* from = packed + packed_at<T>(i, depth);
    Vector<T> parts[4] = {};
    std::size_t k = 0;
    for (; k + 4 <= depth; k += 4) {
#pragma GCC unroll 4
      for (std::size_t j = 0; j < 4; ++j) parts[j] += load(from + (k + j) * panel_rows<T>);
    }
    for (; k < depth; ++k) parts[0] += load(from + k * panel_rows<T>);
    const Vector<T> sum = (parts[0] + parts[1]) + (parts[2] + parts[3]);
    store_some(sums + i, load_some(sums + i, rows - i) + sum, rows - i);
  }
}

// Panels begin .. end of the columns of up to rows_at_once rows of one product, plus `start`.
// packed: from panel `begin` on.
template <class T>
void multiply_block(const Product& s, const T* a, PackedRows<T> packed_rows, const T* packed,
                    std::size_t rows, std::size_t begin, std::size_t end, const T* start, T* out,
                    T* row_sums) {
  constexpr std::size_t wide = tile_columns<T>;
  if (row_sums != nullptr) {
    for (std::size_t i = 0; i < rows; ++i) row_sums[i] = 0;
  }
  for (std::size_t k = 0; k < s.depth; k += depth_at_once) {
    const std::size_t depth = smaller(s.depth - k, depth_at_once);
    const T* from = packed_rows.get(s, a, rows, k, depth);
    if (row_sums != nullptr) add_row_sums(from, rows, depth, row_sums);
    for (std::size_t panel = begin; panel < end; ++panel) {
      const T* b = packed + ((panel - begin) * s.depth + k) * wide;
      const std::size_t known = smaller(s.columns - panel * wide, wide);
      for (std::size_t i = 0; i < rows; i += tile_rows) {
        multiply_edge<T>(rows - i, known, from + packed_at<T>(i, depth), 1, panel_rows<T>, b, wide,
                         out + i * s.columns + panel * wide, s.columns, depth, k != 0,
                         k != 0 || start == nullptr ? nullptr : start + panel * wide);
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
            const T* start, T* out, T* row_sums, T* workspace) {
  const Blocks<T> blocks(s);
  const std::size_t size = s.rows * s.columns, panel = tile_columns<T> * s.depth;
  if (blocks.by_batch) {
    const std::size_t packed_rows = rows_at_once * smaller(s.depth, depth_at_once);
    for_each_item(s.batches, s.slots, [&](std::size_t batch, std::size_t slot) {
      T* rows = workspace + slot * blocks.slot;
      T* packed = rows + packed_rows;
      for (std::size_t p = 0; p < blocks.panels; ++p) {
        pack_panel(s, b + b_at[batch], p, packed + p * panel);
      }
      for (std::size_t i = 0; i < s.rows; i += rows_at_once) {
        multiply_block<T>(s, a + a_at[batch] + i * s.a_row, {nullptr, rows, 0}, packed,
                          smaller(s.rows - i, rows_at_once), 0, blocks.panels, start,
                          out + batch * size + i * s.columns, nullptr);
      }
    });
    return;
  }
  const bool whole = blocks.shared_rows != 0;
  T* shared = workspace + s.slots * blocks.slot;
  T* packed = shared + blocks.shared_rows;
  const std::size_t panels = blocks.by_panel ? 0 : blocks.panels;  // to be packed beforehand
  const std::size_t chunks = whole ? divide_up(s.depth, depth_at_once) : 0;
  for (std::size_t batch = 0; batch < s.batches; ++batch) {
    const T* from = a + a_at[batch];
    T* to = out + batch * size;
    for_each_item(panels + blocks.row_blocks * chunks, s.slots, [&](std::size_t p, std::size_t) {
      if (p < panels) return pack_panel(s, b + b_at[batch], p, packed + p * panel);
      const std::size_t i = (p - panels) / chunks * blocks.rows;
      const std::size_t k = (p - panels) % chunks * depth_at_once;
      pack_rows(s, from + i * s.a_row + k * s.a_column, smaller(s.rows - i, blocks.rows),
                smaller(s.depth - k, depth_at_once), shared + i * s.depth + k * blocks.rows);
    });
    // Rows i .. of the block and panels begin .. end, of which `columns` is the first.
    const auto multiply = [&](std::size_t i, std::size_t begin, std::size_t end, const T* columns,
                              T* mine) {
      const T* known = whole ? shared + i * s.depth : nullptr;
      multiply_block<T>(s, from + i * s.a_row, {known, mine, blocks.rows}, columns,
                        smaller(s.rows - i, blocks.rows), begin, smaller(end, blocks.panels), start,
                        to + i * s.columns,
                        row_sums == nullptr || begin != 0 ? nullptr : row_sums + i);
    };
    const std::size_t items =
        blocks.by_panel ? blocks.panels : blocks.row_blocks * blocks.column_blocks;
    for_each_item(items, s.slots, [&](std::size_t item, std::size_t slot) {
      T* mine = workspace + slot * blocks.slot;
      if (!blocks.by_panel) {
        const std::size_t begin = item % blocks.column_blocks * blocks.columns;
        multiply(item / blocks.column_blocks * blocks.rows, begin, begin + blocks.columns,
                 packed + begin * panel, mine);
        return;
      }
      pack_panel(s, b + b_at[batch], item, mine);
      for (std::size_t i = 0; i < s.rows; i += blocks.rows) {
        multiply(i, item, item + 1, mine, nullptr);
      }
    });
  }
}

#define DTORCH_INSTANTIATE(T)                                                               \
  template std::size_t matmul_workspace<T>(Product);                                        \
  template void matmul(Product, const T*, const std::size_t*, const T*, const std::size_t*, \
                       const T*, T*, T*, T*);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
