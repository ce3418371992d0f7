// Recurrent layers as Python sees them, in single precision.
#include "binding_support.h"
#include "bindings.h"

#include <cstdint>
#include <initializer_list>

#include "kernels/recurrent.h"

namespace dtorch {
namespace {

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

}  // namespace

void bind_recurrent(nb::module_& m) {
  m.def("lstm_forward", lstm_forward_of, "gates"_array, "weight"_array, "starts"_array,
        "sizes"_array, "hidden"_array, "cell"_array, "out"_array, "squashed"_array, "hiddens"_array,
        "cells"_array);
  m.def("lstm_backward", lstm_backward_of, "grad_out"_array, "gates"_array, "squashed"_array,
        "cells"_array, "weight"_array, "starts"_array, "sizes"_array, "grad_hidden"_array,
        "grad_cell"_array, "delta"_array);
}

}  // namespace dtorch
