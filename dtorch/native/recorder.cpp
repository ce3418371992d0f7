// Recording of calls: the compiled form of set_history in dtorch/core/history.py.
#include "core.h"

#include <structmember.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <vector>

namespace dtorch::core {

namespace {

PyObject* grad_mode = nullptr;  // core.grad_mode.mode, with an attribute of each thread
PyObject* str_enabled = nullptr;
PyObject* str_recorder = nullptr;

// Which of an operation's parameters that take tensors; core.op.MOST_TENSORS is their number.
using Bits = unsigned long long;

struct Save {
  enum Where { arg, out, shape } where;
  int index;
};

// A Plan of core.record, in a form quick to follow.
struct Recipe {
  Bits needed;
  PyObject* plan;
  std::vector<Save> saves;
};

// What recording has to know of an operation; made once, kept in its attribute `recorder`.
struct Recorder {
  PyObject_HEAD PyObject* op;
  PyObject* defaults;
  std::vector<int>* indices;    // of parameters that take tensors
  Bits differentiable;          // bit i: the i-th of them has a gradient formula
  std::deque<Recipe>* recipes;  // in use while others are added: they stay where they are
};

PyObject* recorder_new(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject *op, *defaults, *indices, *flags;
  if (!PyArg_ParseTuple(args, "OO!O!O!", &op, &PyList_Type, &defaults, &PyTuple_Type, &indices,
                        &PyTuple_Type, &flags)) {
    return nullptr;
  }
  const Py_ssize_t count = PyTuple_GET_SIZE(indices);
  if (count > static_cast<Py_ssize_t>(8 * sizeof(Bits)) || count != PyTuple_GET_SIZE(flags)) {
    PyErr_SetString(PyExc_ValueError, "Recorder: too many tensors");
    return nullptr;
  }
  auto* self = reinterpret_cast<Recorder*>(type->tp_alloc(type, 0));
  if (!self) return nullptr;
  self->op = Py_NewRef(op);
  self->defaults = Py_NewRef(defaults);
  const bool made = guarded([&] {
    self->indices = new std::vector<int>;
    self->recipes = new std::deque<Recipe>;
    for (Py_ssize_t i = 0; i < count; ++i) {
      self->indices->push_back(static_cast<int>(PyLong_AsLong(PyTuple_GET_ITEM(indices, i))));
      if (PyTuple_GET_ITEM(flags, i) == Py_True) self->differentiable |= Bits{1} << i;
    }
    return true;
  });
  return made ? reinterpret_cast<PyObject*>(self) : nullptr;
}

// Operations live as long as the process, and so do their recorders.
PyType_Slot recorder_slots[] = {{Py_tp_new, reinterpret_cast<void*>(recorder_new)}, {0, nullptr}};
PyType_Spec recorder_spec = {"dtorch._native.Recorder", sizeof(Recorder), 0, Py_TPFLAGS_DEFAULT,
                             recorder_slots};

const Recipe* recipe_for(Recorder* recorder, Bits needed) {
  for (const Recipe& recipe : *recorder->recipes) {
    if (recipe.needed == needed) return &recipe;
  }
  PyObject* plan = PyObject_CallMethod(recorder->op, "plan_for_bits", "K", needed);
  PyObject* saves = plan ? PyObject_GetAttrString(plan, "saves") : nullptr;
  if (!saves) {
    Py_XDECREF(plan);
    return nullptr;
  }
  Recipe recipe{needed, plan, {}};
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(saves); ++i) {
    PyObject* save = PyTuple_GET_ITEM(saves, i);
    const char* where = PyUnicode_AsUTF8(PyTuple_GET_ITEM(save, 0));
    const auto kind = std::strcmp(where, "arg") == 0   ? Save::arg
                      : std::strcmp(where, "out") == 0 ? Save::out
                                                       : Save::shape;
    recipe.saves.push_back({kind, static_cast<int>(PyLong_AsLong(PyTuple_GET_ITEM(save, 1)))});
  }
  Py_DECREF(saves);
  recorder->recipes->push_back(std::move(recipe));
  return &recorder->recipes->back();
}

PyObject* edge_of(PyObject* object) {
  Tensor* tensor = as_tensor(object);
  if (tensor->mode != requires_grad) return Py_NewRef(Py_None);
  if (is_none(tensor->grad_fn)) return Py_NewRef(object);
  if (!tensor->output_nr) return Py_NewRef(tensor->grad_fn);
  PyObject* nr = PyLong_FromLong(tensor->output_nr);
  PyObject* edge = nr ? PyTuple_Pack(2, tensor->grad_fn, nr) : nullptr;
  Py_XDECREF(nr);
  return edge;
}

// (shape, dtype), remembered for the shapes seen last.
PyObject* array_info(PyArrayObject* array) {
  struct Entry {
    PyObject* info = nullptr;
    PyArray_Descr* descr = nullptr;
    int ndim = 0;
    npy_intp dims[4] = {};
  };
  static Entry cache[8];
  static unsigned next = 0;
  const int ndim = PyArray_NDIM(array);
  const npy_intp* dims = PyArray_DIMS(array);
  PyArray_Descr* descr = PyArray_DESCR(array);
  if (ndim <= 4) {
    for (const Entry& entry : cache) {
      if (entry.info && entry.descr == descr && entry.ndim == ndim &&
          std::equal(dims, dims + ndim, entry.dims)) {
        return Py_NewRef(entry.info);
      }
    }
  }
  PyObject* shape = PyTuple_New(ndim);
  if (!shape) return nullptr;
  for (int i = 0; i < ndim; ++i) PyTuple_SET_ITEM(shape, i, PyLong_FromSsize_t(dims[i]));
  PyObject* info = PyTuple_Pack(2, shape, reinterpret_cast<PyObject*>(descr));
  Py_DECREF(shape);
  if (info && ndim <= 4) {
    Entry& entry = cache[next++ % 8];
    Py_XSETREF(entry.info, Py_NewRef(info));
    entry.descr = descr;  // kept alive by info
    entry.ndim = ndim;
    std::copy_n(dims, ndim, entry.dims);
  }
  return info;
}

PyObject* info_of(PyObject* array) {
  if (is_array(array)) return array_info(as_array(array));
  PyObject* shape = PyObject_GetAttrString(array, "shape");
  PyObject* dtype = shape ? PyObject_GetAttrString(array, "dtype") : nullptr;
  PyObject* info = dtype ? PyTuple_Pack(2, shape, dtype) : nullptr;
  Py_XDECREF(shape);
  Py_XDECREF(dtype);
  return info;
}

PyObject* shape_of(PyObject* value) {
  if (is_tensor(value)) {
    const Ref array = hold(as_tensor(value)->array);
    PyObject* info = info_of(array.get());
    PyObject* shape = info ? Py_NewRef(PyTuple_GET_ITEM(info, 0)) : nullptr;
    Py_XDECREF(info);
    return shape;
  }
  if (PyList_CheckExact(value)) {
    PyObject* shapes = PyList_New(PyList_GET_SIZE(value));
    for (Py_ssize_t i = 0; shapes && i < PyList_GET_SIZE(value); ++i) {
      PyObject* shape = shape_of(PyList_GET_ITEM(value, i));
      if (!shape)
        Py_CLEAR(shapes);
      else
        PyList_SET_ITEM(shapes, i, shape);
    }
    return shapes;
  }
  return PyTuple_New(0);
}

bool wants_gradient(PyObject* value) {
  if (is_tensor(value)) return as_tensor(value)->mode == requires_grad;
  if (!PyList_CheckExact(value)) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(value); ++i) {
    PyObject* element = PyList_GET_ITEM(value, i);
    if (is_tensor(element) && as_tensor(element)->mode == requires_grad) return true;
  }
  return false;
}

class Recording {
 public:
  Recording(Recorder* recorder, PyObject* const* values, Py_ssize_t count)
      : recorder_(recorder), values_(values), count_(count) {}

  // 1: recorded, 0: no operand wants a gradient, -1: an exception is set.
  int run(PyObject* const* outs, Py_ssize_t out_count, PyObject* results) {
    Bits needed = 0;
    Py_ssize_t edges = 0;
    for (std::size_t i = 0; i < recorder_->indices->size(); ++i) {
      if (!(recorder_->differentiable >> i & 1)) continue;
      PyObject* value = argument((*recorder_->indices)[i]);
      if (!wants_gradient(value)) continue;
      needed |= Bits{1} << i;
      edges += PyList_CheckExact(value) ? PyList_GET_SIZE(value) : 1;
    }
    if (!needed) return 0;
    const Recipe* recipe = recipe_for(recorder_, needed);
    Node* node = recipe ? new_op_node() : nullptr;
    if (!node) return -1;
    node->op = Py_NewRef(recorder_->op);
    node->plan = Py_NewRef(recipe->plan);
    node->n_outputs = static_cast<int>(out_count);
    if (!link(node, needed, edges) || !save(node, *recipe, outs, out_count, results) ||
        (out_count > 1 && !describe_outputs(node, outs, out_count))) {
      Py_DECREF(node);
      return -1;
    }
    // See traverse_tuple in tensor.cpp.
    for (PyObject* tuple : {node->edges, node->inputs, node->saved, node->versions}) {
      PyObject_GC_UnTrack(tuple);
    }
    for (Py_ssize_t i = 0; i < out_count; ++i) give(node, as_tensor(outs[i]), static_cast<int>(i));
    Py_DECREF(node);
    return 1;
  }

 private:
  // The value of a parameter; those not passed have their defaults. Borrowed.
  PyObject* argument(int i) const {
    return i < count_ ? values_[i] : PyList_GET_ITEM(recorder_->defaults, i);
  }

  bool link(Node* node, Bits needed, Py_ssize_t edges) {
    node->edges = PyTuple_New(edges);
    node->inputs = node->edges ? PyTuple_New(edges) : nullptr;
    if (!node->inputs) return false;
    Py_ssize_t at = 0;
    for (std::size_t i = 0; i < recorder_->indices->size(); ++i) {
      if (!(needed >> i & 1)) continue;
      PyObject* value = argument((*recorder_->indices)[i]);
      if (!PyList_CheckExact(value)) {
        if (!link_one(node, at++, value)) return false;
        continue;
      }
      for (Py_ssize_t k = 0; k < PyList_GET_SIZE(value); ++k) {
        if (!link_one(node, at++, PyList_GET_ITEM(value, k))) return false;
      }
    }
    return true;
  }

  static bool link_one(Node* node, Py_ssize_t at, PyObject* tensor) {
    PyObject* edge = edge_of(tensor);
    const Ref array = hold(as_tensor(tensor)->array);
    PyObject* info = edge ? info_of(array.get()) : nullptr;
    if (edge) PyTuple_SET_ITEM(node->edges, at, edge);
    if (info) PyTuple_SET_ITEM(node->inputs, at, info);
    return info != nullptr;
  }

  bool save(Node* node, const Recipe& recipe, PyObject* const* outs, Py_ssize_t out_count,
            PyObject* results) {
    const auto count = static_cast<Py_ssize_t>(recipe.saves.size());
    node->saved = PyTuple_New(count);
    node->versions = node->saved ? PyTuple_New(count) : nullptr;
    if (!node->versions) return false;
    for (Py_ssize_t i = 0; i < count; ++i) {
      const Save& what = recipe.saves[static_cast<std::size_t>(i)];
      Py_ssize_t version = 0;
      PyObject* value;
      if (what.where == Save::arg) {
        value = Py_NewRef(argument(what.index));
        if (is_tensor(value)) version = version_value(as_tensor(value)->version);
      } else if (what.where == Save::shape) {
        value = shape_of(argument(what.index));
      } else if (what.index < out_count) {
        value = new_saved_output(as_tensor(outs[what.index]), what.index);
        if (value) version = version_value(as_tensor(outs[what.index])->version);
      } else {
        value = PySequence_GetItem(results, what.index);
      }
      PyObject* number = value ? PyLong_FromSsize_t(version) : nullptr;
      if (value) PyTuple_SET_ITEM(node->saved, i, value);
      if (!number) return false;
      PyTuple_SET_ITEM(node->versions, i, number);
    }
    return true;
  }

  static bool describe_outputs(Node* node, PyObject* const* outs, Py_ssize_t out_count) {
    node->out_like = PyTuple_New(out_count);
    for (Py_ssize_t i = 0; node->out_like && i < out_count; ++i) {
      const Ref array = hold(as_tensor(outs[i])->array);
      PyObject* info = info_of(array.get());
      if (!info) return false;
      PyTuple_SET_ITEM(node->out_like, i, info);
    }
    return node->out_like != nullptr;
  }

  // Only floating-point and complex outputs have gradients.
  static void give(Node* node, Tensor* out, int nr) {
    if (is_array(out->array)) {
      const char kind = PyArray_DESCR(as_array(out->array))->kind;
      if (kind != 'f' && kind != 'c' && kind != 'V') return;
    }
    Py_XSETREF(out->grad_fn, Py_NewRef(reinterpret_cast<PyObject*>(node)));
    out->output_nr = nr;
    out->mode = requires_grad;
  }

  Recorder* recorder_;
  PyObject* const* values_;
  Py_ssize_t count_;
};

// history.set_history(op, values, outs, results, mode).
PyObject* py_set_history(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 5 || !PyList_CheckExact(args[1]) || !PyTuple_CheckExact(args[2])) {
    PyErr_SetString(PyExc_TypeError, "set_history: expected (op, values, outs, results, mode)");
    return nullptr;
  }
  const long mode = PyLong_AsLong(args[4]);
  if (mode == -1 && PyErr_Occurred()) return nullptr;
  PyObject* values = args[1];
  PyObject* outs = args[2];
  if (!set_history(args[0], PySequence_Fast_ITEMS(values), PyList_GET_SIZE(values),
                   PySequence_Fast_ITEMS(outs), PyTuple_GET_SIZE(outs), args[3],
                   static_cast<int>(mode))) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* set_grad_mode(PyObject*, PyObject* mode) {
  Py_XSETREF(grad_mode, Py_NewRef(mode));
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"set_history", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_set_history)),
     METH_FASTCALL,
     "Give outputs the mode their operands call for, and a node where the call is recorded."},
    {"set_grad_mode", set_grad_mode, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

GradMode current_grad_mode() {
  PyObject* enabled = PyObject_GetAttr(grad_mode, str_enabled);
  if (!enabled) return GradMode::error;
  Py_DECREF(enabled);  // True, False and None live on
  return enabled == Py_True    ? GradMode::enabled
         : enabled == Py_False ? GradMode::disabled
                               : GradMode::inference;
}

bool set_history(PyObject* op, PyObject* const* values, Py_ssize_t count, PyObject* const* outs,
                 Py_ssize_t out_count, PyObject* results, int mode) {
  if (mode & is_volatile) {
    for (Py_ssize_t i = 0; i < out_count; ++i) as_tensor(outs[i])->mode = is_volatile;
    return true;
  }
  if (mode == plain) return true;
  const GradMode enabled = current_grad_mode();
  if (enabled == GradMode::inference) {
    for (Py_ssize_t i = 0; i < out_count; ++i) as_tensor(outs[i])->mode = is_inference;
  }
  if (enabled != GradMode::enabled) return enabled != GradMode::error;
  PyObject* recorder = PyObject_GetAttr(op, str_recorder);
  if (!recorder) return false;
  Recording recording(reinterpret_cast<Recorder*>(recorder), values, count);
  const bool done = guarded([&] { return recording.run(outs, out_count, results) >= 0; });
  Py_DECREF(recorder);
  return done;
}

bool add_recorder(PyObject* module) {
  str_enabled = PyUnicode_InternFromString("enabled");
  str_recorder = PyUnicode_InternFromString("recorder");
  PyObject* type = PyType_FromSpec(&recorder_spec);
  if (!str_enabled || !str_recorder || !type) return false;
  return PyModule_AddObjectRef(module, "Recorder", type) == 0 &&
         PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
