// The objects of the hot path: tensors, nodes, operations. Their Python twins, which say what these
// mean, are in dtorch/core/base.py (TensorBase, NodeBase, ...), op.py, record.py and engine.py.
#pragma once

#include "numpy_api.h"

#include <exception>
#include <new>
#include <utility>

namespace dtorch::core {

// Owns one reference.
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* object) : object_(object) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    PyObject* old = std::exchange(object_, std::exchange(other.object_, nullptr));
    Py_XDECREF(old);
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// A field that other threads, and finalizers, may set anew while it is in use here.
inline Ref hold(PyObject* object) { return Ref(Py_XNewRef(object)); }

// What `function` gives; where it throws, null with Python's exception set. C++'s may not pass
// through frames of the interpreter.
template <class Function>
auto guarded(Function function) noexcept -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return {};
}

// Bits of Tensor::mode, as core.base sets them; a plain tensor has none.
extern int requires_grad, is_volatile, is_inference;
constexpr int plain = 0;

struct Version {
  PyObject_HEAD Py_ssize_t value;
};

struct Tensor;

// Memory that tensors view; they form a list, so that it can find them all.
struct Storage {
  PyObject_HEAD PyObject* weakrefs;
  Tensor* first;
};

// How a view follows from its base: by `op` with `args` from what `previous` gives.
struct View {
  PyObject_HEAD PyObject* base;
  PyObject* previous;
  PyObject* op;
  PyObject* args;
  int nr;  // which of several outputs; -1 for the only one
  int several;
};

// A null field is None to Python.
struct Tensor {
  PyObject_HEAD PyObject* weakrefs;
  PyObject* array;
  PyObject* grad;
  PyObject* grad_fn;
  PyObject* hooks;
  PyObject* storage;
  PyObject* version;
  PyObject* view;
  Tensor* before;  // neighbours in the list of the storage
  Tensor* after;
  int mode;
  int output_nr;
};

struct Node {
  PyObject_HEAD PyObject* weakrefs;
  PyObject* edges;
  PyObject* inputs;
  PyObject* hooks;
  PyObject* op;
  PyObject* plan;
  PyObject* saved;
  PyObject* versions;
  PyObject* out_like;
  int n_outputs;
  long long seq;
};

struct SavedOutput {
  PyObject_HEAD PyObject* array;
  PyObject* version;
  int nr;
};

extern PyTypeObject* tensor_base;
extern PyTypeObject* node_base;
extern PyTypeObject* saved_output_type;

inline bool is_none(PyObject* object) { return object == nullptr || object == Py_None; }
inline bool is_tensor(PyObject* object) {
  return Py_TYPE(object) == tensor_base || PyType_IsSubtype(Py_TYPE(object), tensor_base);
}
inline bool is_node(PyObject* object) { return PyObject_TypeCheck(object, node_base); }
inline Tensor* as_tensor(PyObject* object) { return reinterpret_cast<Tensor*>(object); }
inline Node* as_node(PyObject* object) { return reinterpret_cast<Node*>(object); }
inline bool is_array(PyObject* object) { return object && PyArray_CheckExact(object); }
inline PyArrayObject* as_array(PyObject* object) {
  return reinterpret_cast<PyArrayObject*>(object);
}
inline Py_ssize_t version_value(PyObject* version) {
  return is_none(version) ? 0 : reinterpret_cast<Version*>(version)->value;
}

// A plain tensor over `array` (a reference is taken over). Scalars of NumPy become 0-dim arrays.
PyObject* wrap(PyObject* array);
// Notes an in-place change; false with an exception set on an error.
bool bump(Tensor* tensor);
// An array for what arithmetic gave: a scalar of NumPy becomes 0-dim. Takes the reference over.
PyObject* ensure_array(PyObject* value);
// A tensor over `array` (a reference is taken over) that views `input`'s memory, by operation `op`
// with the arguments `args` (borrowed) after the input; it has no history yet.
PyObject* wrap_view(Tensor* input, PyObject* array, PyObject* op, PyObject* args, int nr,
                    bool several);
// Gives the outputs of a call the mode its operands call for, and a node where it is recorded.
// values: all arguments, tensors among them; results: the outputs as arrays, hidden ones too.
bool set_history(PyObject* op, PyObject* const* values, Py_ssize_t count, PyObject* const* outs,
                 Py_ssize_t out_count, PyObject* results, int mode);
// The grad mode of this thread.
enum class GradMode { error, disabled, enabled, inference };
GradMode current_grad_mode();
// core.dispatch.fast_paths: off while somebody watches every call from Python.
extern bool fast_paths;
// A new node of the class that records calls; null with an exception set on an error.
Node* new_op_node();
PyObject* new_saved_output(Tensor* tensor, int nr);

// Each adds its types and functions to the module; false with an exception set on an error.
bool add_tensor(PyObject* module);
bool add_op_function(PyObject* module);
bool add_entry(PyObject* module);
bool add_recorder(PyObject* module);
bool add_loops(PyObject* module);
bool add_op_node(PyObject* module);
bool add_accumulation(PyObject* module);
bool add_engine(PyObject* module);
bool add_interrupts(PyObject* module);

}  // namespace dtorch::core
