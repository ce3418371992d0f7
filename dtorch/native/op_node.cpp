// The nodes that record operations: the compiled form of OpNode in dtorch/core/record.py.
#include "backward.h"
#include "objects.h"

namespace dtorch::core {

namespace {

PyTypeObject* type = nullptr;  // core.record.OpNode
// Its methods.
PyObject* refuse_freed = nullptr;
PyObject* refuse_version = nullptr;
PyObject* materialize = nullptr;
// In the place of a saved value's number: the gradient of the output, of all.
Py_ssize_t source_grad = 0, source_grads = 0;
PyObject* str_steps = nullptr;
PyObject* str_cpu = nullptr;
PyObject* str_cuda = nullptr;

bool check(Node* node, Py_ssize_t i, PyObject* expected, PyObject* version) {
  const Py_ssize_t actual = version_value(version);
  if (PyLong_AsSsize_t(expected) == actual) return true;
  Ref number(PyLong_FromSsize_t(i)), now(PyLong_FromSsize_t(actual));
  PyObject* args[] = {reinterpret_cast<PyObject*>(node), number.get(), expected, now.get()};
  Ref raised(PyObject_Vectorcall(refuse_version, args, 4, nullptr));
  return false;
}

bool unpack(Node* node, std::vector<Ref>& values) {
  Ref saved(Py_NewRef(node->saved));
  const Py_ssize_t count = PyTuple_GET_SIZE(saved.get());
  values.reserve(static_cast<std::size_t>(count));
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* value = PyTuple_GET_ITEM(saved.get(), i);
    PyObject* expected = PyTuple_GET_ITEM(node->versions, i);
    if (is_tensor(value)) {
      if (!check(node, i, expected, as_tensor(value)->version)) return false;
      values.emplace_back(Py_NewRef(as_tensor(value)->array));
    } else if (Py_TYPE(value) == saved_output_type) {
      auto* output = reinterpret_cast<SavedOutput*>(value);
      if (!check(node, i, expected, output->version)) return false;
      values.emplace_back(Py_NewRef(output->array));
    } else if (PyList_CheckExact(value)) {
      Ref list(PyList_New(PyList_GET_SIZE(value)));
      if (!list) return false;
      for (Py_ssize_t k = 0; k < PyList_GET_SIZE(value); ++k) {
        PyObject* element = PyList_GET_ITEM(value, k);
        PyList_SET_ITEM(list.get(), k,
                        Py_NewRef(is_tensor(element) ? as_tensor(element)->array : element));
      }
      values.push_back(std::move(list));
    } else {
      values.emplace_back(Py_NewRef(value));
    }
  }
  return true;
}

// The kernel of a step for the arrays that `grad` consists of, or null. Borrowed.
PyObject* kernel_for(PyObject* kernels, PyObject* grad) {
  if (!PyDict_GET_SIZE(kernels)) return nullptr;
  bool on_cpu = is_array(grad);
  for (Py_ssize_t i = 0; PyList_CheckExact(grad) && i < PyList_GET_SIZE(grad); ++i) {
    on_cpu |= is_array(PyList_GET_ITEM(grad, i));
  }
  return PyDict_GetItemWithError(kernels, on_cpu ? str_cpu : str_cuda);
}

// step: (function, sources, select, kernels); see Step of core.record.
bool run_step(Node* node, PyObject* step, const std::vector<Ref>& values, PyObject* grad,
              std::vector<Ref>& grads) {
  PyObject* sources = PyTuple_GET_ITEM(step, 1);
  const Py_ssize_t count = PyTuple_GET_SIZE(sources);
  PyObject* few[24];  // as all of our own formulas have
  std::vector<PyObject*> many(count > 24 ? static_cast<std::size_t>(count) : 0);
  PyObject** args = count > 24 ? many.data() : few;
  Ref made;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* source = PyTuple_GET_ITEM(sources, i);
    if (PyTuple_CheckExact(source)) {
      args[i] = source;
      continue;
    }
    const Py_ssize_t at = PyLong_AsSsize_t(source);
    if (at != source_grad && at != source_grads) {
      args[i] = values[static_cast<std::size_t>(at)].get();
      continue;
    }
    if (at == source_grad && node->n_outputs == 1) {
      args[i] = grad;
      continue;
    }
    if (!made) {
      PyObject* pair[] = {reinterpret_cast<PyObject*>(node), grad};
      made = Ref(PyObject_Vectorcall(materialize, pair, 2, nullptr));
      if (!made) return false;
    }
    args[i] = at == source_grad ? PyList_GET_ITEM(made.get(), 0) : made.get();
  }
  const auto nargs = static_cast<std::size_t>(count);
  Ref result;
  if (PyObject* kernel = kernel_for(PyTuple_GET_ITEM(step, 3), grad)) {
    result = Ref(PyObject_Vectorcall(kernel, args, nargs, nullptr));
    if (!result) return false;
  }
  if (is_none(result.get())) {
    result = Ref(PyObject_Vectorcall(PyTuple_GET_ITEM(step, 0), args, nargs, nullptr));
    if (!result) return false;
  }
  PyObject* select = PyTuple_GET_ITEM(step, 2);
  if (select != Py_None) {
    Ref all(PySequence_Fast(result.get(), "gradients are no sequence"));
    if (!all) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(select); ++i) {
      const Py_ssize_t at = PyLong_AsSsize_t(PyTuple_GET_ITEM(select, i));
      if (at >= PySequence_Fast_GET_SIZE(all.get())) {
        PyErr_SetString(PyExc_RuntimeError, "a gradient formula gave too few gradients");
        return false;
      }
      grads.emplace_back(ensure_array(Py_NewRef(PySequence_Fast_GET_ITEM(all.get(), at))));
    }
    return true;
  }
  if (PyList_CheckExact(result.get())) return take_all(result.get(), grads);
  grads.emplace_back(ensure_array(result.release()));
  return true;
}

// Sizes and numbers alone need not be freed: such a node can run again.
bool keeps_tensors(PyObject* saved) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(saved); ++i) {
    PyObject* value = PyTuple_GET_ITEM(saved, i);
    if (is_tensor(value) || Py_TYPE(value) == saved_output_type || PyList_CheckExact(value)) {
      return true;
    }
  }
  return false;
}

PyObject* register_op_node(PyObject*, PyObject* args) {
  PyObject* given;
  if (!PyArg_ParseTuple(args, "Onn", &given, &source_grad, &source_grads) ||
      !set_type(type, given, node_base, "register_op_node")) {
    return nullptr;
  }
  Py_XSETREF(refuse_freed, PyObject_GetAttrString(given, "refuse_freed"));
  Py_XSETREF(refuse_version, PyObject_GetAttrString(given, "refuse_version"));
  Py_XSETREF(materialize, PyObject_GetAttrString(given, "materialize"));
  return refuse_freed && refuse_version && materialize ? Py_NewRef(Py_None) : nullptr;
}

PyMethodDef functions[] = {{"register_op_node", register_op_node, METH_VARARGS, nullptr},
                           {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool is_op_node(PyObject* node) { return Py_TYPE(node) == type; }

Node* new_op_node() {
  if (!type) {
    PyErr_SetString(PyExc_RuntimeError, "no class of nodes is registered");
    return nullptr;
  }
  return as_node(type->tp_new(type, nullptr, nullptr));
}

bool take_all(PyObject* sequence, std::vector<Ref>& grads) {
  Ref fast(PySequence_Fast(sequence, "gradients are no sequence"));
  if (!fast) return false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i) {
    grads.emplace_back(ensure_array(Py_NewRef(PySequence_Fast_GET_ITEM(fast.get(), i))));
  }
  return true;
}

bool apply_op(Node* node, PyObject* grad, std::vector<Ref>& grads) {
  if (is_none(node->saved)) {
    Ref raised(PyObject_CallOneArg(refuse_freed, reinterpret_cast<PyObject*>(node)));
    return false;
  }
  std::vector<Ref> values;
  if (!unpack(node, values)) return false;
  Ref steps(PyObject_GetAttr(node->plan, str_steps));
  if (!steps) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(steps.get()); ++i) {
    if (!run_step(node, PyList_GET_ITEM(steps.get(), i), values, grad, grads)) return false;
  }
  return true;
}

void release_op(Node* node) {
  if (node->saved && PyTuple_CheckExact(node->saved) && keeps_tensors(node->saved)) {
    Py_CLEAR(node->saved);
  }
}

bool add_op_node(PyObject* module) {
  str_steps = PyUnicode_InternFromString("steps");
  str_cpu = PyUnicode_InternFromString("cpu");
  str_cuda = PyUnicode_InternFromString("cuda");
  return str_steps && str_cpu && str_cuda && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
