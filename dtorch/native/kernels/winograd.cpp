#include "kernels/winograd.h"

#include "kernels/finish.h"
#include "kernels/gemm.h"
#include "kernels/integers.h"
#include "kernels/items.h"
#include "kernels/winograd_methods.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t width_of_vector = lanes<float>;
constexpr std::size_t block = tile_columns<float>;  // filters that are worked on at once
constexpr std::size_t channels_at_once = 64;        // of a block of the weight's gradient

// The planes of transformed tiles are a multiple of 4 KiB apart where channels are a power of
// two; then they would share the few places that a cache has for such addresses.
std::size_t spread(std::size_t elements) { return elements + 5 * 16; }

// Elements of a transformed tile.
template <class Method>
inline constexpr std::size_t points_of = Method::points * Method::points;

// Rows of tiles (Method::out rows of the result each) of all images are numbered one after another;
// a segment is a range of them.
template <class Method>
struct Plan {
  std::size_t out_height, out_width, rows_per_image, tiles_per_row, rows, rows_per_segment,
      segments, tiles, channels, filters;

  Plan(const Winograd& s, std::size_t tiles_wanted)
      : out_height(s.out_height),
        out_width(s.out_width),
        rows_per_image(divide_up(out_height, Method::out)),
        tiles_per_row(divide_up(out_width, Method::out)),
        rows(s.images * rows_per_image),
        rows_per_segment(smaller(larger(tiles_wanted / tiles_per_row, 1), rows)),
        segments(divide_up(rows, rows_per_segment)),
        tiles(rows_per_segment * tiles_per_row),
        channels(round_up(s.channels, width_of_vector)),
        filters(round_up(s.filters, block)) {}

  // Elements of the input that tiles in a row meet, and elements of the result that they give.
  static std::size_t seen(std::size_t count) {
    return Method::step * count + Method::patch - Method::step;
  }
  static std::size_t given(std::size_t count) { return Method::out * count; }
  std::size_t padded_width() const { return seen(tiles_per_row); }
  std::size_t result_width() const { return given(tiles_per_row); }
  std::size_t image_rows() const { return smaller(rows_per_segment, rows_per_image); }
  std::size_t input_plane() const { return spread(tiles * channels); }
  std::size_t filter_plane() const { return spread(tiles * filters); }
  // Elements of the channels-last copy of a part of an image.
  std::size_t input_copy() const { return seen(image_rows()) * padded_width() * channels; }
  std::size_t delta_copy() const { return given(image_rows()) * result_width() * filters; }

  // function(image, first row of tiles, number of rows, first tile in the segment)
  template <class Function>
  void for_images(std::size_t segment, Function function) const {
    std::size_t row = segment * rows_per_segment;
    const std::size_t end = smaller(row + rows_per_segment, rows);
    for (std::size_t tile = 0; row < end;) {
      const std::size_t image = row / rows_per_image, first = row % rows_per_image;
      const std::size_t count = smaller(end - row, rows_per_image - first);
      function(image, first, count, tile);
      row += count;
      tile += count * tiles_per_row;
    }
  }

  std::size_t tiles_of(std::size_t segment) const {
    const std::size_t begin = segment * rows_per_segment;
    return (smaller(begin + rows_per_segment, rows) - begin) * tiles_per_row;
  }
};

// ----------------------------------------------------------------------- channels last and back

// Rows top .. top + rows of an image as (rows, row_width, channels_padded), the first pixel of a
// row at column `left`; zeros outside the image.
void copy_channels_last(const float* image, std::size_t channels, std::size_t height,
                        std::size_t width, std::ptrdiff_t top, std::size_t rows, std::size_t left,
                        std::size_t row_width, std::size_t channels_padded, float* out) {
  const std::ptrdiff_t limit = static_cast<std::ptrdiff_t>(height);
  const std::ptrdiff_t bottom = top + static_cast<std::ptrdiff_t>(rows);
  const std::size_t skipped = top < 0 ? smaller(static_cast<std::size_t>(-top), rows) : 0;
  const std::ptrdiff_t begin = top < 0 ? 0 : smaller(static_cast<std::size_t>(top), height);
  const std::ptrdiff_t end = bottom > limit ? limit : bottom;
  const std::size_t inside = end > begin ? static_cast<std::size_t>(end - begin) : 0;
  const std::size_t row = row_width * channels_padded;
  __builtin_memset(out, 0, skipped * row * sizeof(float));
  __builtin_memset(out + (skipped + inside) * row, 0,
                   (rows - skipped - inside) * row * sizeof(float));
  const std::size_t right = row_width - left - width;
  for (std::size_t y = skipped; y < skipped + inside; ++y) {
    __builtin_memset(out + y * row, 0, left * channels_padded * sizeof(float));
    __builtin_memset(out + y * row + (left + width) * channels_padded, 0,
                     right * channels_padded * sizeof(float));
  }
  const std::size_t pixels = inside * width, plane = height * width;
  const std::size_t jump = (row_width - width) * channels_padded;
  const float* in = image + static_cast<std::size_t>(begin) * width;
  for (std::size_t c = 0; c < channels_padded; c += width_of_vector) {
    const std::size_t known = c < channels ? smaller(channels - c, width_of_vector) : 0;
    float* to = out + skipped * row + left * channels_padded + c;
    std::size_t x = 0;
    for (std::size_t p = 0; p < pixels; p += width_of_vector) {
      const std::size_t count = smaller(pixels - p, width_of_vector);
      const float* from = in + c * plane + p;
      Wide values[width_of_vector];
      if (count == width_of_vector && known == width_of_vector) {
#pragma GCC unroll 16
        for (std::size_t k = 0; k < width_of_vector; ++k) values[k] = load(from + k * plane);
      } else {
        for (std::size_t k = 0; k < width_of_vector; ++k) {
          values[k] = k < known ? load_some(from + k * plane, count) : Wide{};
        }
      }
      transpose<float>(values);
      for (std::size_t k = 0; k < count; ++k) {
        store(to, values[k]);
        to += channels_padded;
        if (++x == width) {
          x = 0;
          to += jump;
        }
      }
    }
  }
}

// The first `count` channels of (rows, row_width, step) as planes of `width` columns at `out`.
void copy_channels_first(const float* in, std::size_t rows, std::size_t row_width, std::size_t step,
                         std::size_t width, std::size_t count, std::size_t plane, float* out) {
  const std::size_t pixels = rows * width, jump = (row_width - width) * step;
  for (std::size_t c = 0; c < count; c += width_of_vector) {
    const std::size_t known = smaller(count - c, width_of_vector);
    const float* from = in + c;
    std::size_t x = 0;
    for (std::size_t p = 0; p < pixels; p += width_of_vector) {
      const std::size_t some = smaller(pixels - p, width_of_vector);
      Wide values[width_of_vector] = {};
      for (std::size_t k = 0; k < some; ++k) {
        values[k] = load(from);
        from += step;
        if (++x == width) {
          x = 0;
          from += jump;
        }
      }
      transpose<float>(values);
      float* to = out + c * plane + p;
      if (some == width_of_vector && known == width_of_vector) {
#pragma GCC unroll 16
        for (std::size_t k = 0; k < width_of_vector; ++k) store(to + k * plane, values[k]);
      } else {
        for (std::size_t k = 0; k < known; ++k) store_some(to + k * plane, values[k], some);
      }
    }
  }
}

// --------------------------------------------------------------------------------- segments

// Transformed tiles of the input of a segment: (points, tiles, channels), input_plane() apart.
template <class Method>
void transform_segment(const Winograd& s, const Plan<Method>& plan, std::size_t segment,
                       const float* input, float* copy, float* tiles) {
  constexpr std::size_t patch = Method::patch, points = Method::points;
  const std::size_t wide = plan.padded_width(), channels = plan.channels;
  const std::size_t plane = plan.input_plane();
  plan.for_images(
      segment, [&](std::size_t image, std::size_t first, std::size_t count, std::size_t tile) {
        const auto top = static_cast<std::ptrdiff_t>(Method::step * first) -
                         static_cast<std::ptrdiff_t>(s.pad_height);
        copy_channels_last(input + image * s.channels * s.height * s.width, s.channels, s.height,
                           s.width, top, plan.seen(count), s.pad_width, wide, channels, copy);
        for (std::size_t row = 0; row < count; ++row) {
          for (std::size_t column = 0; column < plan.tiles_per_row; ++column, ++tile) {
            const float* from = copy + Method::step * (row * wide + column) * channels;
            for (std::size_t c = 0; c < channels; c += width_of_vector) {
              Wide part[points * patch], line[patch];
#pragma GCC unroll 9
              for (std::size_t x = 0; x < patch; ++x) {
#pragma GCC unroll 9
                for (std::size_t y = 0; y < patch; ++y) {
                  line[y] = load(from + (y * wide + x) * channels + c);
                }
                Method::input(line, [&](std::size_t y, Wide v) { part[y * patch + x] = v; });
              }
              float* to = tiles + tile * channels + c;
#pragma GCC unroll 9
              for (std::size_t y = 0; y < points; ++y) {
                Method::input(part + y * patch, [&](std::size_t x, Wide v) {
                  store(to + (y * points + x) * plane, v);
                });
              }
            }
          }
        }
      });
}

// Transformed tiles of the gradient of the result: (points, tiles, filters), filter_plane() apart.
template <class Method>
void transform_delta_segment(const Winograd& s, const Plan<Method>& plan, std::size_t segment,
                             const float* delta, float* copy, float* tiles) {
  constexpr std::size_t out = Method::out, points = Method::points;
  const std::size_t wide = plan.result_width(), filters = plan.filters;
  const std::size_t plane = plan.filter_plane();
  plan.for_images(segment, [&](std::size_t image, std::size_t first, std::size_t count,
                               std::size_t tile) {
    copy_channels_last(delta + image * s.filters * plan.out_height * plan.out_width, s.filters,
                       plan.out_height, plan.out_width, static_cast<std::ptrdiff_t>(out * first),
                       plan.given(count), 0, wide, filters, copy);
    for (std::size_t row = 0; row < count; ++row) {
      for (std::size_t column = 0; column < plan.tiles_per_row; ++column, ++tile) {
        const float* from = copy + out * (row * wide + column) * filters;
        for (std::size_t f = 0; f < filters; f += width_of_vector) {
          Wide part[points * out], line[out];
#pragma GCC unroll 4
          for (std::size_t x = 0; x < out; ++x) {
#pragma GCC unroll 4
            for (std::size_t y = 0; y < out; ++y) {
              line[y] = load(from + (y * wide + x) * filters + f);
            }
            Method::delta(line, [&](std::size_t y, Wide v) { part[y * out + x] = v; });
          }
          float* to = tiles + tile * filters + f;
#pragma GCC unroll 9
          for (std::size_t y = 0; y < points; ++y) {
            Method::delta(part + y * out,
                          [&](std::size_t x, Wide v) { store(to + (y * points + x) * plane, v); });
          }
        }
      }
    }
  });
}

// Transformed weights of one block of filters: (points, channels, block).
template <class Method>
void transform_weights(const Winograd& s, const float* weight, bool transposed, std::size_t first,
                       float* out) {
  constexpr std::size_t points = Method::points;
  const std::size_t filter_step = transposed ? 9 : s.channels * 9;
  const std::size_t channel_step = transposed ? s.filters * 9 : 9;
  for (std::size_t f = 0; f < block; f += width_of_vector) {
    const std::size_t begin = first + f;
    const std::size_t known = begin < s.filters ? smaller(s.filters - begin, width_of_vector) : 0;
    for (std::size_t c = 0; c < s.channels; ++c) {
      float taps[9][width_of_vector] = {};
      const float* from = weight + begin * filter_step + c * channel_step;
      for (std::size_t i = 0; i < known; ++i) {
#pragma GCC unroll 9
        for (std::size_t t = 0; t < 9; ++t) {
          taps[t][i] = from[i * filter_step + (transposed ? 8 - t : t)];
        }
      }
      Wide part[3 * points], line[3];
#pragma GCC unroll 3
      for (std::size_t x = 0; x < 3; ++x) {
#pragma GCC unroll 3
        for (std::size_t y = 0; y < 3; ++y) line[y] = load(taps[y * 3 + x]);
        Method::weight(line, [&](std::size_t y, Wide v) { part[y * 3 + x] = v; });
      }
      float* to = out + c * block + f;
#pragma GCC unroll 9
      for (std::size_t y = 0; y < points; ++y) {
        Method::weight(part + y * 3, [&](std::size_t x, Wide v) {
          store(to + (y * points + x) * s.channels * block, v);
        });
      }
    }
  }
}

// Products of a segment's tiles with a block of filters, transformed back into the result.
template <class Method>
void multiply_segment(const Winograd& s, const Plan<Method>& plan, std::size_t segment,
                      const float* tiles, const float* weights, const float* bias,
                      const Epilogue<float>& epilogue, std::size_t first, float* products,
                      float* copy, float* out) {
  const std::size_t count = plan.tiles_of(segment), plane = spread(plan.tiles * block);
  constexpr std::size_t out_side = Method::out, points = Method::points;
  const std::size_t at_once = divide_up(count, divide_up(count, tile_rows));
  for (std::size_t p = 0; p < points_of<Method>; ++p) {
    const float* a = tiles + p * plan.input_plane();
    const float* b = weights + p * s.channels * block;
    for (std::size_t t = 0; t < count; t += at_once) {
      multiply_rows<float, 2>(smaller(count - t, at_once), a + t * plan.channels, plan.channels, 1,
                              b, block, products + p * plane + t * block, block, s.channels, false);
    }
  }
  const std::size_t known = smaller(s.filters - first, block), wide = plan.result_width();
  const std::size_t pixels = plan.out_height * plan.out_width;
  plan.for_images(
      segment, [&](std::size_t image, std::size_t first_row, std::size_t rows, std::size_t tile) {
        for (std::size_t row = 0; row < rows; ++row) {
          for (std::size_t column = 0; column < plan.tiles_per_row; ++column, ++tile) {
            float* to = copy + out_side * (row * wide + column) * block;
            for (std::size_t f = 0; f < block; f += width_of_vector) {
              const float* from = products + tile * block + f;
              Wide part[out_side * points], line[points];
              const Wide shift =
                  bias == nullptr || f >= known ? Wide{} : load_some(bias + first + f, known - f);
#pragma GCC unroll 9
              for (std::size_t x = 0; x < points; ++x) {
#pragma GCC unroll 9
                for (std::size_t y = 0; y < points; ++y) {
                  line[y] = load(from + (y * points + x) * plane);
                }
                Method::product(line, [&](std::size_t y, Wide v) { part[y * points + x] = v; });
              }
#pragma GCC unroll 8
              for (std::size_t y = 0; y < out_side; ++y) {
                Method::product(part + y * points, [&](std::size_t x, Wide v) {
                  store(to + (y * wide + x) * block + f, v + shift);
                });
              }
            }
          }
        }
        const std::size_t top = out_side * first_row;
        const std::size_t count_out = smaller(out_side * rows, plan.out_height - top);
        std::size_t at = (image * s.filters + first) * pixels + top * plan.out_width;
        copy_channels_first(copy, count_out, wide, block, plan.out_width, known, pixels, out + at);
        if (!epilogue.changes()) return;
        for (std::size_t f = first; f < first + known; ++f, at += pixels) {
          finish(epilogue, f, at, count_out * plan.out_width, out + at, out + at);
        }
      });
}

// ---------------------------------------------------------------------------------- schedules

// Two orders of work. Few filters: their transformed weights stay near the processor, and every
// segment is taken from input to result at once. Many: the transformed input is kept instead, and
// every block of filters is transformed, used for all segments, and forgotten.
template <class Method>
struct Schedule {
  bool filters_outside;
  Plan<Method> plan;
  std::size_t blocks, weights, tiles, products, output_copy;

  explicit Schedule(const Winograd& s)
      : filters_outside(false), plan(s, 8), blocks(divide_up(s.filters, block)) {
    const std::size_t per_tile = points_of<Method> * plan.channels;
    const std::size_t all_tiles = plan.rows * plan.tiles_per_row * per_tile;
    const std::size_t all_weights = points_of<Method> * s.channels * blocks * block;
    filters_outside = all_weights > (1 << 20) && all_tiles < 4 * all_weights;
    plan = Plan<Method>(
        s, filters_outside ? 32 : larger(Method::least_tiles, (std::size_t{112} << 10) / per_tile));
    weights = points_of<Method> * s.channels * block;
    tiles = points_of<Method> * plan.input_plane();
    products = points_of<Method> * spread(plan.tiles * block);
    output_copy = plan.given(plan.image_rows()) * plan.result_width() * block;
  }

  // Workspace of one slot: a copy of the input, or one of the result; products; then weights or
  // tiles, whichever are not kept.
  std::size_t copies() const { return larger(plan.input_copy(), output_copy); }
  std::size_t slot() const { return copies() + products + (filters_outside ? weights : tiles); }
  std::size_t kept() const { return filters_outside ? plan.segments * tiles : blocks * weights; }
};

template <class Method>
void convolve(const Winograd& s, const float* input, const float* weight, const float* bias,
              bool transposed, const Epilogue<float>& epilogue, float* out, float* workspace) {
  const Schedule<Method> schedule(s);
  const Plan<Method>& plan = schedule.plan;
  float* kept = workspace;
  const auto copy_of = [&](std::size_t slot) {
    return workspace + schedule.kept() + slot * schedule.slot();
  };
  if (schedule.filters_outside) {
    for_each_item(plan.segments, s.slots, [&](std::size_t segment, std::size_t slot) {
      transform_segment(s, plan, segment, input, copy_of(slot), kept + segment * schedule.tiles);
    });
    for_each_item(schedule.blocks, s.slots, [&](std::size_t b, std::size_t slot) {
      float* copy = copy_of(slot);
      float* products = copy + schedule.copies();
      float* weights = products + schedule.products;
      transform_weights<Method>(s, weight, transposed, b * block, weights);
      for (std::size_t segment = 0; segment < plan.segments; ++segment) {
        multiply_segment(s, plan, segment, kept + segment * schedule.tiles, weights, bias, epilogue,
                         b * block, products, copy, out);
      }
    });
    return;
  }
  for_each_item(schedule.blocks, s.slots, [&](std::size_t b, std::size_t) {
    transform_weights<Method>(s, weight, transposed, b * block, kept + b * schedule.weights);
  });
  for_each_item(plan.segments, s.slots, [&](std::size_t segment, std::size_t slot) {
    float* copy = copy_of(slot);
    float* products = copy + schedule.copies();
    float* tiles = products + schedule.products;
    transform_segment(s, plan, segment, input, copy, tiles);
    for (std::size_t b = 0; b < schedule.blocks; ++b) {
      multiply_segment(s, plan, segment, tiles, kept + b * schedule.weights, bias, epilogue,
                       b * block, products, copy, out);
    }
  });
}

// Calls function with the method for a shape.
template <class Function>
auto by_method(const Winograd& s, bool transposed, Function function) {
  if (s.stride == 1) return function(UnitStride{});
  if (transposed) return function(StrideTwoBackward{});
  return function(StrideTwo{});
}

}  // namespace

std::size_t winograd_workspace(Winograd s, bool transposed) {
  return by_method(s, transposed, [&]<class Method>(Method) {
    const Schedule<Method> schedule(s);
    return schedule.kept() + s.slots * schedule.slot();
  });
}

void winograd_convolution(Winograd s, const float* input, const float* weight, const float* bias,
                          bool transposed, Epilogue<float> epilogue, float* out, float* workspace) {
  by_method(s, transposed, [&]<class Method>(Method) {
    convolve<Method>(s, input, weight, bias, transposed, epilogue, out, workspace);
  });
}

// ------------------------------------------------------------------------ gradient of weights

namespace {

// Transformed input and gradient of a chunk of segments are kept; their products are summed up in
// items of a block of filters and of channels. With one chunk an item is finished at once.
template <class Method>
struct WeightSchedule {
  Plan<Method> plan;
  std::size_t input_tiles, delta_tiles, chunk, chunks, blocks, parts, sums;

  explicit WeightSchedule(const Winograd& s)
      : plan(s, 56),
        input_tiles(points_of<Method> * plan.input_plane()),
        delta_tiles(points_of<Method> * plan.filter_plane()),
        chunk(smaller(larger((std::size_t{4} << 20) / (input_tiles + delta_tiles), s.slots),
                      plan.segments)),
        chunks(divide_up(plan.segments, chunk)),
        blocks(divide_up(s.filters, block)),
        parts(divide_up(s.channels, channels_at_once)),
        sums(points_of<Method> * channels_at_once * block) {}

  std::size_t copies() const { return larger(plan.input_copy(), plan.delta_copy()); }
  std::size_t kept_sums(std::size_t slots) const {
    return (chunks == 1 ? slots : blocks * parts) * sums;
  }
};

// weight_grad of a block of filters and of channels from its sums of products.
template <class Method>
void finish_weights(const Winograd& s, const float* sums, std::size_t filter, std::size_t channel,
                    std::size_t channels, float* weight_grad) {
  constexpr std::size_t points = Method::points;
  const std::size_t filters = smaller(s.filters - filter, block);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t f = 0; f < filters; f += width_of_vector) {
      Wide part[3 * points], line[points];
      const float* from = sums + c * block + f;
#pragma GCC unroll 9
      for (std::size_t x = 0; x < points; ++x) {
#pragma GCC unroll 9
        for (std::size_t y = 0; y < points; ++y) {
          line[y] = load(from + (y * points + x) * channels_at_once * block);
        }
        Method::weight_grad(line, [&](std::size_t y, Wide v) { part[y * points + x] = v; });
      }
      float taps[9][width_of_vector];
#pragma GCC unroll 3
      for (std::size_t y = 0; y < 3; ++y) {
        Method::weight_grad(part + y * points,
                            [&](std::size_t x, Wide v) { store(taps[y * 3 + x], v); });
      }
      const std::size_t known = smaller(filters - f, width_of_vector);
      float* to = weight_grad + ((filter + f) * s.channels + channel + c) * 9;
      for (std::size_t i = 0; i < known; ++i, to += s.channels * 9) {
#pragma GCC unroll 9
        for (std::size_t t = 0; t < 9; ++t) to[t] = taps[t][i];
      }
    }
  }
}

template <class Method>
void sum_weights(const Winograd& s, const float* delta, const float* input, float* weight_grad,
                 float* workspace) {
  const WeightSchedule<Method> schedule(s);
  const Plan<Method>& plan = schedule.plan;
  float* inputs = workspace;
  float* deltas = inputs + schedule.chunk * schedule.input_tiles;
  float* copies = deltas + schedule.chunk * schedule.delta_tiles;
  float* all_sums = copies + s.slots * schedule.copies();
  for (std::size_t chunk = 0; chunk < schedule.chunks; ++chunk) {
    const std::size_t first = chunk * schedule.chunk;
    const std::size_t count = smaller(schedule.chunk, plan.segments - first);
    for_each_item(2 * count, s.slots, [&](std::size_t item, std::size_t slot) {
      const std::size_t i = item / 2;
      float* copy = copies + slot * schedule.copies();
      if (item % 2 == 0) {
        transform_segment(s, plan, first + i, input, copy, inputs + i * schedule.input_tiles);
      } else {
        transform_delta_segment(s, plan, first + i, delta, copy, deltas + i * schedule.delta_tiles);
      }
    });
    for_each_item(
        schedule.blocks * schedule.parts, s.slots, [&](std::size_t item, std::size_t slot) {
          const std::size_t filter = item / schedule.parts * block;
          const std::size_t channel = item % schedule.parts * channels_at_once;
          const std::size_t channels = smaller(s.channels - channel, channels_at_once);
          float* sums = all_sums + (schedule.chunks == 1 ? slot : item) * schedule.sums;
          for (std::size_t p = 0; p < points_of<Method>; ++p) {
            for (std::size_t i = 0; i < count; ++i) {
              const float* a = inputs + i * schedule.input_tiles + p * plan.input_plane() + channel;
              const float* b = deltas + i * schedule.delta_tiles + p * plan.filter_plane() + filter;
              for (std::size_t c = 0; c < channels; c += tile_rows) {
                multiply_rows<float, 2>(channels - c, a + c, 1, plan.channels, b, plan.filters,
                                        sums + (p * channels_at_once + c) * block, block,
                                        plan.tiles_of(first + i), chunk + i != 0);
              }
            }
          }
          if (chunk + 1 == schedule.chunks) {
            finish_weights<Method>(s, sums, filter, channel, channels, weight_grad);
          }
        });
  }
}

}  // namespace

std::size_t winograd_weight_workspace(Winograd s) {
  const WeightSchedule<UnitStride> schedule(s);
  return schedule.chunk * (schedule.input_tiles + schedule.delta_tiles) +
         s.slots * schedule.copies() + schedule.kept_sums(s.slots);
}

void winograd_weight(Winograd s, const float* delta, const float* input, float* weight_grad,
                     float* workspace) {
  sum_weights<UnitStride>(s, delta, input, weight_grad, workspace);
}

}  // namespace dtorch::DTORCH_CAPABILITY
