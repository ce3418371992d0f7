// Activations as Python sees them.
#include "binding_support.h"
#include "bindings.h"

#include "kernels/activation.h"
#include "kernels/gelu.h"

namespace dtorch {
namespace {

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
  m.def("activate", activate_of<T>, "f"_a, "input"_array, "out"_array, "a"_a = 0.0, "b"_a = 0.0,
        "c"_a = 0.0);
  m.def("activate_backward", activate_backward_of<T>, "f"_a, "grad"_array, "known"_array,
        "grad_input"_array, "a"_a = 0.0, "b"_a = 0.0, "c"_a = 0.0);
}

// In single precision alone.
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

}  // namespace

void bind_activation(nb::module_& m) {
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
  def_activation<float>(m);
  def_activation<double>(m);
  m.def("gelu", gelu_of, "input"_array, "out"_array);
  m.def("gelu_backward", gelu_backward_of, "grad"_array, "input"_array, "grad_input"_array);
}

}  // namespace dtorch
