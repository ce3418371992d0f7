// Convolutions as Python sees them: Winograd's, direct ones of few filters a channel, all others.
#include "binding_support.h"
#include "bindings.h"

#include <cstdint>

#include "kernels/convolution.h"
#include "kernels/depthwise.h"
#include "kernels/winograd.h"

namespace dtorch {
namespace {

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
  m.def("convolution", convolution_of<T>, "input"_array, "weight"_array, "bias"_optional,
        "stride"_a, "padding"_a, "dilation"_a, "groups"_a, "out"_array, DTORCH_EPILOGUE_ARGUMENTS);
  m.def("convolution_input", convolution_input_of<T>, "delta"_array, "weight"_array, "stride"_a,
        "padding"_a, "dilation"_a, "groups"_a, "out"_array);
  m.def("convolution_weight", convolution_weight_of<T>, "delta"_array, "input"_array, "stride"_a,
        "padding"_a, "dilation"_a, "groups"_a, "out"_array);
}

}  // namespace

void bind_convolution(nb::module_& m) {
  def_convolution<float>(m);
  def_convolution<double>(m);
  m.def("winograd_convolution", winograd_convolution, "input"_array, "weight"_array,
        "bias"_optional, "stride"_a, "padding"_a, "transposed"_a, "out"_array,
        DTORCH_EPILOGUE_ARGUMENTS);
  m.def("winograd_weight", winograd_weight, "delta"_array, "input"_array, "padding"_a, "out"_array);
}

}  // namespace dtorch
