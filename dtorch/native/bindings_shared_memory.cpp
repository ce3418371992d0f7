// What Python sees of shared_memory.h, and the NEP 49 handler that calls Python for its memory.
#include "numpy_api.h"

#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "allocator.h"
#include "bindings.h"
#include "shared_memory.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// ------------------------------------------------------- NumPy arrays in blocks of an arena

struct Piece {
  PyObject* block;  // keeps the memory
  std::size_t nbytes;
};

// All below is touched under the interpreter's lock alone, which NumPy holds when it allocates.
std::unordered_map<void*, Piece>& pieces() {
  static auto* made = new std::unordered_map<void*, Piece>;  // outlives every array
  return *made;
}
PyObject* allocate_block = nullptr;  // function(nbytes) -> (block, address)
PyObject* last_error = nullptr;      // what it raised: NumPy only says that there is no memory
// NumPy arrays that the arena itself makes meanwhile must not come from the arena.
thread_local bool is_allocating = false;

class HoldInterpreter {
 public:
  HoldInterpreter() : state_(PyGILState_Ensure()) {}
  ~HoldInterpreter() { PyGILState_Release(state_); }
  HoldInterpreter(const HoldInterpreter&) = delete;
  HoldInterpreter& operator=(const HoldInterpreter&) = delete;

 private:
  PyGILState_STATE state_;
};

void* take_block(std::size_t nbytes) {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);  // NumPy may be in the middle of an error of its own
  is_allocating = true;
  void* memory = nullptr;
  PyObject* function = Py_NewRef(allocate_block);  // another thread may set a new one
  PyObject* answer = PyObject_CallFunction(function, "n", static_cast<Py_ssize_t>(nbytes));
  Py_DECREF(function);
  is_allocating = false;
  if (answer != nullptr) {
    memory = PyLong_AsVoidPtr(PyTuple_GET_ITEM(answer, 1));
    pieces()[memory] = {Py_NewRef(PyTuple_GET_ITEM(answer, 0)), nbytes};
    Py_DECREF(answer);
  } else {
    PyObject *error_type, *error, *error_trace;
    PyErr_Fetch(&error_type, &error, &error_trace);
    PyErr_NormalizeException(&error_type, &error, &error_trace);
    Py_XSETREF(last_error, Py_XNewRef(error));
    Py_XDECREF(error_type);
    Py_XDECREF(error);
    Py_XDECREF(error_trace);
  }
  PyErr_Restore(type, value, trace);
  return memory;
}

void* shared_malloc(void*, std::size_t nbytes) {
  HoldInterpreter hold;
  if (is_allocating || allocate_block == nullptr) return dtorch::allocator::allocate(nbytes);
  return take_block(nbytes);
}

void* shared_calloc(void*, std::size_t count, std::size_t size) {
  std::size_t nbytes;
  if (__builtin_mul_overflow(count, size, &nbytes)) return nullptr;
  void* memory = shared_malloc(nullptr, nbytes);
  if (memory != nullptr) std::memset(memory, 0, nbytes);
  return memory;
}

void shared_free(void*, void* memory, std::size_t) {
  // While the interpreter is torn down nobody can give the block back; the exit does.
  if (memory == nullptr || !Py_IsInitialized()) return;
  HoldInterpreter hold;
  const auto found = pieces().find(memory);
  if (found == pieces().end()) {
    dtorch::allocator::release(memory);
    return;
  }
  PyObject* block = found->second.block;
  pieces().erase(found);
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  Py_DECREF(block);
  PyErr_Restore(type, value, trace);
}

void* shared_realloc(void*, void* memory, std::size_t nbytes) {
  if (memory == nullptr) return shared_malloc(nullptr, nbytes);
  HoldInterpreter hold;
  const auto found = pieces().find(memory);
  if (found == pieces().end()) return dtorch::allocator::resize(memory, nbytes);
  const std::size_t kept = std::min(found->second.nbytes, nbytes);
  void* moved = shared_malloc(nullptr, nbytes);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, memory, kept);
  shared_free(nullptr, memory, 0);
  return moved;
}

PyDataMem_Handler shared_handler = {
    "dtorch_shared", 1, {nullptr, shared_malloc, shared_calloc, shared_realloc, shared_free}};

// Immortal, as arrays made with it may be the last to go.
PyObject* shared_capsule() {
  static PyObject* capsule = [] {
    PyObject* made = PyCapsule_New(&shared_handler, "mem_handler", nullptr);
    if (made == nullptr) throw nb::python_error();
    return made;
  }();
  return capsule;
}

nb::object set_handler(nb::handle capsule) {
  PyObject* previous = PyDataMem_SetHandler(capsule.is_none() ? nullptr : capsule.ptr());
  if (previous == nullptr) throw nb::python_error();
  return nb::steal(previous);
}

nb::object enter_shared_memory(nb::object allocate) {
  Py_XSETREF(allocate_block, allocate.inc_ref().ptr());
  return set_handler(nb::handle(shared_capsule()));
}

nb::object shared_memory_error() {
  PyObject* error = last_error;
  last_error = nullptr;
  return error == nullptr ? nb::none() : nb::steal(error);
}

// The block that NumPy was given for the memory of an array.
nb::object shared_block_of(nb::handle array) {
  PyObject* root = array.ptr();
  if (pieces().empty()) return nb::none();
  while (PyArray_Check(root) && PyArray_BASE(reinterpret_cast<PyArrayObject*>(root)) != nullptr) {
    root = PyArray_BASE(reinterpret_cast<PyArrayObject*>(root));
  }
  if (!PyArray_CheckExact(root)) return nb::none();
  const auto found = pieces().find(PyArray_DATA(reinterpret_cast<PyArrayObject*>(root)));
  return found == pieces().end() ? nb::none() : nb::borrow(found->second.block);
}

// ------------------------------------------------------------------------------- messages

void set_layout(nb::handle module) {
  const auto number = [&](const char* name) { return nb::cast<std::uint64_t>(module.attr(name)); };
  dtorch::shared::set_layout({
      .hold_mask = number("HOLD_MASK"),
      .count_mask = number("COUNT_MASK"),
      .taken_shift = number("TAKEN_SHIFT"),
      .sent_shift = number("SENT_SHIFT"),
      .record_nbytes = nb::cast<std::uint64_t>(module.attr("RECORD").attr("size")),
      .kind_mask = number("KIND_MASK"),
      .token_mask = number("TOKEN_MASK"),
      .slot_shift = number("SLOT_SHIFT"),
      .count_shift = number("COUNT_SHIFT"),
      .token_shift = number("TOKEN_SHIFT"),
      .free = number("FREE"),
      .sending = number("SENDING"),
      .sent = number("SENT_STATE"),
      .taking = number("TAKING"),
      .no_channel = number("NO_CHANNEL"),
  });
}

// (number of the record, token), or None where no record was free
nb::object send_message(std::uintptr_t table, std::size_t count, std::uint64_t slot,
                        std::uintptr_t cell, std::uint64_t block, std::size_t first,
                        nb::handle /* only the Python form needs the lock */) {
  const auto record = dtorch::shared::send({table, count, slot}, cell, block, first);
  if (!record) return nb::none();
  return nb::make_tuple(record->number, record->token);
}

// number: -1 for a message without a record
bool take_message(std::uintptr_t table, std::size_t count, std::uint64_t slot, std::uintptr_t cell,
                  std::ptrdiff_t number, std::uint64_t token, std::uint64_t holds, nb::handle) {
  // Numbers come from other processes.
  if (number >= 0 && static_cast<std::size_t>(number) >= count) {
    throw nb::index_error("take_message: no such record");
  }
  std::optional<dtorch::shared::Record> record;
  if (number >= 0) record = {static_cast<std::size_t>(number), token};
  return dtorch::shared::take({table, count, slot}, cell, record, holds);
}

}  // namespace

void dtorch::bind_shared_memory(nb::module_& m) {
  m.def("atomic_load", shared::load, "address"_a);
  m.def("atomic_store", shared::store, "address"_a, "value"_a);
  m.def("atomic_add", shared::add, "address"_a, "value"_a);
  m.def("set_layout", set_layout, "module"_a);
  m.def("is_unused", shared::is_unused, "address"_a, "stride"_a, "count"_a);
  m.def("send_message", send_message, "table"_a, "count"_a, "slot"_a, "cell"_a, "block"_a,
        "first"_a, "lock"_a);
  m.def("take_message", take_message, "table"_a, "count"_a, "slot"_a, "cell"_a, "number"_a,
        "token"_a, "holds"_a, "lock"_a);
  m.def("futex_wait", shared::wait, "address"_a, "value"_a, "seconds"_a,
        nb::call_guard<nb::gil_scoped_release>());
  m.def("futex_wake", shared::wake, "address"_a);

  m.def("enter_shared_memory", enter_shared_memory, "allocate"_a);
  m.def("leave_shared_memory", set_handler, "previous"_a);
  m.def("shared_memory_error", shared_memory_error);
  m.def("shared_block_of", shared_block_of, "array"_a);
}
