// The native module: what Python sees of threads and memory, and all families of kernels.
#include "numpy_api.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <cstdint>
#include <optional>

#include "allocator.h"
#include "bindings.h"
#include "capability.h"
#include "copies.h"
#include "core.h"
#include "crc32.h"
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
      !dtorch::core::add_recorder(m.ptr()) || !dtorch::core::add_entry(m.ptr()) ||
      !dtorch::core::add_loops(m.ptr()) || !dtorch::core::add_op_node(m.ptr()) ||
      !dtorch::core::add_accumulation(m.ptr()) || !dtorch::core::add_engine(m.ptr()) ||
      !dtorch::core::add_interrupts(m.ptr())) {
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

  dtorch::bind_activation(m);
  dtorch::bind_attention(m);
  dtorch::bind_convolution(m);
  dtorch::bind_cross_entropy(m);
  dtorch::bind_half(m);
  dtorch::bind_matmul(m);
  dtorch::bind_normalization(m);
  dtorch::bind_optimizer(m);
  dtorch::bind_pooling(m);
  dtorch::bind_recurrent(m);
  dtorch::bind_slices(m);
  dtorch::bind_softmax(m);
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
