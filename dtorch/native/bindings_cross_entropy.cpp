// Cross entropy as Python sees it.
#include "binding_support.h"
#include "bindings.h"

#include <atomic>
#include <cstdint>
#include <string>

#include "kernels/cross_entropy.h"

namespace dtorch {
namespace {

[[noreturn]] void refuse_target(std::size_t row, std::int64_t value, std::size_t columns,
                                std::int64_t ignore_index) {
  const std::string message = "cross_entropy: target[" + std::to_string(row) + "] is " +
                              std::to_string(value) + ", expected 0 <= target < " +
                              std::to_string(columns) + " or ignore_index (" +
                              std::to_string(ignore_index) + ")";
  throw nb::index_error(message.c_str());
}

// function(first row, rows) on the pool, which gives the rows done; fewer where a target is none of
// the columns.
template <class Function>
void for_targets(const Array<const std::int64_t, 1>& target, std::size_t columns,
                 std::int64_t ignore_index, Function function) {
  const std::size_t rows = target.shape(0);
  std::atomic<std::size_t> refused = rows;
  for_parts(rows, columns, [&](std::size_t begin, std::size_t end) {
    const std::size_t stopped = function(begin, end - begin);
    if (stopped == end - begin) return;
    std::size_t first = refused;
    while (begin + stopped < first && !refused.compare_exchange_weak(first, begin + stopped)) {
    }
  });
  const std::size_t row = refused;
  if (row != rows) refuse_target(row, target.data()[row], columns, ignore_index);
}

template <class T>
void cross_entropy_forward(Array<const T, 2> logits, Array<const std::int64_t, 1> target,
                           Array<const T, 1> weight, std::int64_t ignore_index, Array<T, 1> losses,
                           Array<T, 1> row_max, Array<T, 1> row_log_sum) {
  constexpr const char* name = "cross_entropy_forward";
  const std::size_t rows = logits.shape(0), columns = logits.shape(1);
  expect(target.shape(0) == rows && losses.shape(0) == rows && row_max.shape(0) == rows &&
             row_log_sum.shape(0) == rows,
         name, "an array does not fit the rows");
  const T* weights = data_or_null(weight, columns, name);
  for_targets(target, columns, ignore_index, [&](std::size_t begin, std::size_t count) {
    return DTORCH_DISPATCH(cross_entropy_forward)(
        logits.data() + begin * columns, target.data() + begin, weights, ignore_index,
        losses.data() + begin, row_max.data() + begin, row_log_sum.data() + begin, count, columns);
  });
}

template <class T>
void cross_entropy_backward(Array<const T, 1> grad, Array<const T, 2> logits,
                            Array<const std::int64_t, 1> target, Array<const T, 1> weight,
                            std::int64_t ignore_index, Array<const T, 1> row_max,
                            Array<const T, 1> row_log_sum, Array<T, 2> grad_logits) {
  constexpr const char* name = "cross_entropy_backward";
  const std::size_t rows = logits.shape(0), columns = logits.shape(1);
  expect(grad.shape(0) == rows && target.shape(0) == rows && row_max.shape(0) == rows &&
             row_log_sum.shape(0) == rows,
         name, "an array does not fit the rows");
  expect(grad_logits.shape(0) == rows && grad_logits.shape(1) == columns, name,
         "grad_logits does not fit the input");
  const T* weights = data_or_null(weight, columns, name);
  for_targets(target, columns, ignore_index, [&](std::size_t begin, std::size_t count) {
    const std::size_t at = begin * columns;
    return DTORCH_DISPATCH(cross_entropy_backward)(
        grad.data() + begin, logits.data() + at, target.data() + begin, weights, ignore_index,
        row_max.data() + begin, row_log_sum.data() + begin, grad_logits.data() + at, count,
        columns);
  });
}

template <class T>
void def_cross_entropy(nb::module_& m) {
  m.def("cross_entropy_forward", cross_entropy_forward<T>, "logits"_array, "target"_array,
        "weight"_optional, "ignore_index"_a, "losses"_array, "row_max"_array, "row_log_sum"_array);
  m.def("cross_entropy_backward", cross_entropy_backward<T>, "grad"_array, "logits"_array,
        "target"_array, "weight"_optional, "ignore_index"_a, "row_max"_array, "row_log_sum"_array,
        "grad_logits"_array);
}

}  // namespace

void bind_cross_entropy(nb::module_& m) {
  def_cross_entropy<float>(m);
  def_cross_entropy<double>(m);
}

}  // namespace dtorch
