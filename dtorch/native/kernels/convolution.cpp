#include "kernels/convolution.h"

#include "kernels/finish.h"
#include "kernels/items.h"
#include "kernels/window_gemm.h"
#include "kernels/windows.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t depth_at_once = 256;    // terms of a sum that are gone through at once
constexpr std::size_t windows_at_once = 448;  // about so many, in whole rows
constexpr std::size_t filters_at_once = 128;
constexpr std::size_t uses_of_packed = 4;  // weights used less often are packed where needed

std::size_t taps_of(const Convolution& s) { return s.kernel_height * s.kernel_width; }
std::size_t pixels_of(const Convolution& s) { return s.out_height * s.out_width; }

// Rows of windows in each of as few blocks as may be.
std::size_t rows_at_once(const Convolution& s, std::size_t row) {
  const std::size_t most = larger(windows_at_once / row, 1);
  return divide_up(s.out_height, divide_up(s.out_height, most));
}

// Rows of a packed panel are `tile_columns` apart, panels depth * tile_columns.
template <class T>
DTORCH_INLINE void pack_line(const T* line, std::size_t count, std::size_t depth, T* out) {
  std::size_t i = 0;
  for (; i + tile_columns<T> <= count; i += tile_columns<T>, out += depth * tile_columns<T>) {
    store(out, load(line + i));
    store(out + lanes<T>, load(line + i + lanes<T>));
  }
  if (i == count) return;
  store(out, load_some(line + i, count - i));
  store(out + lanes<T>,
        count - i > lanes<T> ? load_some(line + i + lanes<T>, count - i - lanes<T>) : Vector<T>{});
}

// A matrix of weights: rows are filters, or channels, whichever the product has.
template <class T>
struct Weights {
  const T* begin;
  std::size_t group, row, channel, taps;  // distances; taps lie together

  // (channel, tap, rows of the panel) of channels first .. first + count; writes up to a vector
  // more.
  void pack(std::size_t group_index, std::size_t first_row, std::size_t rows, std::size_t first,
            std::size_t count, std::size_t panel, T* out) const {
    const T* from = begin + group_index * group + first_row * row + first * channel;
    if (channel == taps) return transpose_into(from, row, rows, count * taps, out, panel);
    for (std::size_t c = 0; c < count; ++c, from += channel, out += panel) {
      store(out, load_some(from, rows));  // one tap, and rows lie together
    }
  }
};

template <class T>
void write_offsets(const Windows<T>& windows, std::size_t taps, std::size_t* out) {
  for (std::size_t t = 0; t < taps; ++t) out[t] = windows.offset(t);
}

// Elements that hold `count` offsets and keep what follows aligned.
template <class T>
std::size_t elements_of_offsets(std::size_t count) {
  return round_up(count * sizeof(std::size_t) / sizeof(T) + 1, lanes<T>);
}

// --------------------------------------------------------------------------------- forward

// Items are (image, group, block of rows, part of the filters), the last of these so that there is
// work for every slot. Windows with one tap are packed into panels of tile_columns.
template <class T>
struct Forward {
  std::size_t filters, channels, taps;
  Windows<T> windows;
  std::size_t blocks, wide, panel, panels, parts, part, at_once;
  bool shared, in_place;
  std::size_t packed_panel, packed, columns, rows_of_slot, sums, slot, offsets;

  explicit Forward(const Convolution& s)
      : filters(s.filters / s.groups),
        channels(s.channels / s.groups),
        taps(taps_of(s)),
        windows(s, rows_at_once(s, Windows<T>(s, 1).row)),
        blocks(divide_up(s.out_height, windows.rows)),
        wide(round_up(windows.numbers(windows.rows), tile_columns<T>)),
        panel(divide_up(filters, divide_up(filters, window_rows<T>))),
        panels(divide_up(filters, panel)) {
    const std::size_t uses = s.images * blocks, items = uses * s.groups;
    parts = larger(divide_up(4 * s.slots, items), divide_up(filters, filters_at_once));
    part = divide_up(panels, smaller(parts, panels)) * panel;
    parts = divide_up(filters, part);
    at_once = smaller(channels, larger(depth_at_once / taps, 1));
    shared = uses >= uses_of_packed;
    in_place = windows.row == s.out_width;
    // A panel is written with up to a vector more.
    packed_panel = round_up(channels * taps * panel, lanes<T>) + lanes<T>;
    packed = shared ? s.groups * panels * packed_panel : 0;
    rows_of_slot = round_up(at_once * taps * panel, lanes<T>) + lanes<T>;
    columns = round_up(taps == 1 ? at_once * wide : at_once * windows.channel, lanes<T>) +
              2 * tile_columns<T>;
    sums = in_place ? window_rows<T> * tile_columns<T> : part * wide;
    slot = columns + sums + (shared ? 0 : rows_of_slot) + windows.channel + lanes<T>;
    offsets = elements_of_offsets<T>(taps);
  }
};

// Panels (tile of windows, channel, tile_columns) of windows with one tap.
template <class T>
void pack_windows(const Windows<T>& windows, const T* group, std::size_t plane, std::size_t first,
                  std::size_t rows, std::size_t channels, bool straight, T* line, T* out) {
  const std::size_t count = windows.numbers(rows);
  for (std::size_t c = 0; c < channels; ++c, group += plane, out += tile_columns<T>) {
    if (straight) {
      pack_line(group + first * windows.row, count, channels, out);
    } else {
      windows.fill(group, first, rows, line);
      pack_line(line, count, channels, out);
    }
  }
}

// Rows of a panel times all windows of a block.
template <class T>
void multiply_block(const T* rows_packed, std::size_t panel, std::size_t rows, Columns<T> columns,
                    std::size_t tile_step, std::size_t count, const T* shift, bool add, T* out,
                    std::size_t out_row, T* part) {
  for (std::size_t j = 0; j < count; j += tile_columns<T>, columns.begin += tile_step) {
    const std::size_t known = count - j;
    T* to = out + j;
    if (known > lanes<T>) {
      if (part == nullptr || known >= tile_columns<T>) {
        multiply_columns<T, 2>(rows, rows_packed, panel, columns, shift, add, to, out_row);
        continue;
      }
      multiply_columns<T, 2>(rows, rows_packed, panel, columns, shift, false, part,
                             tile_columns<T>);
    } else {
      if (part == nullptr || known >= lanes<T>) {
        multiply_columns<T, 1>(rows, rows_packed, panel, columns, shift, add, to, out_row);
        continue;
      }
      multiply_columns<T, 1>(rows, rows_packed, panel, columns, shift, false, part,
                             tile_columns<T>);
    }
    // What lies behind the last window is not this item's.
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t k = 0; k < known; k += lanes<T>) {
        T* line = to + i * out_row + k;
        const Vector<T> value = load(part + i * tile_columns<T> + k);
        store_some(line, add ? load_some(line, known - k) + value : value, known - k);
      }
    }
  }
}

template <class T>
void convolve(const Convolution& s, const Forward<T>& plan, const T* input,
              const Weights<T>& weights, const T* bias, const Epilogue<T>& epilogue, T* out,
              T* workspace) {
  const std::size_t pixels = pixels_of(s), plane = s.height * s.width;
  const Windows<T>& windows = plan.windows;
  auto* offsets = reinterpret_cast<std::size_t*>(workspace);
  write_offsets(windows, plan.taps, offsets);
  T* packed = workspace + plan.offsets;
  T* slots = packed + plan.packed;
  const bool straight = windows.row == s.width && s.stride_height == 1 && s.pad_height == 0 &&
                        s.pad_width == 0 && s.stride_width == 1;
  if (plan.shared) {
    for_each_item(s.groups * plan.panels, s.slots, [&](std::size_t item, std::size_t) {
      const std::size_t row = item % plan.panels * plan.panel;
      weights.pack(item / plan.panels, row, smaller(plan.filters - row, plan.panel), 0,
                   plan.channels, plan.panel, packed + item * plan.packed_panel);
    });
  }
  const T none[window_rows<T>] = {};
  const bool finished = epilogue.changes();
  const std::size_t per_image = s.groups * plan.blocks * plan.parts;
  for_each_item(s.images * per_image, s.slots, [&](std::size_t item, std::size_t slot) {
    const std::size_t image = item / per_image, in_image = item % per_image;
    const std::size_t group = in_image / (plan.blocks * plan.parts);
    const std::size_t first = in_image / plan.parts % plan.blocks * windows.rows;
    const std::size_t rows = smaller(s.out_height - first, windows.rows);
    const std::size_t begin = in_image % plan.parts * plan.part;
    const std::size_t end = smaller(plan.filters, begin + plan.part);
    const std::size_t count = windows.numbers(rows);
    T* columns = slots + slot * plan.slot;
    T* sums = columns + plan.columns;
    T* line = sums + plan.sums;
    T* rows_packed = line + windows.channel + lanes<T>;
    T* to = out + (image * s.filters + group * plan.filters) * pixels + first * s.out_width;
    for (std::size_t c = 0; c < plan.channels; c += plan.at_once) {
      const std::size_t channels = smaller(plan.channels - c, plan.at_once);
      const T* from = input + (image * s.channels + group * plan.channels + c) * plane;
      if (plan.taps == 1) {
        pack_windows(windows, from, plane, first, rows, channels, straight, line, columns);
      } else {
        for (std::size_t k = 0; k < channels; ++k) {
          windows.fill(from + k * plane, first, rows, columns + k * windows.channel);
        }
      }
      const Columns<T> b = {columns, channels, plan.taps == 1 ? tile_columns<T> : windows.channel,
                            offsets, plan.taps};
      const std::size_t tile_step = plan.taps == 1 ? channels * tile_columns<T> : tile_columns<T>;
      for (std::size_t row = begin; row < end; row += plan.panel) {
        const std::size_t filter = group * plan.filters + row;
        const std::size_t some = smaller(plan.filters - row, plan.panel);
        const T* a = rows_packed;
        if (plan.shared) {
          a = packed + (group * plan.panels + row / plan.panel) * plan.packed_panel +
              c * plan.taps * plan.panel;
        } else {
          weights.pack(group, row, some, c, channels, plan.panel, rows_packed);
        }
        const T* shift = bias == nullptr || c != 0 ? none : bias + filter;
        if (plan.in_place) {
          multiply_block(a, plan.panel, some, b, tile_step, count, shift, c != 0, to + row * pixels,
                         pixels, sums);
        } else {
          multiply_block<T>(a, plan.panel, some, b, tile_step, count, shift, c != 0,
                            sums + (row - begin) * plan.wide, plan.wide, nullptr);
        }
      }
    }
    for (std::size_t row = begin; row < end; ++row) {
      T* plane_out = to + row * pixels;
      if (!plan.in_place) {
        const T* from = sums + (row - begin) * plan.wide;
        for (std::size_t y = 0; y < rows; ++y, from += windows.row) {
          T* line_out = plane_out + y * s.out_width;
          for (std::size_t x = 0; x < s.out_width; x += lanes<T>) {
            store_some(line_out + x, load(from + x), s.out_width - x);
          }
        }
      }
      if (!finished) continue;
      finish(epilogue, group * plan.filters + row, static_cast<std::size_t>(plane_out - out),
             rows * s.out_width, plane_out, plane_out);
    }
  });
}

}  // namespace

template <class T>
std::size_t convolution_workspace(Convolution s) {
  const Forward<T> plan(s);
  return plan.offsets + plan.packed + s.slots * plan.slot;
}

template <class T>
void convolution(Convolution s, const T* input, const T* weight, const T* bias,
                 Epilogue<T> epilogue, T* out, T* workspace) {
  const Forward<T> plan(s);
  const std::size_t row = plan.channels * plan.taps;
  const Weights<T> weights = {weight, plan.filters * row, row, plan.taps, plan.taps};
  convolve(s, plan, input, weights, bias, epilogue, out, workspace);
}

// -------------------------------------------------------------------------- gradient of input

namespace {

// Whether the windows are the pixels: then the gradient is a convolution with one tap as well.
bool is_pointwise(const Convolution& s) {
  return taps_of(s) == 1 && s.stride_height == 1 && s.stride_width == 1 && s.pad_height == 0 &&
         s.pad_width == 0 && s.height == s.out_height && s.width == s.out_width;
}

Convolution turned(Convolution s) {
  const std::size_t channels = s.channels;
  s.channels = s.filters;
  s.filters = channels;
  return s;
}

// Items are (image, group, part of the channels): to the planes of these, every tap adds its
// products at its offset. Rows of a product are channels, so that no sum meets one just stored.
template <class T>
struct Backward {
  std::size_t filters, channels, taps;
  Windows<T> windows;
  std::size_t rows, wide, panel, panels, parts, part, at_once, packed, planes, line, slot, offsets;

  explicit Backward(const Convolution& s)
      : filters(s.filters / s.groups),
        channels(s.channels / s.groups),
        taps(taps_of(s)),
        windows(s, s.out_height),
        rows(rows_at_once(s, windows.row)),
        wide(round_up(windows.numbers(rows), tile_columns<T>)),
        panel(divide_up(channels, divide_up(channels, window_rows<T>))),
        panels(divide_up(channels, panel)) {
    const std::size_t wanted = larger(depth_at_once / taps, 2 * window_rows<T>);
    parts = larger(divide_up(channels, wanted), divide_up(4 * s.slots, s.images * s.groups));
    part = divide_up(panels, smaller(parts, panels)) * panel;
    parts = divide_up(channels, part);
    at_once = smaller(filters, depth_at_once);
    packed = s.groups * taps * panels * panel * filters;
    planes = part * windows.channel + 2 * tile_columns<T>;
    line = windows.numbers(rows) + windows.width.reach() + 2 * lanes<T>;
    slot = planes + line + at_once * wide;
    offsets = elements_of_offsets<T>(taps + 1);
  }
};

// Panels (tile of windows, filter, tile_columns) of the gradients of windows in some rows; zeros
// for numbers without a window.
template <class T>
void pack_deltas(const Windows<T>& windows, const T* delta, std::size_t pixels, std::size_t rows,
                 std::size_t filters, T* line, T* out) {
  const std::size_t width = windows.width.windows, count = windows.numbers(rows);
  for (std::size_t f = 0; f < filters; ++f, delta += pixels, out += tile_columns<T>) {
    if (windows.row == width) {
      pack_line(delta, count, filters, out);
      continue;
    }
    for (std::size_t y = 0; y < rows; ++y) {
      for (std::size_t x = 0; x < windows.row; x += lanes<T>) {
        store(line + y * windows.row + x,
              load_some(delta + y * width + x, x < width ? width - x : 0));
      }
    }
    pack_line(line, count, filters, out);
  }
}

// (group, tap, panel of channels, filter, channel of the panel)
template <class T>
void pack_taps(const Convolution& s, const Backward<T>& plan, const T* weight, T* packed) {
  const std::size_t depth = plan.filters * plan.panel, row = plan.channels * plan.taps;
  for_each_item(s.groups * plan.panels, s.slots, [&](std::size_t item, std::size_t) {
    const std::size_t group = item / plan.panels, p = item % plan.panels;
    const std::size_t known = smaller(plan.channels - p * plan.panel, plan.panel);
    const T* from = weight + group * plan.filters * row + p * plan.panel * plan.taps;
    T* to = packed + (group * plan.taps * plan.panels + p) * depth;
    for (std::size_t f = 0; f < plan.filters; ++f, from += row) {
      for (std::size_t t = 0; t < plan.taps; ++t) {
        T* panel = to + t * plan.panels * depth + f * plan.panel;
        for (std::size_t i = 0; i < known; ++i) panel[i] = from[i * plan.taps + t];
      }
    }
  });
}

}  // namespace

template <class T>
std::size_t convolution_input_workspace(Convolution s) {
  if (is_pointwise(s)) return convolution_workspace<T>(turned(s));
  const Backward<T> plan(s);
  return plan.offsets + plan.packed + s.slots * plan.slot;
}

template <class T>
void convolution_input(Convolution s, const T* delta, const T* weight, T* grad_input,
                       T* workspace) {
  if (is_pointwise(s)) {
    const Convolution t = turned(s);
    const Forward<T> plan(t);
    const Weights<T> weights = {weight, plan.filters * plan.channels, 1, plan.filters, 1};
    return convolve<T>(t, plan, delta, weights, nullptr, {}, grad_input, workspace);
  }
  const Backward<T> plan(s);
  const Windows<T>& windows = plan.windows;
  const std::size_t pixels = pixels_of(s), plane = s.height * s.width;
  auto* offsets = reinterpret_cast<std::size_t*>(workspace);
  write_offsets(windows, plan.taps, offsets);
  const std::size_t* nothing = offsets + plan.taps;
  offsets[plan.taps] = 0;
  T* packed = workspace + plan.offsets;
  T* slots = packed + plan.packed;
  pack_taps(s, plan, weight, packed);
  const T none[window_rows<T>] = {};
  const std::size_t per_image = s.groups * plan.parts;
  for_each_item(s.images * per_image, s.slots, [&](std::size_t item, std::size_t slot) {
    const std::size_t image = item / per_image, group = item % per_image / plan.parts;
    const std::size_t begin = item % plan.parts * plan.part;
    const std::size_t end = smaller(plan.channels, begin + plan.part);
    T* planes = slots + slot * plan.slot;
    T* line = planes + plan.planes;
    T* columns = line + plan.line;
    __builtin_memset(planes, 0, plan.planes * sizeof(T));
    for (std::size_t first = 0; first < s.out_height; first += plan.rows) {
      const std::size_t rows = smaller(s.out_height - first, plan.rows);
      const std::size_t count = windows.numbers(rows);
      for (std::size_t f = 0; f < plan.filters; f += plan.at_once) {
        const std::size_t depth = smaller(plan.filters - f, plan.at_once);
        const T* from = delta + (image * s.filters + group * plan.filters + f) * pixels;
        pack_deltas(windows, from + first * s.out_width, pixels, rows, depth, line, columns);
        const Columns<T> b = {columns, depth, tile_columns<T>, nothing, 1};
        for (std::size_t t = 0; t < plan.taps; ++t) {
          T* to = planes + offsets[t] + first * windows.row;
          for (std::size_t c = begin; c < end; c += plan.panel) {
            const std::size_t p = (group * plan.taps + t) * plan.panels + c / plan.panel;
            multiply_block<T>(packed + (p * plan.filters + f) * plan.panel, plan.panel,
                              smaller(plan.channels - c, plan.panel), b, depth * tile_columns<T>,
                              count, none, true, to + (c - begin) * windows.channel,
                              windows.channel, nullptr);
          }
        }
      }
    }
    T* to = grad_input + (image * s.channels + group * plan.channels) * plane;
    for (std::size_t c = begin; c < end; ++c) {
      windows.put_together(planes + (c - begin) * windows.channel, to + c * plane);
    }
  });
}

#define DTORCH_INSTANTIATE(T)                                                                \
  template std::size_t convolution_workspace<T>(Convolution);                                \
  template std::size_t convolution_input_workspace<T>(Convolution);                          \
  template void convolution(Convolution, const T*, const T*, const T*, Epilogue<T>, T*, T*); \
  template void convolution_input(Convolution, const T*, const T*, T*, T*);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
