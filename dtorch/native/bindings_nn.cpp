#include "bindings_nn.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>

#include <array>
#include <cstdint>
#include <new>
#include <string>

#include "allocator.h"
#include "kernels/convolution.h"
#include "kernels/depthwise.h"
#include "kernels/winograd.h"
#include "thread_pool.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace dtorch {
namespace {

template <class T, int N>
using Array = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

void expect(bool holds, const char* kernel, const char* what) {
  if (!holds) throw nb::value_error((std::string(kernel) + ": " + what).c_str());
}

// Memory of the caching allocator for the length of a call.
template <class T>
class Workspace {
 public:
  explicit Workspace(std::size_t elements)
      : memory_(static_cast<T*>(allocator::allocate(elements * sizeof(T)))) {
    if (memory_ == nullptr) throw std::bad_alloc();
  }
  ~Workspace() { allocator::release(memory_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  T* get() const { return memory_; }

 private:
  T* memory_;
};

// ---------------------------------------------------------------------------------- winograd

using Pair = std::array<std::size_t, 2>;

Winograd winograd_shape(const char* name, const Array<const float, 4>& input, std::size_t filters,
                        Pair padding, std::size_t out_height, std::size_t out_width) {
  const Winograd shape = {
      input.shape(0), input.shape(1), input.shape(2), input.shape(3),
      filters,        padding[0],     padding[1],     static_cast<std::size_t>(get_num_threads())};
  expect(shape.height + 2 * padding[0] == out_height + 2 &&
             shape.width + 2 * padding[1] == out_width + 2,
         name, "the sides of input and result do not fit");
  expect(shape.images * shape.channels * shape.filters * out_height * out_width != 0, name,
         "an array is empty");
  return shape;
}

void winograd_convolution(Array<const float, 4> input, Array<const float, 4> weight,
                          Array<const float, 1> bias, Pair padding, bool transposed,
                          Array<float, 4> out) {
  constexpr const char* name = "winograd_convolution";
  const Winograd shape =
      winograd_shape(name, input, out.shape(1), padding, out.shape(2), out.shape(3));
  expect(weight.shape(transposed ? 1 : 0) == shape.filters &&
             weight.shape(transposed ? 0 : 1) == shape.channels && weight.shape(2) == 3 &&
             weight.shape(3) == 3,
         name, "weight does not fit");
  expect(out.shape(0) == shape.images, name, "out does not fit");
  expect(!bias.is_valid() || bias.shape(0) == shape.filters, name, "bias does not fit");
  const float* shift = bias.is_valid() ? bias.data() : nullptr;
  const Workspace<float> workspace(DTORCH_DISPATCH(winograd_workspace)(shape));
  const nb::gil_scoped_release released;
  DTORCH_DISPATCH(winograd_convolution)
  (shape, input.data(), weight.data(), shift, transposed, out.data(), workspace.get());
}

void winograd_weight(Array<const float, 4> delta, Array<const float, 4> input, Pair padding,
                     Array<float, 4> out) {
  constexpr const char* name = "winograd_weight";
  const Winograd shape =
      winograd_shape(name, input, out.shape(0), padding, delta.shape(2), delta.shape(3));
  expect(out.shape(1) == shape.channels && out.shape(2) == 3 && out.shape(3) == 3, name,
         "out does not fit");
  expect(delta.shape(0) == shape.images && delta.shape(1) == shape.filters, name,
         "delta does not fit");
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
                              const Array<V, 4>& weight, bool turned, Pair stride, Sides padding,
                              Pair dilation, std::size_t groups) {
  const Convolution s = {
      input.shape(0),  input.shape(1),  input.shape(2),
      input.shape(3),  result.shape(1), weight.shape(2),
      weight.shape(3), stride[0],       stride[1],
      dilation[0],     dilation[1],     groups,
      result.shape(2), result.shape(3), static_cast<std::size_t>(get_num_threads()),
      padding[0],      padding[1]};
  expect(groups >= 1 && s.channels % groups == 0 && s.filters % groups == 0, name,
         "groups do not divide the channels");
  expect(weight.shape(0) == (turned ? s.channels : s.filters) &&
             weight.shape(1) == (turned ? s.filters : s.channels) / groups,
         name, "weight does not fit");
  expect(result.shape(0) == s.images, name, "the numbers of images differ");
  expect(input.size() * result.size() * weight.size() != 0, name, "an array is empty");
  return s;
}

template <class T>
void convolution_of(Array<const T, 4> input, Array<const T, 4> weight, Array<const T, 1> bias,
                    Pair stride, Sides padding, Pair dilation, std::size_t groups, bool turned,
                    Array<T, 4> out) {
  constexpr const char* name = "convolution";
  const Convolution s =
      convolution_shape(name, input, out, weight, turned, stride, padding, dilation, groups);
  expect(!bias.is_valid() || bias.shape(0) == s.filters, name, "bias does not fit");
  const T* shift = bias.is_valid() ? bias.data() : nullptr;
  const bool direct = s.channels == groups && (!turned || s.filters == groups);
  const Workspace<T> workspace(direct ? DTORCH_DISPATCH(depthwise_workspace<T>)(s)
                                      : DTORCH_DISPATCH(convolution_workspace<T>)(s));
  const nb::gil_scoped_release released;
  if (direct) {
    DTORCH_DISPATCH(depthwise_convolution)
    (s, input.data(), weight.data(), shift, turned, out.data(), workspace.get());
  } else {
    DTORCH_DISPATCH(convolution)
    (s, input.data(), weight.data(), shift, turned, out.data(), workspace.get());
  }
}

template <class T>
void convolution_input_of(Array<const T, 4> delta, Array<const T, 4> weight, Pair stride,
                          Sides padding, Pair dilation, std::size_t groups, Array<T, 4> out) {
  const Convolution s = convolution_shape("convolution_input", out, delta, weight, false, stride,
                                          padding, dilation, groups);
  const Workspace<T> workspace(DTORCH_DISPATCH(convolution_input_workspace<T>)(s));
  const nb::gil_scoped_release released;
  DTORCH_DISPATCH(convolution_input)
  (s, delta.data(), weight.data(), out.data(), workspace.get());
}

template <class T>
void convolution_weight_of(Array<const T, 4> delta, Array<const T, 4> input, Pair stride,
                           Sides padding, Pair dilation, std::size_t groups, Array<T, 4> out) {
  const Convolution s = convolution_shape("convolution_weight", input, delta, out, false, stride,
                                          padding, dilation, groups);
  const bool direct = s.channels == groups;
  const Workspace<T> workspace(direct ? DTORCH_DISPATCH(depthwise_workspace<T>)(s)
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
        "bias"_a.noconvert().none(), "stride"_a, "padding"_a, "dilation"_a, "groups"_a, "turned"_a,
        "out"_a.noconvert());
  m.def("convolution_input", convolution_input_of<T>, "delta"_a.noconvert(), "weight"_a.noconvert(),
        "stride"_a, "padding"_a, "dilation"_a, "groups"_a, "out"_a.noconvert());
  m.def("convolution_weight", convolution_weight_of<T>, "delta"_a.noconvert(),
        "input"_a.noconvert(), "stride"_a, "padding"_a, "dilation"_a, "groups"_a,
        "out"_a.noconvert());
}

}  // namespace

void bind_nn(nb::module_& m) {
  def_convolution<float>(m);
  def_convolution<double>(m);
  m.def("winograd_convolution", winograd_convolution, "input"_a.noconvert(), "weight"_a.noconvert(),
        "bias"_a.noconvert().none(), "padding"_a, "transposed"_a, "out"_a.noconvert());
  m.def("winograd_weight", winograd_weight, "delta"_a.noconvert(), "input"_a.noconvert(),
        "padding"_a, "out"_a.noconvert());
}

}  // namespace dtorch
