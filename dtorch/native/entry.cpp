#include "entry.h"

#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "half.h"

namespace dtorch::core {

namespace {

PyObject* variable = nullptr;  // the context variable of NumPy's error state, and what silences it
PyObject* silent = nullptr;
PyObject* errors = nullptr;   // core.entry.ERRORS
PyObject* missing = nullptr;  // the default of a parameter without one

// What the entry does about an error: raises another, or calls something else; None leaves it.
// Null with another exception set.
PyObject* told(OpFunction* op, PyObject* error, PyObject* const* args, Py_ssize_t given,
               PyObject* kwnames) {
  const Ref positional(PyTuple_New(given)), named(PyDict_New());
  if (!positional || !named) return nullptr;
  for (Py_ssize_t i = 0; i < given; ++i) {
    PyTuple_SET_ITEM(positional.get(), i, Py_NewRef(args[i]));
  }
  for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); ++k) {
    if (PyDict_SetItem(named.get(), PyTuple_GET_ITEM(kwnames, k), args[given + k]) < 0) {
      return nullptr;
    }
  }
  PyObject* all[] = {error, positional.get(), named.get()};
  return PyObject_Vectorcall(op->told, all, 3, nullptr);
}

// After a call that failed.
PyObject* recover(OpFunction* op, PyObject* const* args, Py_ssize_t given, PyObject* kwnames) {
  if (!errors || !PyErr_ExceptionMatches(errors)) return nullptr;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace) PyException_SetTraceback(value, trace);
  const Ref seen(told(op, value, args, given, kwnames));
  if (seen.get() == Py_None) {
    PyErr_Restore(type, value, trace);
    return nullptr;
  }
  PyObject* result = nullptr;
  if (seen && PyExceptionInstance_Check(seen.get())) {
    if (seen.get() != value) PyException_SetContext(seen.get(), Py_NewRef(value));
    // Which makes that the context is not shown.
    PyException_SetCause(seen.get(), PyException_GetCause(seen.get()));
    PyErr_SetObject(PyExceptionInstance_Class(seen.get()), seen.get());
  } else if (seen) {
    result = PyObject_CallNoArgs(seen.get());
  }
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  return result;
}

PyObject* made_entry(PyObject*, PyObject* args) {
  PyObject *function, *told, *run = nullptr, *defaults = nullptr, *index = nullptr;
  int computes = 1, most = -1;
  if (!PyArg_ParseTuple(args, "OO|pOO!O!i", &function, &told, &computes, &run, &PyList_Type,
                        &defaults, &PyDict_Type, &index, &most)) {
    return nullptr;
  }
  OpFunction* op = new_op_function(function, nullptr);
  if (!op) return nullptr;
  op->told = Py_NewRef(told);
  op->run = Py_XNewRef(run);
  op->defaults = Py_XNewRef(defaults);
  op->index = Py_XNewRef(index);
  op->most = most;
  op->computes = static_cast<char>(computes);
  return reinterpret_cast<PyObject*>(op);
}

PyObject* quietly(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  if (nargs < 1) {
    PyErr_SetString(PyExc_TypeError, "quietly: expected a function");
    return nullptr;
  }
  const Silence silence;
  return silence
             ? PyObject_Vectorcall(args[0], args + 1, static_cast<std::size_t>(nargs - 1), kwnames)
             : nullptr;
}

PyObject* set_silence(PyObject*, PyObject* args) {
  PyObject *new_variable, *new_silent;
  if (!PyArg_ParseTuple(args, "O!O", &PyContextVar_Type, &new_variable, &new_silent)) {
    return nullptr;
  }
  Py_XSETREF(variable, Py_NewRef(new_variable));
  Py_XSETREF(silent, Py_NewRef(new_silent));
  Py_RETURN_NONE;
}

PyObject* set_told(PyObject*, PyObject* args) {
  PyObject *new_errors, *new_missing;
  if (!PyArg_ParseTuple(args, "OO", &new_errors, &new_missing)) return nullptr;
  Py_XSETREF(errors, Py_NewRef(new_errors));
  Py_XSETREF(missing, Py_NewRef(new_missing));
  Py_RETURN_NONE;
}

// ------------------------------------------------------------------------------------ operands

int may_be_none = 0, may_be_number = 0, is_promoted = 0;  // bits of a rule, set by core.operands
constexpr int other_types = 31;  // the bit of all dtypes that are not NumPy's own

std::uint32_t bit_of(PyArrayObject* array) {
  const int type = PyArray_TYPE(array);
  return std::uint32_t{1} << (type < other_types ? type : other_types);
}

// A number as a 0-dim array of a type that holds it; null, maybe without an exception, elsewhere.
PyObject* number_for(PyObject* number, PyArrayObject* like) {
  const int type = PyArray_TYPE(like);
  const double value =
      PyFloat_CheckExact(number) ? PyFloat_AS_DOUBLE(number) : PyLong_AsDouble(number);
  if (value == -1.0 && PyErr_Occurred()) {
    PyErr_Clear();
    return nullptr;
  }
  if (type == NPY_FLOAT && std::isfinite(value) && std::fabs(value) > double{FLT_MAX}) {
    return nullptr;
  }
  return number_like(number, like);
}

// One look at the operands of a call.
class Operands {
 public:
  Operands(PyObject* values, PyObject* indices, const char* rules)
      : values_(values), indices_(indices), rules_(rules), count_(PyTuple_GET_SIZE(indices)) {}

  // False, maybe with an exception set, where Python is to look.
  bool look() {
    raw_ = Ref(PyList_GetSlice(values_, 0, PyList_GET_SIZE(values_)));
    if (!raw_) return false;
    for (Py_ssize_t k = 0; k < count_; ++k) {
      PyObject* value = PyList_GET_ITEM(values_, index(k));
      const char rule = rules_[k];
      promotes_ |= (rule & is_promoted) != 0;
      if (is_tensor(value)) {
        if (!take(k, as_tensor(value), rule)) return false;
      } else if (is_none(value)) {
        if (!(rule & may_be_none)) return false;
      } else if (PyFloat_CheckExact(value) || PyLong_CheckExact(value)) {
        if (!(rule & may_be_number)) return false;
        numbers_ |= (rule & is_promoted) != 0;
      } else {
        return false;
      }
    }
    return types_ != 0 && (!promotes_ || (like_ && (!numbers_ || convert_numbers())));
  }

  std::uint32_t types() const { return types_; }
  int mode() const { return mode_; }
  PyObject* release() { return raw_.release(); }

 private:
  Py_ssize_t index(Py_ssize_t k) const { return PyLong_AsSsize_t(PyTuple_GET_ITEM(indices_, k)); }

  bool take(Py_ssize_t k, Tensor* tensor, char rule) {
    if (!is_array(tensor->array)) return false;
    PyObject* array = Py_NewRef(tensor->array);
    mode_ |= tensor->mode;
    types_ |= bit_of(as_array(array));
    PyList_SetItem(raw_.get(), index(k), array);
    if (rule & is_promoted) {
      if (like_ && PyArray_DESCR(like_) != PyArray_DESCR(as_array(array))) return false;
      like_ = as_array(array);
    }
    return true;
  }

  bool convert_numbers() {
    const int type = PyArray_TYPE(like_);
    if (type != NPY_FLOAT && type != NPY_DOUBLE) return false;
    for (Py_ssize_t k = 0; k < count_; ++k) {
      PyObject* value = PyList_GET_ITEM(raw_.get(), index(k));
      if (!(rules_[k] & is_promoted) || is_array(value) || is_none(value)) continue;
      PyObject* number = number_for(value, like_);
      if (!number) return false;
      PyList_SetItem(raw_.get(), index(k), number);
    }
    return true;
  }

  PyObject* values_;
  PyObject* indices_;
  const char* rules_;
  Py_ssize_t count_;
  Ref raw_;
  PyArrayObject* like_ = nullptr;  // the last of those that are promoted
  std::uint32_t types_ = 0;
  int mode_ = plain;
  bool promotes_ = false, numbers_ = false;
};

// core.operands.settled(values, indices, rules, unsettled).
PyObject* settled(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 4 || !PyList_CheckExact(args[0]) || !PyTuple_CheckExact(args[1]) ||
      !PyBytes_CheckExact(args[2]) || PyBytes_GET_SIZE(args[2]) != PyTuple_GET_SIZE(args[1])) {
    PyErr_SetString(PyExc_TypeError, "settled: expected (values, indices, rules, unsettled)");
    return nullptr;
  }
  const unsigned long unsettled = PyLong_AsUnsignedLong(args[3]);
  if (PyErr_Occurred()) return nullptr;
  Operands operands(args[0], args[1], PyBytes_AS_STRING(args[2]));
  if (!operands.look() || operands.types() & unsettled) {
    if (PyErr_Occurred()) return nullptr;
    Py_RETURN_NONE;
  }
  return Py_BuildValue("(NiI)", operands.release(), operands.mode(), operands.types());
}

// core.operands.types_of(values).
PyObject* types_of(PyObject*, PyObject* values) {
  if (!PyList_CheckExact(values)) {
    PyErr_SetString(PyExc_TypeError, "types_of: expected a list");
    return nullptr;
  }
  std::uint32_t types = 0;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(values); ++i) {
    PyObject* value = PyList_GET_ITEM(values, i);
    if (is_array(value)) {
      types |= bit_of(as_array(value));
    } else if (!is_none(value) && !PyLong_Check(value) && !PyFloat_CheckExact(value) &&
               !PyTuple_CheckExact(value)) {
      types |= std::uint32_t{1} << other_types;  // maybe an array of another device
    }
  }
  return PyLong_FromUnsignedLong(types);
}

PyObject* set_rules(PyObject*, PyObject* args) {
  if (!PyArg_ParseTuple(args, "iii", &may_be_none, &may_be_number, &is_promoted)) return nullptr;
  Py_RETURN_NONE;
}

template <class F>
PyCFunction fastcall(F* function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef functions[] = {
    {"made_entry", made_entry, METH_VARARGS, "A function as users call it."},
    {"quietly", fastcall(quietly), METH_FASTCALL | METH_KEYWORDS,
     "Call a function without warnings of NumPy's."},
    {"settled", fastcall(settled), METH_FASTCALL,
     "What the commonest calls of an operation compute with, or None."},
    {"types_of", types_of, METH_O, "Bits of the dtypes of the arrays among values."},
    {"set_silence", set_silence, METH_VARARGS, nullptr},
    {"set_told", set_told, METH_VARARGS, nullptr},
    {"set_rules", set_rules, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

// The values of all parameters; null, maybe without an exception, where Python is to bind them.
PyObject* bind(OpFunction* op, PyObject* const* args, Py_ssize_t given, PyObject* kwnames) {
  if (given > op->most) return nullptr;
  const Py_ssize_t count = PyList_GET_SIZE(op->defaults);
  Ref values(PyList_New(count));
  if (!values) return nullptr;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* value = i < given ? args[i] : PyList_GET_ITEM(op->defaults, i);
    PyList_SET_ITEM(values.get(), i, Py_NewRef(value));
  }
  for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); ++k) {
    PyObject* place = PyDict_GetItemWithError(op->index, PyTuple_GET_ITEM(kwnames, k));
    const Py_ssize_t i = place ? PyLong_AsSsize_t(place) : -1;
    if (i < given) return nullptr;
    PyList_SetItem(values.get(), i, Py_NewRef(args[given + k]));
  }
  for (Py_ssize_t i = given; i < count; ++i) {
    if (PyList_GET_ITEM(values.get(), i) == missing) return nullptr;
  }
  return values.release();
}

PyObject* call_entry(OpFunction* op, PyObject* const* args, std::size_t nargsf, PyObject* kwnames) {
  if (op->run && fast_paths && op->shortcut) {
    const Ref values(bind(op, args, PyVectorcall_NARGS(nargsf), kwnames));
    if (values) return PyObject_CallOneArg(op->run, values.get());
    if (PyErr_Occurred()) return nullptr;
  }
  return PyObject_Vectorcall(op->slow, args, nargsf, kwnames);
}

}  // namespace

Silence::Silence(bool wanted) {
  if (!wanted || !variable) return;
  PyObject* current = nullptr;
  works_ = PyContextVar_Get(variable, nullptr, &current) == 0;
  Py_XDECREF(current);
  if (works_ && current != silent) {
    token_ = PyContextVar_Set(variable, silent);
    works_ = token_ != nullptr;
  }
}

Silence::~Silence() {
  if (!token_) return;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  if (PyContextVar_Reset(variable, token_) < 0) PyErr_WriteUnraisable(variable);
  Py_DECREF(token_);
  PyErr_Restore(type, value, trace);
}

PyObject* enter(OpFunction* op, PyObject* const* args, std::size_t nargsf, PyObject* kwnames) {
  const Silence silence(op->computes);
  PyObject* result = silence ? call_entry(op, args, nargsf, kwnames) : nullptr;
  return result || !silence ? result : recover(op, args, PyVectorcall_NARGS(nargsf), kwnames);
}

bool add_entry(PyObject* module) { return PyModule_AddFunctions(module, functions) == 0; }

}  // namespace dtorch::core
