#include "kernels/convolution.h"
#include "kernels/items.h"
#include "kernels/window_gemm.h"
#include "kernels/windows.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t windows_at_once = 192;  // about so many, in whole rows, are summed up at once
constexpr std::size_t terms_at_once = 288;    // weights of a filter
constexpr std::size_t filters_at_once = 128;
constexpr std::size_t least_items = 8;

std::size_t rows_at_once(const Convolution& s) {
  const std::size_t most = larger(windows_at_once / s.out_width, 1);
  return divide_up(s.out_height, divide_up(s.out_height, most));
}

// Items are (part of the batch, group, part of the filters, part of the channels); every item has
// sums of its own, and the batch's parts are added up in the end, in order: the result does not
// depend on the number of threads.
template <class T>
struct WeightGradient {
  std::size_t filters, channels, taps;
  Windows<T> windows;
  bool straight;  // windows are looked at where they are
  std::size_t filter_part, filter_parts, channel_part, channel_parts, parts, batch, batches, terms,
      panel, sums, planes, deltas, pointers, offsets, slot;

  explicit WeightGradient(const Convolution& s)
      : filters(s.filters / s.groups),
        channels(s.channels / s.groups),
        taps(s.kernel_height * s.kernel_width),
        windows(s, rows_at_once(s)),
        straight(windows.height.reach() == 0 && windows.row == s.width && taps == 1 &&
                 s.stride_height == 1 && s.stride_width == 1 && s.pad_height == 0 &&
                 s.pad_width == 0 && s.height >= s.out_height) {
    filter_parts = divide_up(filters, filters_at_once);
    filter_part = round_up(divide_up(filters, filter_parts), lanes<T>);
    filter_parts = divide_up(filters, filter_part);
    channel_parts = divide_up(channels, larger(terms_at_once / taps, 1));
    channel_part = divide_up(channels, channel_parts);
    channel_parts = divide_up(channels, channel_part);
    parts = s.groups * filter_parts * channel_parts;
    batches = smaller(s.images, divide_up(least_items, parts));
    batch = divide_up(s.images, batches);
    batches = divide_up(s.images, batch);
    terms = channel_part * taps;
    panel = divide_up(terms, divide_up(terms, window_rows<T>));
    sums = terms * filter_part + lanes<T>;
    planes = straight ? 0 : round_up(channel_part * windows.channel, lanes<T>) + lanes<T>;
    deltas = windows.rows * s.out_width * round_up(filter_part, tile_columns<T>) + lanes<T>;
    pointers = round_up(terms * sizeof(T*) / sizeof(T) + 1, lanes<T>);
    offsets = round_up(taps * sizeof(std::size_t) / sizeof(T) + 1, lanes<T>);
    slot = planes + round_up(deltas, lanes<T>) + pointers;
    sums = round_up(sums, lanes<T>);
  }

  std::size_t items() const { return batches * parts; }
};

}  // namespace

template <class T>
std::size_t convolution_weight_workspace(Convolution s) {
  const WeightGradient<T> plan(s);
  return plan.offsets + plan.items() * plan.sums + s.slots * plan.slot;
}

template <class T>
void convolution_weight(Convolution s, const T* delta, const T* input, T* weight_grad,
                        T* workspace) {
  constexpr std::size_t wide = tile_columns<T>;
  const WeightGradient<T> plan(s);
  const Windows<T>& windows = plan.windows;
  const std::size_t pixels = s.out_height * s.out_width, plane = s.height * s.width;
  auto* offsets = reinterpret_cast<std::size_t*>(workspace);
  for (std::size_t t = 0; t < plan.taps; ++t) offsets[t] = windows.offset(t);
  T* all_sums = workspace + plan.offsets;
  T* slots = all_sums + plan.items() * plan.sums;
  const std::size_t per_group = plan.filter_parts * plan.channel_parts;
  const auto filter_of = [&](std::size_t item) {
    return item / plan.channel_parts % plan.filter_parts * plan.filter_part;
  };
  const auto channel_of = [&](std::size_t item) {
    return item % plan.channel_parts * plan.channel_part;
  };
  for_each_item(plan.items(), s.slots, [&](std::size_t item, std::size_t slot) {
    const std::size_t group = item / per_group % s.groups, batch = item / plan.parts;
    const std::size_t filter = filter_of(item), channel = channel_of(item);
    const std::size_t filters = smaller(plan.filters - filter, plan.filter_part);
    const std::size_t channels = smaller(plan.channels - channel, plan.channel_part);
    const std::size_t terms = channels * plan.taps;
    T* sums = all_sums + item * plan.sums;
    T* planes = slots + slot * plan.slot;
    auto* places = reinterpret_cast<const T**>(planes + plan.planes);
    T* deltas = planes + plan.planes + plan.pointers;
    __builtin_memset(sums, 0, plan.sums * sizeof(T));
    const std::size_t end = smaller((batch + 1) * plan.batch, s.images);
    for (std::size_t image = batch * plan.batch; image < end; ++image) {
      const T* from = input + (image * s.channels + group * plan.channels + channel) * plane;
      const T* grad = delta + (image * s.filters + group * plan.filters + filter) * pixels;
      for (std::size_t first = 0; first < s.out_height; first += windows.rows) {
        const std::size_t rows = smaller(s.out_height - first, windows.rows);
        const std::size_t count = rows * s.out_width;
        for (std::size_t f = 0; f < filters; f += wide) {
          transpose_into(grad + f * pixels + first * s.out_width, pixels,
                         smaller(filters - f, wide), count, deltas + f * count, wide);
        }
        for (std::size_t c = 0; c < channels; ++c) {
          const T* begin = planes + c * windows.channel;
          if (plan.straight) {
            begin = from + c * plane + first * windows.row;
          } else {
            windows.fill(from + c * plane, first, rows, planes + c * windows.channel);
          }
          for (std::size_t t = 0; t < plan.taps; ++t) {
            places[c * plan.taps + t] = begin + offsets[t];
          }
        }
        for (std::size_t f = 0; f < filters; f += wide) {
          const T* b = deltas + f * count;
          for (std::size_t t = 0; t < terms; t += plan.panel) {
            const std::size_t some = smaller(terms - t, plan.panel);
            T* to = sums + t * plan.filter_part + f;
            if (plan.filter_part - f > lanes<T>) {
              sum_windows<T, 2>(some, places + t, windows.row, rows, s.out_width, b, to,
                                plan.filter_part);
            } else {
              sum_windows<T, 1>(some, places + t, windows.row, rows, s.out_width, b, to,
                                plan.filter_part);
            }
          }
        }
      }
    }
  });
  for_each_item(plan.parts, s.slots, [&](std::size_t item, std::size_t) {
    const std::size_t filter = filter_of(item), channel = channel_of(item);
    const std::size_t filters = smaller(plan.filters - filter, plan.filter_part);
    const std::size_t terms = smaller(plan.channels - channel, plan.channel_part) * plan.taps;
    const std::size_t step = plan.filter_part;
    T* sums = all_sums + item * plan.sums;
    for (std::size_t batch = 1; batch < plan.batches; ++batch) {
      const T* more = all_sums + (batch * plan.parts + item) * plan.sums;
      for (std::size_t i = 0; i < terms * step; ++i) sums[i] += more[i];
    }
    T* to = weight_grad +
            ((item / per_group * plan.filters + filter) * plan.channels + channel) * plan.taps;
    for (std::size_t f = 0; f < filters; ++f, to += plan.channels * plan.taps) {
      for (std::size_t t = 0; t < terms; ++t) to[t] = sums[t * step + f];
    }
  });
}

#define DTORCH_INSTANTIATE(T)                                        \
  template std::size_t convolution_weight_workspace<T>(Convolution); \
  template void convolution_weight(Convolution, const T*, const T*, T*, T*);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
