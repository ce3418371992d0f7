// Softmax of rows as Python sees it.
#include "binding_support.h"
#include "bindings.h"

#include "kernels/softmax.h"

namespace dtorch {
namespace {

template <class T, class U>
bool same_shape(const Array<T, 2>& a, const Array<U, 2>& b) {
  return a.shape(0) == b.shape(0) && a.shape(1) == b.shape(1);
}

template <class T, class Kernel>
void def_rows_for(nb::module_& m, const char* name, Kernel kernel) {
  m.def(
      name,
      [name, kernel](Array<const T, 2> input, Array<T, 2> out) {
        expect(same_shape(out, input), name, "out does not fit the input");
        const std::size_t rows = input.shape(0), columns = input.shape(1);
        for_parts(rows, columns, [&](std::size_t begin, std::size_t end) {
          const std::size_t at = begin * columns;
          kernel(input.data() + at, out.data() + at, end - begin, columns);
        });
      },
      "input"_array, "out"_array);
}

template <class T, class Kernel>
void def_rows_backward_for(nb::module_& m, const char* name, Kernel kernel) {
  m.def(
      name,
      [name, kernel](Array<const T, 2> grad, Array<const T, 2> out, Array<T, 2> grad_input) {
        expect(same_shape(out, grad) && same_shape(grad_input, grad), name,
               "the arrays differ in shape");
        const std::size_t rows = grad.shape(0), columns = grad.shape(1);
        for_parts(rows, columns, [&](std::size_t begin, std::size_t end) {
          const std::size_t at = begin * columns;
          kernel(grad.data() + at, out.data() + at, grad_input.data() + at, end - begin, columns);
        });
      },
      "grad"_array, "out"_array, "grad_input"_array);
}

template <class Kernel>
void def_rows(nb::module_& m, const char* name, Kernel kernel) {
  def_rows_for<float>(m, name, kernel);
  def_rows_for<double>(m, name, kernel);
}

template <class Kernel>
void def_rows_backward(nb::module_& m, const char* name, Kernel kernel) {
  def_rows_backward_for<float>(m, name, kernel);
  def_rows_backward_for<double>(m, name, kernel);
}

}  // namespace

void bind_softmax(nb::module_& m) {
  def_rows(m, "softmax", DTORCH_DISPATCH(softmax));
  def_rows(m, "log_softmax", DTORCH_DISPATCH(log_softmax));
  def_rows_backward(m, "softmax_backward", DTORCH_DISPATCH(softmax_backward));
  def_rows_backward(m, "log_softmax_backward", DTORCH_DISPATCH(log_softmax_backward));
}

}  // namespace dtorch
