#include "kernels/winograd.h"

#include "kernels/gemm.h"
#include "kernels/integers.h"
#include "kernels/items.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

using Wide = Vector<float>;
constexpr std::size_t width_of_vector = lanes<float>;
constexpr std::size_t block = tile_columns<float>;  // filters that are worked on at once
constexpr std::size_t points = 36;                  // elements of a transformed tile
constexpr std::size_t channels_at_once = 64;        // of a block of the weight's gradient

// The 36 planes of transformed tiles are a multiple of 4 KiB apart where channels are a power of
// two; then they would share the few places that a cache has for such addresses.
std::size_t spread(std::size_t elements) { return elements + 5 * 16; }

// Rows of tiles (4 rows of the result each) of all images are numbered one after another; a
// segment is a range of them.
struct Plan {
  std::size_t out_height, out_width, rows_per_image, tiles_per_row, rows, rows_per_segment,
      segments, tiles, channels, filters;

  Plan(const Winograd& s, std::size_t tiles_wanted)
      : out_height(s.height + 2 * s.pad_height - 2),
        out_width(s.width + 2 * s.pad_width - 2),
        rows_per_image(divide_up(out_height, 4)),
        tiles_per_row(divide_up(out_width, 4)),
        rows(s.images * rows_per_image),
        rows_per_segment(smaller(larger(tiles_wanted / tiles_per_row, 1), rows)),
        segments(divide_up(rows, rows_per_segment)),
        tiles(rows_per_segment * tiles_per_row),
        channels(round_up(s.channels, width_of_vector)),
        filters(round_up(s.filters, block)) {}

  std::size_t padded_width() const { return 4 * tiles_per_row + 2; }
  std::size_t image_rows() const { return smaller(rows_per_segment, rows_per_image); }
  std::size_t input_plane() const { return spread(tiles * channels); }
  std::size_t filter_plane() const { return spread(tiles * filters); }
  // Elements of the channels-last copy of a part of an image.
  std::size_t input_copy() const { return (4 * image_rows() + 2) * padded_width() * channels; }
  std::size_t delta_copy() const { return 4 * image_rows() * 4 * tiles_per_row * filters; }

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

// -------------------------------------------------------------------------------- transforms

// Toom and Cook's multiplication of polynomials at the points 0, a, -a, b, -b and infinity, with
// a = 1 / sqrt(2) and b = sqrt(2): a quarter of the rounding errors of the customary 1 and 2, as
// the powers of a and b are nearer to each other.
constexpr float a1 = 0.70710678118654752f, b1 = 1.41421356237309505f;

// Six values at a distance of `step` in, six out at the places of `put`.
template <class Put>
DTORCH_INLINE void transform_input(const Wide* d, std::size_t step, Put put) {
  const Wide d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
             d5 = d[5 * step];
  const Wide p = d4 - 2.0f * d2, q = a1 * (d3 - 2.0f * d1);
  const Wide r = d4 - 0.5f * d2, s = b1 * (d3 - 0.5f * d1);
  put(0, d0 - 2.5f * d2 + d4);
  put(1, p + q);
  put(2, p - q);
  put(3, r + s);
  put(4, r - s);
  put(5, d1 - 2.5f * d3 + d5);
}

template <class Put>
DTORCH_INLINE void transform_product(const Wide* m, std::size_t step, Put put) {
  const Wide m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step],
             m5 = m[5 * step];
  const Wide p = m1 + m2, q = a1 * (m1 - m2), r = m3 + m4, s = b1 * (m3 - m4);
  put(0, m0 + p + r);
  put(1, q + s);
  put(2, 0.5f * p + 2.0f * r);
  put(3, 0.5f * q + 2.0f * s + m5);
}

template <class Put>
DTORCH_INLINE void transform_delta(const Wide* y, std::size_t step, Put put) {
  const Wide y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
  const Wide p = y0 + 0.5f * y2, q = a1 * (y1 + 0.5f * y3);
  const Wide r = y0 + 2.0f * y2, s = b1 * (y1 + 2.0f * y3);
  put(0, y0);
  put(1, p + q);
  put(2, p - q);
  put(3, r + s);
  put(4, r - s);
  put(5, y3);
}

template <class Put>
DTORCH_INLINE void transform_weight(const Wide* w, std::size_t step, Put put) {
  const Wide w0 = w[0], w1 = w[step], w2 = w[2 * step];
  const Wide p = (w0 + 0.5f * w2) * (-2.0f / 3), q = w1 * (-2.0f / 3 * a1);
  const Wide r = (w0 + 2.0f * w2) * (1.0f / 6), s = w1 * (1.0f / 6 * b1);
  put(0, w0);
  put(1, p + q);
  put(2, p - q);
  put(3, r + s);
  put(4, r - s);
  put(5, w2);
}

template <class Put>
DTORCH_INLINE void transform_weight_grad(const Wide* u, std::size_t step, Put put) {
  const Wide u0 = u[0], u1 = u[step], u2 = u[2 * step], u3 = u[3 * step], u4 = u[4 * step],
             u5 = u[5 * step];
  const Wide p = (u1 + u2) * (-2.0f / 3), r = (u3 + u4) * (1.0f / 6);
  put(0, u0 + p + r);
  put(1, (u1 - u2) * (-2.0f / 3 * a1) + (u3 - u4) * (1.0f / 6 * b1));
  put(2, 0.5f * p + 2.0f * r + u5);
}

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

// Transformed tiles of the input of a segment: (36, tiles, channels), planes input_plane() apart.
void transform_segment(const Winograd& s, const Plan& plan, std::size_t segment, const float* input,
                       float* copy, float* tiles) {
  const std::size_t wide = plan.padded_width(), channels = plan.channels;
  const std::size_t plane = plan.input_plane();
  plan.for_images(
      segment, [&](std::size_t image, std::size_t first, std::size_t count, std::size_t tile) {
        const auto top =
            static_cast<std::ptrdiff_t>(4 * first) - static_cast<std::ptrdiff_t>(s.pad_height);
        copy_channels_last(input + image * s.channels * s.height * s.width, s.channels, s.height,
                           s.width, top, 4 * count + 2, s.pad_width, wide, channels, copy);
        for (std::size_t row = 0; row < count; ++row) {
          for (std::size_t column = 0; column < plan.tiles_per_row; ++column, ++tile) {
            const float* from = copy + (4 * row * wide + 4 * column) * channels;
            for (std::size_t c = 0; c < channels; c += width_of_vector) {
              Wide part[points], line[6];
#pragma GCC unroll 6
              for (std::size_t x = 0; x < 6; ++x) {
#pragma GCC unroll 6
                for (std::size_t y = 0; y < 6; ++y) {
                  line[y] = load(from + (y * wide + x) * channels + c);
                }
                transform_input(line, 1, [&](std::size_t y, Wide v) { part[y * 6 + x] = v; });
              }
              float* to = tiles + tile * channels + c;
#pragma GCC unroll 6
              for (std::size_t y = 0; y < 6; ++y) {
                transform_input(part + y * 6, 1,
                                [&](std::size_t x, Wide v) { store(to + (y * 6 + x) * plane, v); });
              }
            }
          }
        }
      });
}

// Transformed tiles of the gradient of the result: (36, tiles, filters), filter_plane() apart.
void transform_delta_segment(const Winograd& s, const Plan& plan, std::size_t segment,
                             const float* delta, float* copy, float* tiles) {
  const std::size_t wide = 4 * plan.tiles_per_row, filters = plan.filters;
  const std::size_t plane = plan.filter_plane();
  plan.for_images(
      segment, [&](std::size_t image, std::size_t first, std::size_t count, std::size_t tile) {
        copy_channels_last(delta + image * s.filters * plan.out_height * plan.out_width, s.filters,
                           plan.out_height, plan.out_width, static_cast<std::ptrdiff_t>(4 * first),
                           4 * count, 0, wide, filters, copy);
        for (std::size_t row = 0; row < count; ++row) {
          for (std::size_t column = 0; column < plan.tiles_per_row; ++column, ++tile) {
            const float* from = copy + (4 * row * wide + 4 * column) * filters;
            for (std::size_t f = 0; f < filters; f += width_of_vector) {
              Wide part[24], line[4];
#pragma GCC unroll 4
              for (std::size_t x = 0; x < 4; ++x) {
#pragma GCC unroll 4
                for (std::size_t y = 0; y < 4; ++y) {
                  line[y] = load(from + (y * wide + x) * filters + f);
                }
                transform_delta(line, 1, [&](std::size_t y, Wide v) { part[y * 4 + x] = v; });
              }
              float* to = tiles + tile * filters + f;
#pragma GCC unroll 6
              for (std::size_t y = 0; y < 6; ++y) {
                transform_delta(part + y * 4, 1,
                                [&](std::size_t x, Wide v) { store(to + (y * 6 + x) * plane, v); });
              }
            }
          }
        }
      });
}

// Transformed weights of one block of filters: (36, channels, block).
void transform_weights(const Winograd& s, const float* weight, bool transposed, std::size_t first,
                       float* out) {
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
      Wide part[18], line[3];
#pragma GCC unroll 3
      for (std::size_t x = 0; x < 3; ++x) {
#pragma GCC unroll 3
        for (std::size_t y = 0; y < 3; ++y) line[y] = load(taps[y * 3 + x]);
        transform_weight(line, 1, [&](std::size_t y, Wide v) { part[y * 3 + x] = v; });
      }
      float* to = out + c * block + f;
#pragma GCC unroll 6
      for (std::size_t y = 0; y < 6; ++y) {
        transform_weight(part + y * 3, 1, [&](std::size_t x, Wide v) {
          store(to + (y * 6 + x) * s.channels * block, v);
        });
      }
    }
  }
}

// Products of a segment's tiles with a block of filters, transformed back into the result.
void multiply_segment(const Winograd& s, const Plan& plan, std::size_t segment, const float* tiles,
                      const float* weights, const float* bias, std::size_t first, float* products,
                      float* copy, float* out) {
  const std::size_t count = plan.tiles_of(segment), plane = spread(plan.tiles * block);
  for (std::size_t p = 0; p < points; ++p) {
    const float* a = tiles + p * plan.input_plane();
    const float* b = weights + p * s.channels * block;
    for (std::size_t t = 0; t < count; t += tile_rows) {
      multiply_rows<float, 2>(count - t, a + t * plan.channels, plan.channels, 1, b, block,
                              products + p * plane + t * block, block, s.channels, false);
    }
  }
  const std::size_t known = smaller(s.filters - first, block), wide = 4 * plan.tiles_per_row;
  const std::size_t pixels = plan.out_height * plan.out_width;
  plan.for_images(
      segment, [&](std::size_t image, std::size_t first_row, std::size_t rows, std::size_t tile) {
        for (std::size_t row = 0; row < rows; ++row) {
          for (std::size_t column = 0; column < plan.tiles_per_row; ++column, ++tile) {
            float* to = copy + (4 * row * wide + 4 * column) * block;
            for (std::size_t f = 0; f < block; f += width_of_vector) {
              const float* from = products + tile * block + f;
              Wide part[24], line[6];
              const Wide shift =
                  bias == nullptr || f >= known ? Wide{} : load_some(bias + first + f, known - f);
#pragma GCC unroll 6
              for (std::size_t x = 0; x < 6; ++x) {
#pragma GCC unroll 6
                for (std::size_t y = 0; y < 6; ++y) line[y] = load(from + (y * 6 + x) * plane);
                transform_product(line, 1, [&](std::size_t y, Wide v) { part[y * 6 + x] = v; });
              }
#pragma GCC unroll 4
              for (std::size_t y = 0; y < 4; ++y) {
                transform_product(part + y * 6, 1, [&](std::size_t x, Wide v) {
                  store(to + (y * wide + x) * block + f, v + shift);
                });
              }
            }
          }
        }
        const std::size_t top = 4 * first_row;
        copy_channels_first(copy, smaller(4 * rows, plan.out_height - top), wide, block,
                            plan.out_width, known, pixels,
                            out + (image * s.filters + first) * pixels + top * plan.out_width);
      });
}

// ---------------------------------------------------------------------------------- schedules

// Two orders of work. Few filters: their transformed weights stay near the processor, and every
// segment is taken from input to result at once. Many: the transformed input is kept instead, and
// every block of filters is transformed, used for all segments, and forgotten.
struct Schedule {
  bool filters_outside;
  Plan plan;
  std::size_t blocks, weights, tiles, products, output_copy;

  explicit Schedule(const Winograd& s)
      : filters_outside(false), plan(s, 8), blocks(divide_up(s.filters, block)) {
    const std::size_t per_tile = points * plan.channels;
    const std::size_t all_tiles = plan.rows * plan.tiles_per_row * per_tile;
    const std::size_t all_weights = points * s.channels * blocks * block;
    filters_outside = all_weights > (1 << 20) && all_tiles < 4 * all_weights;
    plan = Plan(s, filters_outside ? 32 : larger(8, (std::size_t{112} << 10) / per_tile));
    weights = points * s.channels * block;
    tiles = points * plan.input_plane();
    products = points * spread(plan.tiles * block);
    output_copy = 4 * plan.image_rows() * 4 * plan.tiles_per_row * block;
  }

  // Workspace of one slot: a copy of the input, or one of the result; products; then weights or
  // tiles, whichever are not kept.
  std::size_t copies() const { return larger(plan.input_copy(), output_copy); }
  std::size_t slot() const { return copies() + products + (filters_outside ? weights : tiles); }
  std::size_t kept() const { return filters_outside ? plan.segments * tiles : blocks * weights; }
};

}  // namespace

std::size_t winograd_workspace(Winograd s) {
  const Schedule schedule(s);
  return schedule.kept() + s.slots * schedule.slot();
}

void winograd_convolution(Winograd s, const float* input, const float* weight, const float* bias,
                          bool transposed, float* out, float* workspace) {
  const Schedule schedule(s);
  const Plan& plan = schedule.plan;
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
      transform_weights(s, weight, transposed, b * block, weights);
      for (std::size_t segment = 0; segment < plan.segments; ++segment) {
        multiply_segment(s, plan, segment, kept + segment * schedule.tiles, weights, bias,
                         b * block, products, copy, out);
      }
    });
    return;
  }
  for_each_item(schedule.blocks, s.slots, [&](std::size_t b, std::size_t) {
    transform_weights(s, weight, transposed, b * block, kept + b * schedule.weights);
  });
  for_each_item(plan.segments, s.slots, [&](std::size_t segment, std::size_t slot) {
    float* copy = copy_of(slot);
    float* products = copy + schedule.copies();
    float* tiles = products + schedule.products;
    transform_segment(s, plan, segment, input, copy, tiles);
    for (std::size_t b = 0; b < schedule.blocks; ++b) {
      multiply_segment(s, plan, segment, tiles, kept + b * schedule.weights, bias, b * block,
                       products, copy, out);
    }
  });
}

// ------------------------------------------------------------------------ gradient of weights

namespace {

// Transformed input and gradient of a chunk of segments are kept; their products are summed up in
// items of a block of filters and of channels. With one chunk an item is finished at once.
struct WeightSchedule {
  Plan plan;
  std::size_t input_tiles, delta_tiles, chunk, chunks, blocks, parts, sums;

  explicit WeightSchedule(const Winograd& s)
      : plan(s, 56),
        input_tiles(points * plan.input_plane()),
        delta_tiles(points * plan.filter_plane()),
        chunk(smaller(larger((std::size_t{4} << 20) / (input_tiles + delta_tiles), s.slots),
                      plan.segments)),
        chunks(divide_up(plan.segments, chunk)),
        blocks(divide_up(s.filters, block)),
        parts(divide_up(s.channels, channels_at_once)),
        sums(points * channels_at_once * block) {}

  std::size_t copies() const { return larger(plan.input_copy(), plan.delta_copy()); }
  std::size_t kept_sums(std::size_t slots) const {
    return (chunks == 1 ? slots : blocks * parts) * sums;
  }
};

// weight_grad of a block of filters and of channels from its 36 sums of products.
void finish_weights(const Winograd& s, const float* sums, std::size_t filter, std::size_t channel,
                    std::size_t channels, float* weight_grad) {
  const std::size_t filters = smaller(s.filters - filter, block);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t f = 0; f < filters; f += width_of_vector) {
      Wide part[18], line[6];
      const float* from = sums + c * block + f;
#pragma GCC unroll 6
      for (std::size_t x = 0; x < 6; ++x) {
#pragma GCC unroll 6
        for (std::size_t y = 0; y < 6; ++y) {
          line[y] = load(from + (y * 6 + x) * channels_at_once * block);
        }
        transform_weight_grad(line, 1, [&](std::size_t y, Wide v) { part[y * 6 + x] = v; });
      }
      float taps[9][width_of_vector];
#pragma GCC unroll 3
      for (std::size_t y = 0; y < 3; ++y) {
        transform_weight_grad(part + y * 6, 1,
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

}  // namespace

std::size_t winograd_weight_workspace(Winograd s) {
  const WeightSchedule schedule(s);
  return schedule.chunk * (schedule.input_tiles + schedule.delta_tiles) +
         s.slots * schedule.copies() + schedule.kept_sums(s.slots);
}

void winograd_weight(Winograd s, const float* delta, const float* input, float* weight_grad,
                     float* workspace) {
  const WeightSchedule schedule(s);
  const Plan& plan = schedule.plan;
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
          for (std::size_t p = 0; p < points; ++p) {
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
            finish_weights(s, sums, filter, channel, channels, weight_grad);
          }
        });
  }
}

}  // namespace dtorch::DTORCH_CAPABILITY
