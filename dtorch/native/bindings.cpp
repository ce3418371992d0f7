// Everything Python sees of the native module; the only file that knows Python types.
#include "numpy_api.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "allocator.h"
#include "bindings_nn.h"
#include "capability.h"
#include "copies.h"
#include "core.h"
#include "crc32.h"
#include "kernels/cross_entropy.h"
#include "kernels/softmax.h"
#include "shared_memory.h"
#include "system_limits.h"
#include "thread_pool.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// -------------------------------------------------------------------------- NumPy's allocator

// NEP 49. NumPy keeps a pointer to the handler in every array that it allocates with it.
PyDataMem_Handler numpy_handler = {
    "dtorch_cache",
    1,  // version of the structure
    {nullptr, [](void*, std::size_t nbytes) { return dtorch::allocator::allocate(nbytes); },
     [](void*, std::size_t count, std::size_t size) -> void* {
       std::size_t nbytes;
       if (__builtin_mul_overflow(count, size, &nbytes)) return nullptr;
       return dtorch::allocator::allocate_zeroed(nbytes);
     },
     [](void*, void* block, std::size_t nbytes) {
       return dtorch::allocator::resize(block, nbytes);
     },
     [](void*, void* block, std::size_t) { dtorch::allocator::release(block); }}};

// Immortal: arrays made with it may be freed when the interpreter is being torn down.
PyObject* handler_capsule() {
  static PyObject* capsule = [] {
    PyObject* made = PyCapsule_New(&numpy_handler, "mem_handler", nullptr);
    if (made == nullptr) throw nb::python_error();
    return made;
  }();
  return capsule;
}

void set_numpy_handler(PyObject* capsule) {
  PyObject* previous = PyDataMem_SetHandler(capsule);
  if (previous == nullptr) throw nb::python_error();
  Py_DECREF(previous);
}

void install_allocator() { set_numpy_handler(handler_capsule()); }

bool allocator_installed() {
  PyObject* ours = handler_capsule();
  PyObject* current = PyDataMem_GetHandler();
  if (current == nullptr) throw nb::python_error();
  Py_DECREF(current);
  return current == ours;
}

void uninstall_allocator() {
  if (allocator_installed()) set_numpy_handler(nullptr);
}

nb::dict allocator_stats() {
  const dtorch::allocator::Stats stats = dtorch::allocator::stats();
  nb::dict result;
  result["bytes_in_use"] = stats.bytes_in_use;
  result["bytes_cached"] = stats.bytes_cached;
  result["cache_limit"] = stats.cache_limit;
  result["peak_bytes"] = stats.peak_bytes;
  result["slab_bytes"] = stats.slab_bytes;
  result["hits"] = stats.hits;
  result["misses"] = stats.misses;
  result["returned"] = stats.returned;
  return result;
}

// ------------------------------------------------------------------------------------ kernels

template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Vector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Work for one thread: less is done sooner by one than handed to two.
constexpr std::size_t elements_per_range = 32 * 1024;
// Below this the kernel is done sooner than the interpreter's lock is released and taken again.
constexpr std::size_t elements_to_release_gil = 2 * 1024;

void expect_same(const char* kernel, const char* name, std::size_t got, std::size_t expected) {
  if (got == expected) return;
  const std::string message = std::string(kernel) + ": " + name + " has size " +
                              std::to_string(got) + ", expected " + std::to_string(expected);
  throw nb::value_error(message.c_str());
}

template <class T, class U>
void expect_same_shape(const char* kernel, const char* name, const Matrix<T>& got,
                       const Matrix<U>& expected) {
  expect_same(kernel, name, got.shape(0), expected.shape(0));
  expect_same(kernel, name, got.shape(1), expected.shape(1));
}

// function(first row, last row) on the pool, without the interpreter's lock.
template <class Function>
void for_rows(std::size_t rows, std::size_t columns, Function function) {
  std::optional<nb::gil_scoped_release> released;
  if (rows * columns >= elements_to_release_gil) released.emplace();
  dtorch::parallel_for(0, rows, elements_per_range / std::max<std::size_t>(columns, 1), function);
}

template <class T, class Kernel>
void def_rows_for(nb::module_& m, const char* name, Kernel kernel) {
  m.def(
      name,
      [name, kernel](Matrix<const T> input, Matrix<T> out) {
        expect_same_shape(name, "out", out, input);
        const std::size_t rows = input.shape(0), columns = input.shape(1);
        for_rows(rows, columns, [&](std::size_t begin, std::size_t end) {
          const std::size_t at = begin * columns;
          kernel(input.data() + at, out.data() + at, end - begin, columns);
        });
      },
      "input"_a.noconvert(), "out"_a.noconvert());
}

template <class T, class Kernel>
void def_rows_backward_for(nb::module_& m, const char* name, Kernel kernel) {
  m.def(
      name,
      [name, kernel](Matrix<const T> grad, Matrix<const T> out, Matrix<T> grad_input) {
        expect_same_shape(name, "out", out, grad);
        expect_same_shape(name, "grad_input", grad_input, grad);
        const std::size_t rows = grad.shape(0), columns = grad.shape(1);
        for_rows(rows, columns, [&](std::size_t begin, std::size_t end) {
          const std::size_t at = begin * columns;
          kernel(grad.data() + at, out.data() + at, grad_input.data() + at, end - begin, columns);
        });
      },
      "grad"_a.noconvert(), "out"_a.noconvert(), "grad_input"_a.noconvert());
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

template <class T>
const T* data_or_null(const Vector<const T>& weight, const char* kernel, std::size_t columns) {
  if (!weight.is_valid()) return nullptr;
  expect_same(kernel, "weight", weight.shape(0), columns);
  return weight.data();
}

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
void for_targets(const Vector<const std::int64_t>& target, std::size_t columns,
                 std::int64_t ignore_index, Function function) {
  const std::size_t rows = target.shape(0);
  std::atomic<std::size_t> refused = rows;
  for_rows(rows, columns, [&](std::size_t begin, std::size_t end) {
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
void cross_entropy_forward(Matrix<const T> logits, Vector<const std::int64_t> target,
                           Vector<const T> weight, std::int64_t ignore_index, Vector<T> losses,
                           Vector<T> row_max, Vector<T> row_log_sum) {
  constexpr const char* name = "cross_entropy_forward";
  const std::size_t rows = logits.shape(0), columns = logits.shape(1);
  expect_same(name, "target", target.shape(0), rows);
  expect_same(name, "losses", losses.shape(0), rows);
  expect_same(name, "row_max", row_max.shape(0), rows);
  expect_same(name, "row_log_sum", row_log_sum.shape(0), rows);
  const T* weights = data_or_null(weight, name, columns);
  for_targets(target, columns, ignore_index, [&](std::size_t begin, std::size_t count) {
    return DTORCH_DISPATCH(cross_entropy_forward)(
        logits.data() + begin * columns, target.data() + begin, weights, ignore_index,
        losses.data() + begin, row_max.data() + begin, row_log_sum.data() + begin, count, columns);
  });
}

template <class T>
void cross_entropy_backward(Vector<const T> grad, Matrix<const T> logits,
                            Vector<const std::int64_t> target, Vector<const T> weight,
                            std::int64_t ignore_index, Vector<const T> row_max,
                            Vector<const T> row_log_sum, Matrix<T> grad_logits) {
  constexpr const char* name = "cross_entropy_backward";
  const std::size_t rows = logits.shape(0), columns = logits.shape(1);
  expect_same(name, "grad", grad.shape(0), rows);
  expect_same(name, "target", target.shape(0), rows);
  expect_same(name, "row_max", row_max.shape(0), rows);
  expect_same(name, "row_log_sum", row_log_sum.shape(0), rows);
  expect_same_shape(name, "grad_logits", grad_logits, logits);
  const T* weights = data_or_null(weight, name, columns);
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
  m.def("cross_entropy_forward", cross_entropy_forward<T>, "logits"_a.noconvert(),
        "target"_a.noconvert(), "weight"_a.noconvert().none(), "ignore_index"_a,
        "losses"_a.noconvert(), "row_max"_a.noconvert(), "row_log_sum"_a.noconvert());
  m.def("cross_entropy_backward", cross_entropy_backward<T>, "grad"_a.noconvert(),
        "logits"_a.noconvert(), "target"_a.noconvert(), "weight"_a.noconvert().none(),
        "ignore_index"_a, "row_max"_a.noconvert(), "row_log_sum"_a.noconvert(),
        "grad_logits"_a.noconvert());
}

// -------------------------------------------------------------------------------------- checksums

// Below this the checksum is done sooner than the interpreter's lock is released and taken again.
constexpr std::size_t bytes_to_release_gil = 64 * 1024;

std::uint32_t crc32(nb::handle data, std::uint32_t value) {
  Py_buffer buffer;
  if (PyObject_GetBuffer(data.ptr(), &buffer, PyBUF_SIMPLE) != 0) throw nb::python_error();
  const auto* bytes = static_cast<const unsigned char*>(buffer.buf);
  const auto nbytes = static_cast<std::size_t>(buffer.len);
  {
    std::optional<nb::gil_scoped_release> released;
    if (nbytes >= bytes_to_release_gil) released.emplace();
    value = dtorch::crc32(value, bytes, nbytes);
  }
  PyBuffer_Release(&buffer);
  return value;
}

}  // namespace

NB_MODULE(_native, m) {
  if (!dtorch::core::add_tensor(m.ptr()) || !dtorch::core::add_op_function(m.ptr()) ||
      !dtorch::core::add_recorder(m.ptr()) || !dtorch::core::add_views(m.ptr()) ||
      !dtorch::core::add_engine(m.ptr()) || !dtorch::core::add_interrupts(m.ptr())) {
    throw nb::python_error();
  }

  m.def("cpu_capability", [] { return dtorch::name(dtorch::capability()); });
  m.def("cpu_capabilities", [] {
    nb::list names;
    for (dtorch::Capability each : dtorch::capabilities()) names.append(dtorch::name(each));
    return names;
  });
  m.def("has_bfloat16_products", dtorch::has_bfloat16_products);

  m.def("get_num_threads", dtorch::get_num_threads);
  m.def("set_num_threads", dtorch::set_num_threads, "count"_a);

  m.def("install_allocator", install_allocator);
  m.def("uninstall_allocator", uninstall_allocator);
  m.def("allocator_installed", allocator_installed);
  m.def("allocator_stats", allocator_stats);
  m.def("largest_allocation", dtorch::largest_allocation);
  m.def("empty_cache", dtorch::allocator::empty_cache);
  m.def("set_cache_limit", dtorch::allocator::set_cache_limit, "nbytes"_a);

  def_rows(m, "softmax", DTORCH_DISPATCH(softmax));
  def_rows(m, "log_softmax", DTORCH_DISPATCH(log_softmax));
  def_rows_backward(m, "softmax_backward", DTORCH_DISPATCH(softmax_backward));
  def_rows_backward(m, "log_softmax_backward", DTORCH_DISPATCH(log_softmax_backward));
  def_cross_entropy<float>(m);
  def_cross_entropy<double>(m);
  dtorch::bind_nn(m);
  m.def(
      "copy_array",
      [](nb::handle from, nb::handle to) {
        return PyArray_CheckExact(from.ptr()) && PyArray_CheckExact(to.ptr()) &&
               dtorch::copy_array(dtorch::core::as_array(from.ptr()),
                                  dtorch::core::as_array(to.ptr()));
      },
      "from"_a, "to"_a);

  // Absent where zlib's is the faster one.
  if (dtorch::has_fast_crc32()) m.def("crc32", crc32, "data"_a, "value"_a = 0);

  dtorch::bind_shared_memory(m);
}
