#include "bindings_nn.h"
#include "half.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "kernels/activation.h"
#include "kernels/convolution.h"
#include "kernels/depthwise.h"
#include "kernels/gelu.h"
#include "kernels/normalization.h"
#include "kernels/pooling.h"
#include "kernels/recurrent.h"
#include "kernels/winograd.h"
#include "thread_pool.h"
#include "workspace.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace dtorch {
namespace {

template <class T, int N>
using Array = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

void expect(bool holds, const char* kernel, const char* what) {
  if (!holds) throw nb::value_error((std::string(kernel) + ": " + what).c_str());
}

// ---------------------------------------------------------------------------------- epilogue

template <class T>
T* data_or_null(const Array<T, 1>& array, std::size_t size, const char* kernel) {
  if (!array.is_valid()) return nullptr;
  expect(array.shape(0) == size, kernel, "a vector does not fit the input");
  return array.data();
}

template <class T, class Out, class Added>
Epilogue<T> epilogue_of(const char* name, const Out& out, const Array<const T, 1>& factor,
                        const Array<const T, 1>& shift, const Added& added, double low,
                        double high) {
  const std::size_t channels = out.shape(1);
  expect(factor.is_valid() == shift.is_valid(), name, "one of factor and shift is missing");
  expect(!added.is_valid() || added.size() == out.size(), name, "added does not fit out");
  return {data_or_null(factor, channels, name), data_or_null(shift, channels, name),
          added.is_valid() ? added.data() : nullptr, static_cast<T>(low), static_cast<T>(high)};
}

#define DTORCH_EPILOGUE_ARGUMENTS                                          \
  "factor"_a.noconvert() = nb::none(), "shift"_a.noconvert() = nb::none(), \
  "added"_a.noconvert() = nb::none(), "low"_a = -__builtin_huge_val(),     \
  "high"_a = __builtin_huge_val()

// ---------------------------------------------------------------------------------- winograd

using Pair = std::array<std::size_t, 2>;

// Sides of a convolution's input and of its result.
void expect_sides(const char* name, const Winograd& s, std::size_t height, std::size_t width,
                  std::size_t out_height, std::size_t out_width) {
  const auto fits = [&](std::size_t side, std::size_t pad, std::size_t out) {
    return side + 2 * pad >= 3 && (side + 2 * pad - 3) / s.stride + 1 == out;
  };
  expect(s.stride == 1 || (s.stride == 2 && s.pad_height == 1 && s.pad_width == 1), name,
         "stride is not 1, nor 2 with a padding of 1");
  expect(fits(height, s.pad_height, out_height) && fits(width, s.pad_width, out_width), name,
         "the sides of input and result do not fit");
  expect(s.images * s.channels * s.filters * out_height * out_width != 0, name,
         "an array is empty");
}

template <class T>
Winograd winograd_shape(const Array<const float, 4>& input, const T& result, std::size_t stride,
                        Pair padding) {
  return {input.shape(0),
          input.shape(1),
          input.shape(2),
          input.shape(3),
          result.shape(1),
          result.shape(2),
          result.shape(3),
          stride,
          padding[0],
          padding[1],
          static_cast<std::size_t>(get_num_threads())};
}

// `padding` is that of the convolution, whose gradient this is where `transposed`.
void winograd_convolution(Array<const float, 4> input, Array<const float, 4> weight,
                          Array<const float, 1> bias, std::size_t stride, Pair padding,
                          bool transposed, Array<float, 4> out, Array<const float, 1> factor,
                          Array<const float, 1> shift, Array<const float, 4> added, double low,
                          double high) {
  constexpr const char* name = "winograd_convolution";
  Winograd shape = winograd_shape(input, out, stride, padding);
  expect(weight.shape(transposed ? 1 : 0) == shape.filters &&
             weight.shape(transposed ? 0 : 1) == shape.channels && weight.shape(2) == 3 &&
             weight.shape(3) == 3,
         name, "weight does not fit");
  expect(out.shape(0) == shape.images, name, "out does not fit");
  expect(!bias.is_valid() || bias.shape(0) == shape.filters, name, "bias does not fit");
  if (transposed) {
    expect_sides(name, shape, shape.out_height, shape.out_width, shape.height, shape.width);
    expect(padding[0] <= 2 && padding[1] <= 2, name, "padding is greater than 2");
    shape.pad_height = stride == 1 ? 2 - padding[0] : 0;
    shape.pad_width = stride == 1 ? 2 - padding[1] : 0;
  } else {
    expect_sides(name, shape, shape.height, shape.width, shape.out_height, shape.out_width);
  }
  const float* b = bias.is_valid() ? bias.data() : nullptr;
  const Epilogue<float> epilogue = epilogue_of(name, out, factor, shift, added, low, high);
  const Workspace<float> workspace(DTORCH_DISPATCH(winograd_workspace)(shape, transposed));
  const nb::gil_scoped_release released;
  DTORCH_DISPATCH(winograd_convolution)
  (shape, input.data(), weight.data(), b, transposed, epilogue, out.data(), workspace.get());
}

void winograd_weight(Array<const float, 4> delta, Array<const float, 4> input, Pair padding,
                     Array<float, 4> out) {
  constexpr const char* name = "winograd_weight";
  const Winograd shape = winograd_shape(input, delta, 1, padding);
  expect_sides(name, shape, shape.height, shape.width, shape.out_height, shape.out_width);
  expect(out.shape(0) == shape.filters && out.shape(1) == shape.channels && out.shape(2) == 3 &&
             out.shape(3) == 3,
         name, "out does not fit");
  expect(delta.shape(0) == shape.images, name, "delta does not fit");
  const Workspace<float> workspace(DTORCH_DISPATCH(winograd_weight_workspace)(shape));
  const nb::gil_scoped_release released;
  DTORCH_DISPATCH(winograd_weight)
  (shape, delta.data(), input.data(), out.data(), workspace.get());
}

// ---------------------------------------------------------------------------- other convolutions

using Sides = std::array<std::ptrdiff_t, 2>;

// All sizes but those of arrays, which the array of windows (the result, or its gradient) and the
// array that the windows look at hold.
template <class T, class U, class V>
Convolution convolution_shape(const char* name, const Array<T, 4>& input, const Array<U, 4>& result,
                              const Array<V, 4>& weight, Pair stride, Sides padding, Pair dilation,
                              std::size_t groups) {
  const Convolution s = {
      input.shape(0),  input.shape(1),  input.shape(2),
      input.shape(3),  result.shape(1), weight.shape(2),
      weight.shape(3), stride[0],       stride[1],
      dilation[0],     dilation[1],     groups,
      result.shape(2), result.shape(3), static_cast<std::size_t>(get_num_threads()),
      padding[0],      padding[1]};
  expect(groups >= 1 && s.channels % groups == 0 && s.filters % groups == 0, name,
         "groups do not divide the channels");
  expect(weight.shape(0) == s.filters && weight.shape(1) == s.channels / groups, name,
         "weight does not fit");
  expect(result.shape(0) == s.images, name, "the numbers of images differ");
  expect(input.size() * result.size() * weight.size() != 0, name, "an array is empty");
  return s;
}

// Every filter sees one channel, and so few filters share it that a product of matrices does not
// pay.
bool is_depthwise(const Convolution& s) {
  return s.channels == s.groups && s.filters < 4 * s.groups;
}

template <class T>
void convolution_of(Array<const T, 4> input, Array<const T, 4> weight, Array<const T, 1> bias,
                    Pair stride, Sides padding, Pair dilation, std::size_t groups, Array<T, 4> out,
                    Array<const T, 1> factor, Array<const T, 1> shift, Array<const T, 4> added,
                    double low, double high) {
  constexpr const char* name = "convolution";
  const Convolution s =
      convolution_shape(name, input, out, weight, stride, padding, dilation, groups);
  expect(!bias.is_valid() || bias.shape(0) == s.filters, name, "bias does not fit");
  const T* b = bias.is_valid() ? bias.data() : nullptr;
  const Epilogue<T> epilogue = epilogue_of(name, out, factor, shift, added, low, high);
  const bool direct = is_depthwise(s);
  const Workspace<T> workspace(direct ? DTORCH_DISPATCH(depthwise_workspace<T>)(s)
                                      : DTORCH_DISPATCH(convolution_workspace<T>)(s));
  const nb::gil_scoped_release released;
  if (direct) {
    DTORCH_DISPATCH(depthwise_convolution)
    (s, input.data(), weight.data(), b, false, epilogue, out.data(), workspace.get());
  } else {
    DTORCH_DISPATCH(convolution)
    (s, input.data(), weight.data(), b, epilogue, out.data(), workspace.get());
  }
}

bool has_depthwise_input(const Convolution& s) {
  if (!is_depthwise(s) || s.filters != s.channels) return false;
  if (s.stride_height == 1 && s.stride_width == 1) return true;
  return s.stride_height == 2 && s.stride_width == 2 && s.dilation_height == 1 &&
         s.dilation_width == 1 && s.kernel_height == s.kernel_width &&
         (s.kernel_height == 3 || s.kernel_height == 5) && s.pad_height >= 0 && s.pad_width >= 0;
}

template <class T>
void convolution_input_of(Array<const T, 4> delta, Array<const T, 4> weight, Pair stride,
                          Sides padding, Pair dilation, std::size_t groups, Array<T, 4> out) {
  const Convolution s =
      convolution_shape("convolution_input", out, delta, weight, stride, padding, dilation, groups);
  const bool direct = has_depthwise_input(s);
  const Workspace<T> workspace(direct ? DTORCH_DISPATCH(depthwise_input_workspace<T>)(s)
                                      : DTORCH_DISPATCH(convolution_input_workspace<T>)(s));
  const nb::gil_scoped_release released;
  if (direct) {
    DTORCH_DISPATCH(depthwise_input)
    (s, delta.data(), weight.data(), out.data(), workspace.get());
  } else {
    DTORCH_DISPATCH(convolution_input)
    (s, delta.data(), weight.data(), out.data(), workspace.get());
  }
}

template <class T>
void convolution_weight_of(Array<const T, 4> delta, Array<const T, 4> input, Pair stride,
                           Sides padding, Pair dilation, std::size_t groups, Array<T, 4> out) {
  const Convolution s =
      convolution_shape("convolution_weight", input, delta, out, stride, padding, dilation, groups);
  const bool direct = is_depthwise(s);
  const Workspace<T> workspace(direct ? DTORCH_DISPATCH(depthwise_weight_workspace<T>)(s)
                                      : DTORCH_DISPATCH(convolution_weight_workspace<T>)(s));
  const nb::gil_scoped_release released;
  if (direct) {
    DTORCH_DISPATCH(depthwise_weight)
    (s, delta.data(), input.data(), out.data(), workspace.get());
  } else {
    DTORCH_DISPATCH(convolution_weight)
    (s, delta.data(), input.data(), out.data(), workspace.get());
  }
}

template <class T>
void def_convolution(nb::module_& m) {
  m.def("convolution", convolution_of<T>, "input"_a.noconvert(), "weight"_a.noconvert(),
        "bias"_a.noconvert().none(), "stride"_a, "padding"_a, "dilation"_a, "groups"_a,
        "out"_a.noconvert(), DTORCH_EPILOGUE_ARGUMENTS);
  m.def("convolution_input", convolution_input_of<T>, "delta"_a.noconvert(), "weight"_a.noconvert(),
        "stride"_a, "padding"_a, "dilation"_a, "groups"_a, "out"_a.noconvert());
  m.def("convolution_weight", convolution_weight_of<T>, "delta"_a.noconvert(),
        "input"_a.noconvert(), "stride"_a, "padding"_a, "dilation"_a, "groups"_a,
        "out"_a.noconvert());
}

// ---------------------------------------------------------------------------- normalisation

// Work for one thread: less is done sooner by one than handed to two.
constexpr std::size_t elements_per_range = 32 * 1024;
// Below this the kernel is done sooner than the interpreter's lock is released and taken again.
constexpr std::size_t elements_to_release_gil = 2 * 1024;

// function(first, last) over ranges of `count` parts of `size` elements, on the pool.
template <class Function>
void for_parts(std::size_t count, std::size_t size, Function function) {
  std::optional<nb::gil_scoped_release> released;
  if (count * size >= elements_to_release_gil) released.emplace();
  parallel_for(0, count, elements_per_range / std::max<std::size_t>(size, 1), function);
}

template <class T>
void sum_channels_of(Array<const T, 3> input, Array<T, 1> out) {
  const std::size_t images = input.shape(0), channels = input.shape(1), pixels = input.shape(2);
  expect(out.size() == channels, "sum_channels", "out does not fit the input");
  for_parts(channels, images * pixels, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(sum_channels)
    (input.data(), out.data(), images, channels, pixels, first, last);
  });
}

template <class T>
void normalize_channels_of(Array<const T, 3> input, Array<const T, 1> weight,
                           Array<const T, 1> bias, double eps, Array<T, 3> out, Array<T, 1> average,
                           Array<T, 1> variance, Array<T, 1> scale) {
  constexpr const char* name = "normalize_channels";
  const std::size_t images = input.shape(0), channels = input.shape(1), pixels = input.shape(2);
  expect(out.size() == input.size(), name, "out does not fit the input");
  const T* w = data_or_null(weight, channels, name);
  const T* b = data_or_null(bias, channels, name);
  T* mean = data_or_null(average, channels, name);
  T* square = data_or_null(variance, channels, name);
  T* factor = data_or_null(scale, channels, name);
  for_parts(channels, images * pixels, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(normalize_channels)
    (input.data(), w, b, eps, out.data(), mean, square, factor, images, channels, pixels, first,
     last);
  });
}

template <class T>
void normalize_channels_backward_of(Array<const T, 3> grad, Array<const T, 3> input,
                                    Array<const T, 1> weight, Array<const T, 1> average,
                                    Array<const T, 1> scale, Array<T, 3> grad_input,
                                    Array<T, 1> grad_weight, Array<T, 1> grad_bias) {
  constexpr const char* name = "normalize_channels_backward";
  const std::size_t images = input.shape(0), channels = input.shape(1), pixels = input.shape(2);
  expect(grad.size() == input.size(), name, "grad does not fit the input");
  expect(!grad_input.is_valid() || grad_input.size() == input.size(), name,
         "grad_input does not fit the input");
  const T* w = data_or_null(weight, channels, name);
  const T* mean = data_or_null(average, channels, name);
  const T* factor = data_or_null(scale, channels, name);
  T* dx = grad_input.is_valid() ? grad_input.data() : nullptr;
  T* dw = data_or_null(grad_weight, channels, name);
  T* db = data_or_null(grad_bias, channels, name);
  for_parts(channels, images * pixels, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(normalize_channels_backward)
    (grad.data(), input.data(), w, mean, factor, dx, dw, db, images, channels, pixels, first, last);
  });
}

template <class T>
void finish_planes_of(Array<const T, 3> input, Array<T, 3> out, Array<const T, 1> factor,
                      Array<const T, 1> shift, Array<const T, 3> added, double low, double high) {
  constexpr const char* name = "finish_planes";
  const std::size_t channels = input.shape(1), pixels = input.shape(2);
  expect(out.shape(0) == input.shape(0) && out.shape(1) == channels && out.shape(2) == pixels, name,
         "out does not fit the input");
  const Epilogue<T> epilogue = epilogue_of(name, out, factor, shift, added, low, high);
  for_parts(input.shape(0) * channels, pixels, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(finish_planes)
    (input.data(), epilogue, out.data(), channels, pixels, first, last);
  });
}

template <class T>
void normalize_rows_of(Array<const T, 2> input, Array<const T, 1> weight, Array<const T, 1> bias,
                       double eps, Array<T, 2> out, Array<T, 1> average, Array<T, 1> variance,
                       Array<T, 1> scale) {
  constexpr const char* name = "normalize_rows";
  const std::size_t rows = input.shape(0), columns = input.shape(1);
  expect(out.size() == input.size(), name, "out does not fit the input");
  const T* w = data_or_null(weight, columns, name);
  const T* b = data_or_null(bias, columns, name);
  T* mean = data_or_null(average, rows, name);
  T* square = data_or_null(variance, rows, name);
  T* factor = data_or_null(scale, rows, name);
  for_parts(rows, columns, [&](std::size_t first, std::size_t last) {
    const std::size_t at = first * columns;
    DTORCH_DISPATCH(normalize_rows)
    (input.data() + at, w, b, eps, out.data() + at, mean + first, square + first, factor + first,
     last - first, columns);
  });
}

// Sums of weight and bias are (parts, columns), one for each part of the rows: the caller adds them
// up, and the result does not depend on the number of threads.
template <class T>
void normalize_rows_backward_of(Array<const T, 2> grad, Array<const T, 2> input,
                                Array<const T, 1> weight, Array<const T, 1> average,
                                Array<const T, 1> scale, Array<T, 2> grad_input,
                                Array<T, 2> weight_sums, Array<T, 2> bias_sums) {
  constexpr const char* name = "normalize_rows_backward";
  const std::size_t rows = input.shape(0), columns = input.shape(1);
  const std::size_t parts = weight_sums.shape(0);
  expect(grad.size() == input.size(), name, "grad does not fit the input");
  expect(!grad_input.is_valid() || grad_input.size() == input.size(), name,
         "grad_input does not fit the input");
  expect(weight_sums.shape(1) == columns && bias_sums.shape(1) == columns && parts != 0 &&
             bias_sums.shape(0) == parts,
         name, "sums do not fit the input");
  const T* w = data_or_null(weight, columns, name);
  const T* mean = data_or_null(average, rows, name);
  const T* factor = data_or_null(scale, rows, name);
  const std::size_t part = (rows + parts - 1) / parts;
  for_parts(parts, part * columns, [&](std::size_t first, std::size_t last) {
    for (std::size_t p = first; p < last; ++p) {
      const std::size_t begin = std::min(p * part, rows), end = std::min(begin + part, rows);
      const std::size_t at = begin * columns;
      T* dx = grad_input.is_valid() ? grad_input.data() + at : nullptr;
      T* dw = weight_sums.data() + p * columns;
      T* db = bias_sums.data() + p * columns;
      std::fill_n(dw, columns, T(0));
      std::fill_n(db, columns, T(0));
      DTORCH_DISPATCH(normalize_rows_backward)
      (grad.data() + at, input.data() + at, w, mean + begin, factor + begin, dx, dw, db,
       end - begin, columns);
    }
  });
}

template <class T>
void def_normalization(nb::module_& m) {
  m.def("sum_channels", sum_channels_of<T>, "input"_a.noconvert(), "out"_a.noconvert());
  m.def("normalize_channels", normalize_channels_of<T>, "input"_a.noconvert(),
        "weight"_a.noconvert().none(), "bias"_a.noconvert().none(), "eps"_a, "out"_a.noconvert(),
        "average"_a.noconvert(), "variance"_a.noconvert(), "scale"_a.noconvert());
  m.def("normalize_channels_backward", normalize_channels_backward_of<T>, "grad"_a.noconvert(),
        "input"_a.noconvert(), "weight"_a.noconvert().none(), "average"_a.noconvert(),
        "scale"_a.noconvert(), "grad_input"_a.noconvert().none(),
        "grad_weight"_a.noconvert().none(), "grad_bias"_a.noconvert().none());
  m.def("finish_planes", finish_planes_of<T>, "input"_a.noconvert(), "out"_a.noconvert(),
        DTORCH_EPILOGUE_ARGUMENTS);
  m.def("normalize_rows", normalize_rows_of<T>, "input"_a.noconvert(),
        "weight"_a.noconvert().none(), "bias"_a.noconvert().none(), "eps"_a, "out"_a.noconvert(),
        "average"_a.noconvert(), "variance"_a.noconvert(), "scale"_a.noconvert());
  m.def("normalize_rows_backward", normalize_rows_backward_of<T>, "grad"_a.noconvert(),
        "input"_a.noconvert(), "weight"_a.noconvert().none(), "average"_a.noconvert(),
        "scale"_a.noconvert(), "grad_input"_a.noconvert().none(), "weight_sums"_a.noconvert(),
        "bias_sums"_a.noconvert());
}

// ---------------------------------------------------------------------------------- pooling

Pooling pooling_shape(const char* name, std::size_t height, std::size_t width, Pair kernel,
                      Pair stride, Pair padding, Pair dilation, std::size_t out_height,
                      std::size_t out_width) {
  expect(out_height != 0 && out_width != 0 && height != 0 && width != 0, name, "an array is empty");
  return {height,     width,      kernel[0],   kernel[1],   stride[0],  stride[1],
          padding[0], padding[1], dilation[0], dilation[1], out_height, out_width};
}

template <class T>
void max_pool_of(Array<const T, 3> input, Pair kernel, Pair stride, Pair padding, Pair dilation,
                 Array<T, 3> out, Array<std::int64_t, 3> index) {
  const Pooling s = pooling_shape("max_pool", input.shape(1), input.shape(2), kernel, stride,
                                  padding, dilation, out.shape(1), out.shape(2));
  const std::size_t planes = input.shape(0), size = s.height * s.width;
  const std::size_t pixels = s.out_height * s.out_width;
  expect(out.shape(0) == planes && (!index.is_valid() || index.size() == out.size()), "max_pool",
         "results do not fit the input");
  const std::size_t elements = DTORCH_DISPATCH(pooling_workspace<T>)(s);
  for_parts(planes, size, [&](std::size_t first, std::size_t last) {
    const Workspace<T> workspace(elements);
    DTORCH_DISPATCH(max_pool)
    (s, input.data() + first * size, out.data() + first * pixels,
     index.is_valid() ? index.data() + first * pixels : nullptr, last - first, workspace.get());
  });
}

template <class T>
void sum_pool_of(Array<const T, 3> input, Pair kernel, Pair stride, Pair padding, T factor,
                 Array<T, 3> out) {
  const Pooling s = pooling_shape("sum_pool", input.shape(1), input.shape(2), kernel, stride,
                                  padding, {1, 1}, out.shape(1), out.shape(2));
  const std::size_t planes = input.shape(0), size = s.height * s.width;
  const std::size_t pixels = s.out_height * s.out_width;
  expect(out.shape(0) == planes, "sum_pool", "out does not fit the input");
  const std::size_t elements = DTORCH_DISPATCH(pooling_workspace<T>)(s);
  for_parts(planes, size, [&](std::size_t first, std::size_t last) {
    const Workspace<T> workspace(elements);
    DTORCH_DISPATCH(sum_pool)
    (s, input.data() + first * size, factor, out.data() + first * pixels, last - first,
     workspace.get());
  });
}

template <class T>
void spread_windows_of(Array<const T, 3> delta, Pair kernel, Pair stride, Pair padding, T factor,
                       Array<T, 3> out) {
  const Pooling s = pooling_shape("spread_windows", out.shape(1), out.shape(2), kernel, stride,
                                  padding, {1, 1}, delta.shape(1), delta.shape(2));
  const std::size_t planes = out.shape(0), size = s.height * s.width;
  const std::size_t pixels = s.out_height * s.out_width;
  expect(delta.shape(0) == planes, "spread_windows", "out does not fit the gradient");
  for_parts(planes, size, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(spread_windows)
    (s, delta.data() + first * pixels, factor, out.data() + first * size, last - first);
  });
}

template <class T>
void add_at_places_of(Array<const T, 2> delta, Array<const std::int64_t, 2> index,
                      Array<T, 2> out) {
  const std::size_t planes = delta.shape(0), count = delta.shape(1), size = out.shape(1);
  expect(index.shape(0) == planes && index.shape(1) == count && out.shape(0) == planes,
         "add_at_places", "the arrays do not fit each other");
  std::atomic<bool> inside = true;
  for_parts(planes, size, [&](std::size_t first, std::size_t last) {
    if (!DTORCH_DISPATCH(add_at_places)(delta.data() + first * count, index.data() + first * count,
                                        out.data() + first * size, last - first, count, size)) {
      inside = false;
    }
  });
  if (!inside) throw nb::index_error("add_at_places: an index is outside its plane");
}

template <class T>
void def_pooling(nb::module_& m) {
  m.def("max_pool", max_pool_of<T>, "input"_a.noconvert(), "kernel"_a, "stride"_a, "padding"_a,
        "dilation"_a, "out"_a.noconvert(), "index"_a.noconvert().none());
  m.def("sum_pool", sum_pool_of<T>, "input"_a.noconvert(), "kernel"_a, "stride"_a, "padding"_a,
        "factor"_a, "out"_a.noconvert());
  m.def("spread_windows", spread_windows_of<T>, "delta"_a.noconvert(), "kernel"_a, "stride"_a,
        "padding"_a, "factor"_a, "out"_a.noconvert());
  m.def("add_at_places", add_at_places_of<T>, "delta"_a.noconvert(), "index"_a.noconvert(),
        "out"_a.noconvert());
}

template <class T>
using Elements = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// ------------------------------------------------------------------------- single precision

void gelu_of(Elements<const float> input, Elements<float> out) {
  expect(out.size() == input.size(), "gelu", "out does not fit the input");
  for_parts(input.size(), 1, [&](std::size_t begin, std::size_t end) {
    DTORCH_DISPATCH(gelu)(input.data() + begin, out.data() + begin, end - begin);
  });
}

void gelu_backward_of(Elements<const float> grad, Elements<const float> input,
                      Elements<float> grad_input) {
  expect(grad.size() == input.size() && grad_input.size() == input.size(), "gelu_backward",
         "the arrays differ in size");
  for_parts(input.size(), 1, [&](std::size_t begin, std::size_t end) {
    DTORCH_DISPATCH(gelu_backward)
    (grad.data() + begin, input.data() + begin, grad_input.data() + begin, end - begin);
  });
}

using Floats = Array<float, 2>;
using ConstFloats = Array<const float, 2>;
using Steps = Array<const std::int64_t, 1>;

Lstm lstm_shape(const char* name, const Steps& starts, const Steps& sizes,
                const ConstFloats& weight, const Floats& state, std::size_t total) {
  const Lstm s = {starts.data(),  sizes.data(),    sizes.shape(0),
                  state.shape(0), weight.shape(1), static_cast<std::size_t>(get_num_threads())};
  expect(weight.shape(0) == 4 * s.width && state.shape(1) == s.width && s.sequences != 0 &&
             s.width != 0,
         name, "weight and state do not fit each other");
  expect(starts.shape(0) == s.steps, name, "starts and sizes differ in number");
  for (std::size_t t = 0; t < s.steps; ++t) {
    // Of negative numbers come sizes that are too large.
    const auto size = static_cast<std::size_t>(s.sizes[t]);
    const auto start = static_cast<std::size_t>(s.starts[t]);
    expect(size <= s.sequences && size <= total && start <= total - size, name,
           "a step is outside the arrays");
  }
  return s;
}

void expect_rows(const char* name, std::size_t total, std::size_t width,
                 std::initializer_list<std::array<std::size_t, 2>> shapes) {
  for (const auto& shape : shapes) {
    expect(shape[0] == total && shape[1] == width, name, "an array over the steps does not fit");
  }
}

template <class A>
std::array<std::size_t, 2> sizes_of(const A& array) {
  return {array.shape(0), array.shape(1)};
}

void lstm_forward_of(Floats gates, ConstFloats weight, Steps starts, Steps sizes, Floats hidden,
                     Floats cell, Floats out, Floats squashed, Floats hiddens, Floats cells) {
  constexpr const char* name = "lstm_forward";
  const std::size_t total = gates.shape(0);
  const Lstm s = lstm_shape(name, starts, sizes, weight, hidden, total);
  expect_rows(name, total, s.width,
              {sizes_of(out), sizes_of(squashed), sizes_of(hiddens), sizes_of(cells)});
  expect(gates.shape(1) == 4 * s.width && sizes_of(cell) == sizes_of(hidden), name,
         "gates or cell do not fit");
  const Workspace<float> workspace(DTORCH_DISPATCH(lstm_workspace)(s));
  const nb::gil_scoped_release released;
  DTORCH_DISPATCH(lstm_forward)
  (s, gates.data(), weight.data(), hidden.data(), cell.data(), out.data(), squashed.data(),
   hiddens.data(), cells.data(), workspace.get());
}

void lstm_backward_of(ConstFloats grad_out, ConstFloats gates, ConstFloats squashed,
                      ConstFloats cells, ConstFloats weight, Steps starts, Steps sizes,
                      Floats grad_hidden, Floats grad_cell, Floats delta) {
  constexpr const char* name = "lstm_backward";
  const std::size_t total = gates.shape(0);
  const Lstm s = lstm_shape(name, starts, sizes, weight, grad_hidden, total);
  expect_rows(name, total, s.width, {sizes_of(grad_out), sizes_of(squashed), sizes_of(cells)});
  expect(gates.shape(1) == 4 * s.width && sizes_of(delta) == sizes_of(gates) &&
             sizes_of(grad_cell) == sizes_of(grad_hidden),
         name, "gates or cell do not fit");
  const Workspace<float> workspace(DTORCH_DISPATCH(lstm_workspace)(s));
  const nb::gil_scoped_release released;
  DTORCH_DISPATCH(lstm_backward)
  (s, grad_out.data(), gates.data(), squashed.data(), cells.data(), weight.data(),
   grad_hidden.data(), grad_cell.data(), delta.data(), workspace.get());
}

// ------------------------------------------------------------------------------- activations

template <class T>
void activate_of(Activation f, Elements<const T> input, Elements<T> out, double a, double b,
                 double c) {
  expect(out.size() == input.size(), "activate", "out does not fit the input");
  for_parts(input.size(), 1, [&](std::size_t begin, std::size_t end) {
    DTORCH_DISPATCH(activate)
    (f, ActivationParameters{a, b, c}, input.data() + begin, out.data() + begin, end - begin);
  });
}

template <class T>
void activate_backward_of(Activation f, Elements<const T> grad, Elements<const T> known,
                          Elements<T> grad_input, double a, double b, double c) {
  expect(grad.size() == known.size() && grad_input.size() == known.size(), "activate_backward",
         "the arrays differ in size");
  for_parts(known.size(), 1, [&](std::size_t begin, std::size_t end) {
    DTORCH_DISPATCH(activate_backward)
    (f, ActivationParameters{a, b, c}, grad.data() + begin, known.data() + begin,
     grad_input.data() + begin, end - begin);
  });
}

template <class T>
void def_activation(nb::module_& m) {
  m.def("activate", activate_of<T>, "f"_a, "input"_a.noconvert(), "out"_a.noconvert(), "a"_a = 0.0,
        "b"_a = 0.0, "c"_a = 0.0);
  m.def("activate_backward", activate_backward_of<T>, "f"_a, "grad"_a.noconvert(),
        "known"_a.noconvert(), "grad_input"_a.noconvert(), "a"_a = 0.0, "b"_a = 0.0, "c"_a = 0.0);
}

void def_activation_names(nb::module_& m) {
  nb::enum_<Activation>(m, "Activation")
      .value("celu", Activation::celu)
      .value("hardsigmoid", Activation::hardsigmoid)
      .value("hardswish", Activation::hardswish)
      .value("hardtanh", Activation::hardtanh)
      .value("leaky_relu", Activation::leaky_relu)
      .value("logsigmoid", Activation::logsigmoid)
      .value("mish", Activation::mish)
      .value("sigmoid", Activation::sigmoid)
      .value("silu", Activation::silu)
      .value("softplus", Activation::softplus)
      .value("tanh", Activation::tanh);
}

void def_single_precision(nb::module_& m) {
  m.def("gelu", gelu_of, "input"_a.noconvert(), "out"_a.noconvert());
  m.def("gelu_backward", gelu_backward_of, "grad"_a.noconvert(), "input"_a.noconvert(),
        "grad_input"_a.noconvert());
  m.def("lstm_forward", lstm_forward_of, "gates"_a.noconvert(), "weight"_a.noconvert(),
        "starts"_a.noconvert(), "sizes"_a.noconvert(), "hidden"_a.noconvert(), "cell"_a.noconvert(),
        "out"_a.noconvert(), "squashed"_a.noconvert(), "hiddens"_a.noconvert(),
        "cells"_a.noconvert());
  m.def("lstm_backward", lstm_backward_of, "grad_out"_a.noconvert(), "gates"_a.noconvert(),
        "squashed"_a.noconvert(), "cells"_a.noconvert(), "weight"_a.noconvert(),
        "starts"_a.noconvert(), "sizes"_a.noconvert(), "grad_hidden"_a.noconvert(),
        "grad_cell"_a.noconvert(), "delta"_a.noconvert());
}

template <class T>
void def_for(nb::module_& m) {
  def_activation<T>(m);
  def_convolution<T>(m);
  def_normalization<T>(m);
  def_pooling<T>(m);
}

}  // namespace

void bind_nn(nb::module_& m) {
  bind_attention(m);
  bind_matmul(m);
  bind_optim(m);
  bind_half(m);
  bind_slices(m);
  def_single_precision(m);
  def_activation_names(m);
  def_for<float>(m);
  def_for<double>(m);
  m.def("winograd_convolution", winograd_convolution, "input"_a.noconvert(), "weight"_a.noconvert(),
        "bias"_a.noconvert().none(), "stride"_a, "padding"_a, "transposed"_a, "out"_a.noconvert(),
        DTORCH_EPILOGUE_ARGUMENTS);
  m.def("winograd_weight", winograd_weight, "delta"_a.noconvert(), "input"_a.noconvert(),
        "padding"_a, "out"_a.noconvert());
}

}  // namespace dtorch
