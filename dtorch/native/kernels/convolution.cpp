#include "kernels/convolution.h"

#include "kernels/gemm.h"
#include "kernels/integers.h"
#include "kernels/items.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t depth_at_once = 256;   // terms of a sum for which columns are packed
constexpr std::size_t pixels_at_once = 256;  // columns that are packed
constexpr std::size_t sums_at_once = 128;    // pixels that are summed up for a weight's gradient
// Weight gradients up to this size are formed for several parts of the batch at the same time.
constexpr std::size_t small_gradient = 1 << 16;

std::size_t taps_of(const Convolution& s) { return s.kernel_height * s.kernel_width; }
std::size_t terms_of(const Convolution& s) { return s.channels / s.groups * taps_of(s); }
std::size_t pixels_of(const Convolution& s) { return s.out_height * s.out_width; }

// Whether the columns are the input itself.
bool is_pointwise(const Convolution& s) {
  return taps_of(s) == 1 && s.stride_height == 1 && s.stride_width == 1 && s.pad_height == 0 &&
         s.pad_width == 0;
}

// What tap (y, x) of the kernel meets in the windows first .. first + count of a plane. Writes
// whole vectors: up to one vector more than count.
template <class T>
void gather_line(const Convolution& s, const T* plane, std::size_t tap_y, std::size_t tap_x,
                 std::size_t first, std::size_t count, T* out) {
  std::size_t y = first / s.out_width, x = first % s.out_width;
  const auto step = static_cast<std::ptrdiff_t>(s.stride_width);
  const auto width = static_cast<std::ptrdiff_t>(s.width);
  const auto left = static_cast<std::ptrdiff_t>(tap_x * s.dilation_width) - s.pad_width;
  const auto top = static_cast<std::ptrdiff_t>(tap_y * s.dilation_height) - s.pad_height;
  constexpr auto n = static_cast<std::ptrdiff_t>(lanes<T>);
  while (count != 0) {
    const std::size_t run = smaller(s.out_width - x, count);
    const auto row = static_cast<std::ptrdiff_t>(y * s.stride_height) + top;
    const bool inside = row >= 0 && row < static_cast<std::ptrdiff_t>(s.height);
    const T* line = plane + (inside ? row * width : 0);
    for (std::size_t i = 0; i < run; i += lanes<T>) {
      // The first element that is met may lie before the row, the last behind it.
      const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(x + i) * step + left;
      Vector<T> values = {};
      if (!inside) {
      } else if (step == 1) {
        values = load_between(line + at, -at, width - at);
      } else if (step == 2) {
        values = even_elements<T>(load_between(line + at, -at, width - at),
                                  load_between(line + at + n, -at - n, width - at - n));
      } else {
        for (std::ptrdiff_t k = 0; k < n; ++k) {
          const std::ptrdiff_t place = at + k * step;
          if (place >= 0 && place < width) values[k] = line[place];
        }
      }
      store(out + i, values);
    }
    out += run;
    count -= run;
    x = 0;
    ++y;
  }
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

// Columns first .. first + count of a group's windows, terms begin .. begin + depth.
template <class T>
void pack_columns(const Convolution& s, const T* group, std::size_t begin, std::size_t depth,
                  std::size_t first, std::size_t count, T* line, T* out) {
  const std::size_t plane = s.height * s.width;
  const bool pointwise = is_pointwise(s);
  std::size_t channel = begin / taps_of(s), tap = begin % taps_of(s);
  for (std::size_t k = 0; k < depth; ++k, out += tile_columns<T>) {
    if (pointwise) {
      pack_line(group + channel * plane + first, count, depth, out);
    } else {
      gather_line(s, group + channel * plane, tap / s.kernel_width, tap % s.kernel_width, first,
                  count, line);
      pack_line(line, count, depth, out);
    }
    if (++tap == taps_of(s)) {
      tap = 0;
      ++channel;
    }
  }
}

// (panel, depth, tile_rows) of a matrix element(row, k).
template <class T, class Element>
void pack_rows(std::size_t rows, std::size_t depth, Element element, T* out) {
  for (std::size_t i = 0; i < rows; i += tile_rows, out += depth * tile_rows) {
    for (std::size_t r = 0; r < tile_rows; ++r) {
      for (std::size_t k = 0; k < depth; ++k) {
        out[k * tile_rows + r] = i + r < rows ? element(i + r, k) : T(0);
      }
    }
  }
}

// out (rows x count, out_row apart) (+)= packed rows * packed columns, `packed_depth` being the
// distance between panels of rows.
template <class T>
void multiply_packed(const T* rows_packed, std::size_t rows, std::size_t packed_depth,
                     const T* columns_packed, std::size_t count, std::size_t depth, T* out,
                     std::size_t out_row, bool add) {
  constexpr std::size_t wide = tile_columns<T>;
  for (std::size_t j = 0; j < count; j += wide) {
    const T* b = columns_packed + j * depth;
    const std::size_t known = smaller(count - j, wide);
    for (std::size_t i = 0; i < rows; i += tile_rows) {
      const T* a = rows_packed + i * packed_depth;
      T* to = out + i * out_row + j;
      multiply_edge<T>(rows - i, known, a, 1, tile_rows, b, wide, to, out_row, depth, add);
    }
  }
}

// --------------------------------------------------------------------------------- forward

// Items are (image, group, block of pixels, part of the filters), the last of these so that there
// is work for every slot.
template <class T>
struct Forward {
  std::size_t filters, terms, pixels, blocks, parts, part, packed, slot;

  explicit Forward(const Convolution& s)
      : filters(s.filters / s.groups),
        terms(terms_of(s)),
        pixels(smaller(round_up(pixels_of(s), tile_columns<T>), pixels_at_once)),
        blocks(divide_up(pixels_of(s), pixels)) {
    const std::size_t items = s.images * s.groups * blocks, wanted = 4 * s.slots;
    const std::size_t most = divide_up(filters, tile_rows);
    parts = items >= wanted ? 1 : smaller(divide_up(wanted, items), most);
    part = round_up(divide_up(filters, parts), tile_rows);
    parts = divide_up(filters, part);
    packed = s.groups * round_up(filters, tile_rows) * terms;
    slot = pixels * (smaller(terms, depth_at_once) + 1) + lanes<T>;
  }
};

}  // namespace

template <class T>
std::size_t convolution_workspace(Convolution s) {
  const Forward<T> plan(s);
  return plan.packed + s.slots * plan.slot;
}

template <class T>
void convolution(Convolution s, const T* input, const T* weight, const T* bias, bool turned, T* out,
                 T* workspace) {
  const Forward<T> plan(s);
  const std::size_t taps = taps_of(s), pixels = pixels_of(s), channels = s.channels / s.groups;
  const std::size_t group_rows = round_up(plan.filters, tile_rows);
  T* packed = workspace;
  T* slots = workspace + plan.packed;
  for_each_item(s.groups * group_rows / tile_rows, s.slots, [&](std::size_t item, std::size_t) {
    const std::size_t group = item * tile_rows / group_rows, row = item * tile_rows % group_rows;
    const T* from = weight + group * plan.filters * plan.terms;
    T* to = packed + item * tile_rows * plan.terms;
    const std::size_t rows = smaller(plan.filters - row, tile_rows);
    if (turned) {
      pack_rows<T>(
          rows, plan.terms,
          [&](std::size_t i, std::size_t k) {
            return from[(k / taps * plan.filters + row + i) * taps + (taps - 1 - k % taps)];
          },
          to);
    } else {
      pack_rows<T>(
          rows, plan.terms,
          [&](std::size_t i, std::size_t k) { return from[(row + i) * plan.terms + k]; }, to);
    }
  });
  const std::size_t per_image = s.groups * plan.blocks * plan.parts;
  for_each_item(s.images * per_image, s.slots, [&](std::size_t item, std::size_t slot) {
    const std::size_t image = item / per_image, in_image = item % per_image;
    const std::size_t group = in_image / (plan.blocks * plan.parts);
    const std::size_t first = in_image / plan.parts % plan.blocks * plan.pixels;
    const std::size_t count = smaller(pixels - first, plan.pixels);
    const std::size_t row = in_image % plan.parts * plan.part;
    const std::size_t rows = smaller(plan.filters - row, plan.part);
    const std::size_t filter = group * plan.filters + row;
    const T* from = input + (image * s.channels + group * channels) * s.height * s.width;
    T* to = out + (image * s.filters + filter) * pixels + first;
    T* line = slots + slot * plan.slot;
    T* columns = line + plan.pixels + lanes<T>;
    if (bias != nullptr) {
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < count; ++j) to[i * pixels + j] = bias[filter + i];
      }
    }
    for (std::size_t k = 0; k < plan.terms; k += depth_at_once) {
      const std::size_t depth = smaller(plan.terms - k, depth_at_once);
      pack_columns(s, from, k, depth, first, count, line, columns);
      multiply_packed(packed + (group * group_rows + row) * plan.terms + k * tile_rows, rows,
                      plan.terms, columns, count, depth, to, pixels, k != 0 || bias != nullptr);
    }
  });
}

// -------------------------------------------------------------------------- gradient of input

namespace {

// Items are (image, group, block of channels): the columns of their gradients are formed and added
// up in place.
template <class T>
struct Backward {
  std::size_t filters, channels, taps, at_once, blocks, rows, packed, slot;

  explicit Backward(const Convolution& s)
      : filters(s.filters / s.groups),
        channels(s.channels / s.groups),
        taps(taps_of(s)),
        at_once(smaller(channels, larger(128 / taps, 1))),
        blocks(divide_up(channels, at_once)),
        rows(round_up(at_once * taps, tile_rows)),
        packed(s.groups * blocks * rows * filters),
        slot(round_up(pixels_of(s), tile_columns<T>) * filters + rows * pixels_of(s)) {}
};

// plane[where tap meets the input] += line, for all windows.
template <class T>
void scatter_line(const Convolution& s, const T* line, std::size_t tap_y, std::size_t tap_x,
                  T* plane) {
  const auto step = static_cast<std::ptrdiff_t>(s.stride_width);
  const auto width = static_cast<std::ptrdiff_t>(s.width);
  const auto left = static_cast<std::ptrdiff_t>(tap_x * s.dilation_width) - s.pad_width;
  const auto top = static_cast<std::ptrdiff_t>(tap_y * s.dilation_height) - s.pad_height;
  const std::size_t low = left < 0 ? static_cast<std::size_t>((step - 1 - left) / step) : 0;
  const std::size_t high =
      left < width
          ? smaller(static_cast<std::size_t>((width - left + step - 1) / step), s.out_width)
          : 0;
  for (std::size_t y = 0; y < s.out_height; ++y, line += s.out_width) {
    const auto row = static_cast<std::ptrdiff_t>(y * s.stride_height) + top;
    if (row < 0 || row >= static_cast<std::ptrdiff_t>(s.height)) continue;
    T* to = plane + row * width + left;
    if (step == 1) {
      for (std::size_t x = low; x < high; x += lanes<T>) {
        store_some(to + x, load_some(to + x, high - x) + load_some(line + x, high - x), high - x);
      }
    } else if (step == 2) {
      for (std::size_t x = low; x < high; ++x) to[2 * x] += line[x];
    } else {
      for (std::size_t x = low; x < high; ++x) to[x * s.stride_width] += line[x];
    }
  }
}

}  // namespace

template <class T>
std::size_t convolution_input_workspace(Convolution s) {
  const Backward<T> plan(s);
  return plan.packed + s.slots * plan.slot;
}

template <class T>
void convolution_input(Convolution s, const T* delta, const T* weight, T* grad_input,
                       T* workspace) {
  const Backward<T> plan(s);
  const std::size_t pixels = pixels_of(s), terms = plan.channels * plan.taps;
  T* packed = workspace;
  T* slots = workspace + plan.packed;
  const std::size_t block = plan.rows * plan.filters;
  for_each_item(s.groups * plan.blocks, s.slots, [&](std::size_t item, std::size_t) {
    const std::size_t first = item % plan.blocks * plan.at_once * plan.taps;
    const T* from = weight + item / plan.blocks * plan.filters * terms + first;
    pack_rows<T>(
        smaller(terms - first, plan.at_once * plan.taps), plan.filters,
        [&](std::size_t i, std::size_t k) { return from[k * terms + i]; }, packed + item * block);
  });
  // An item packs the gradient of the result once for a run of channel blocks.
  const std::size_t images = s.images * s.groups;
  const std::size_t runs = images >= 4 * s.slots ? 1 : smaller(plan.blocks, 4 * s.slots);
  const std::size_t run = divide_up(plan.blocks, runs);
  for_each_item(images * runs, s.slots, [&](std::size_t item, std::size_t slot) {
    const std::size_t image = item / runs / s.groups, group = item / runs % s.groups;
    const T* from = delta + (image * s.filters + group * plan.filters) * pixels;
    T* columns = slots + slot * plan.slot;
    T* lines = columns + round_up(pixels, tile_columns<T>) * plan.filters;
    const std::size_t begin = item % runs * run;
    const std::size_t end = smaller(begin + run, plan.blocks);
    if (begin >= end) return;
    for (std::size_t k = 0; k < plan.filters; ++k) {
      pack_line(from + k * pixels, pixels, plan.filters, columns + k * tile_columns<T>);
    }
    for (std::size_t b = begin; b < end; ++b) {
      const std::size_t channel = b * plan.at_once;
      const std::size_t channels = smaller(plan.channels - channel, plan.at_once);
      multiply_packed(packed + (group * plan.blocks + b) * block, channels * plan.taps,
                      plan.filters, columns, pixels, plan.filters, lines, pixels, false);
      for (std::size_t c = 0; c < channels; ++c) {
        T* plane = grad_input +
                   (image * s.channels + group * plan.channels + channel + c) * s.height * s.width;
        __builtin_memset(plane, 0, s.height * s.width * sizeof(T));
        for (std::size_t t = 0; t < plan.taps; ++t) {
          scatter_line(s, lines + (c * plan.taps + t) * pixels, t / s.kernel_width,
                       t % s.kernel_width, plane);
        }
      }
    }
  });
}

// ------------------------------------------------------------------------- gradient of weight

namespace {

// Items are (part of the batch, group, part of the filters or of the terms); every item has sums
// of its own, and the batch's parts are added up in the end, in order: the result does not depend
// on the number of threads.
template <class T>
struct WeightGradient {
  std::size_t filters, terms, batches, batch, filter_parts, filter_part, term_parts, term_part,
      items, padded, sums, slot;

  explicit WeightGradient(const Convolution& s)
      : filters(s.filters / s.groups), terms(terms_of(s)), filter_parts(1), term_parts(1) {
    const bool small = filters * terms <= small_gradient / 4;
    batches = small ? smaller(s.images, 8) : 1;
    batch = divide_up(s.images, batches);
    batches = divide_up(s.images, batch);
    if (!small && s.groups < 4) {
      if (filters >= terms) {
        filter_parts = smaller(divide_up(filters, 2 * lanes<T>), 4);
      } else {
        term_parts = smaller(divide_up(terms, tile_columns<T>), 4);
      }
    }
    filter_part = round_up(divide_up(filters, filter_parts), lanes<T>);
    filter_parts = divide_up(filters, filter_part);
    term_part = round_up(divide_up(terms, term_parts), tile_columns<T>);
    term_parts = divide_up(terms, term_part);
    items = batches * s.groups * filter_parts * term_parts;
    padded = term_part;
    sums = filter_part * padded;
    slot = sums_at_once * (filter_part + 2 * tile_columns<T>)+lanes<T>;
  }
};

}  // namespace

template <class T>
std::size_t convolution_weight_workspace(Convolution s) {
  const WeightGradient<T> plan(s);
  return plan.items * plan.sums + s.slots * plan.slot;
}

template <class T>
void convolution_weight(Convolution s, const T* delta, const T* input, T* weight_grad,
                        T* workspace) {
  constexpr std::size_t wide = tile_columns<T>;
  const WeightGradient<T> plan(s);
  const std::size_t pixels = pixels_of(s), plane = s.height * s.width, taps = taps_of(s);
  const std::size_t channels = s.channels / s.groups;
  const bool pointwise = is_pointwise(s);
  T* slots = workspace + plan.items * plan.sums;
  const std::size_t parts = plan.filter_parts * plan.term_parts;
  for_each_item(plan.items, s.slots, [&](std::size_t item, std::size_t slot) {
    const std::size_t group = item / parts % s.groups, batch = item / parts / s.groups;
    const std::size_t filter = item / plan.term_parts % plan.filter_parts * plan.filter_part;
    const std::size_t filters = smaller(plan.filters - filter, plan.filter_part);
    const std::size_t term = item % plan.term_parts * plan.term_part;
    const std::size_t terms = smaller(plan.terms - term, plan.term_part);
    T* sums = workspace + item * plan.sums;
    T* deltas = slots + slot * plan.slot;
    T* lines = deltas + sums_at_once * plan.filter_part;
    T* columns = lines + sums_at_once * wide + lanes<T>;
    __builtin_memset(sums, 0, plan.sums * sizeof(T));
    const std::size_t end = smaller((batch + 1) * plan.batch, s.images);
    for (std::size_t image = batch * plan.batch; image < end; ++image) {
      const T* from = input + (image * s.channels + group * channels) * plane;
      const T* grad = delta + (image * s.filters + group * plan.filters + filter) * pixels;
      for (std::size_t first = 0; first < pixels; first += sums_at_once) {
        const std::size_t count = smaller(pixels - first, sums_at_once);
        transpose_into(grad + first, pixels, filters, count, deltas, plan.filter_part);
        for (std::size_t t = 0; t < terms; t += wide) {
          const std::size_t some = smaller(terms - t, wide);
          if (pointwise) {
            transpose_into(from + (term + t) * plane + first, plane, some, count, columns, wide);
          } else {
            for (std::size_t i = 0; i < some; ++i) {
              const std::size_t k = term + t + i, tap = k % taps;
              gather_line(s, from + k / taps * plane, tap / s.kernel_width, tap % s.kernel_width,
                          first, count, lines + i * sums_at_once);
            }
            transpose_into(lines, sums_at_once, some, count, columns, wide);
          }
          // Up to one vector of terms, the second was not written.
          for (std::size_t f = 0; f < filters; f += tile_rows) {
            T* to = sums + f * plan.padded + t;
            if (some > lanes<T>) {
              multiply_rows<T, 2>(filters - f, deltas + f, 1, plan.filter_part, columns, wide, to,
                                  plan.padded, count, true);
            } else {
              multiply_rows<T, 1>(filters - f, deltas + f, 1, plan.filter_part, columns, wide, to,
                                  plan.padded, count, true);
            }
          }
        }
      }
    }
  });
  const std::size_t per_batch = s.groups * parts;
  for_each_item(per_batch, s.slots, [&](std::size_t item, std::size_t) {
    const std::size_t group = item / parts;
    const std::size_t filter = item / plan.term_parts % plan.filter_parts * plan.filter_part;
    const std::size_t filters = smaller(plan.filters - filter, plan.filter_part);
    const std::size_t term = item % plan.term_parts * plan.term_part;
    const std::size_t terms = smaller(plan.terms - term, plan.term_part);
    for (std::size_t f = 0; f < filters; ++f) {
      T* to = weight_grad + (group * plan.filters + filter + f) * plan.terms + term;
      for (std::size_t t = 0; t < terms; ++t) {
        T total = 0;
        for (std::size_t batch = 0; batch < plan.batches; ++batch) {
          total += workspace[(batch * per_batch + item) * plan.sums + f * plan.padded + t];
        }
        to[t] = total;
      }
    }
  });
}

#define DTORCH_INSTANTIATE(T)                                                         \
  template std::size_t convolution_workspace<T>(Convolution);                         \
  template std::size_t convolution_input_workspace<T>(Convolution);                   \
  template std::size_t convolution_weight_workspace<T>(Convolution);                  \
  template void convolution(Convolution, const T*, const T*, const T*, bool, T*, T*); \
  template void convolution_input(Convolution, const T*, const T*, T*, T*);           \
  template void convolution_weight(Convolution, const T*, const T*, T*, T*);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
