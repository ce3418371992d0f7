// Operations computed by a loop over elements: the loop as a kernel, and the short way of a call.
#include "entry.h"

#include <structmember.h>

#include <cstddef>
#include <cstring>
#include <iterator>

#include "elementwise.h"
#include "half.h"

namespace dtorch::core {

PyObject* number_like(PyObject* number, PyArrayObject* like) {
  const int type = PyArray_TYPE(like);
  double value;
  if (PyFloat_CheckExact(number)) {
    value = PyFloat_AS_DOUBLE(number);
  } else if (PyLong_CheckExact(number)) {
    if (type == NPY_LONG) {
      const long whole = PyLong_AsLong(number);
      if (whole == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return nullptr;
      }
      PyObject* array = PyArray_EMPTY(0, nullptr, NPY_LONG, 0);
      if (array) *static_cast<long*>(PyArray_DATA(as_array(array))) = whole;
      return array;
    }
    value = PyLong_AsDouble(number);
    if (value == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
      return nullptr;
    }
  } else {
    return nullptr;
  }
  if (type != NPY_FLOAT && type != NPY_DOUBLE) return nullptr;
  PyObject* array = PyArray_EMPTY(0, nullptr, type, 0);
  if (!array) return nullptr;
  if (type == NPY_FLOAT) {
    *static_cast<float*>(PyArray_DATA(as_array(array))) = static_cast<float>(value);
  } else {
    *static_cast<double*>(PyArray_DATA(as_array(array))) = value;
  }
  return array;
}

namespace {

// ----------------------------------------------------------------------------- loops as kernels

struct Loop {
  PyObject_HEAD vectorcallfunc vectorcall;
  int arity;
  int code;  // a Binary or Unary
};

#define DTORCH_NAME(name) #name,
constexpr const char* binary_names[] = {DTORCH_BINARY_LOOPS(DTORCH_NAME)};
constexpr const char* unary_names[] = {DTORCH_UNARY_LOOPS(DTORCH_NAME)};
#undef DTORCH_NAME

PyObject* as_operand(PyObject* value, PyObject* beside) {
  if (is_array(value)) return Py_NewRef(value);
  return is_array(beside) ? number_like(value, as_array(beside)) : nullptr;
}

// Arrays in, an array out; None for what is not for the loop.
PyObject* call_loop(PyObject* self, PyObject* const* args, std::size_t nargsf, PyObject* kwnames) {
  const auto* loop = reinterpret_cast<const Loop*>(self);
  if (!kwnames && PyVectorcall_NARGS(nargsf) == loop->arity) {
    PyObject* result = nullptr;
    if (loop->arity == 2) {
      const Ref a(as_operand(args[0], args[1])), b(as_operand(args[1], args[0]));
      if (a && b) {
        result =
            binary_array(static_cast<Binary>(loop->code), as_array(a.get()), as_array(b.get()));
      }
    } else if (is_array(args[0])) {
      result = unary_array(static_cast<Unary>(loop->code), as_array(args[0]));
    }
    if (result || PyErr_Occurred()) return result;
  }
  Py_RETURN_NONE;
}

PyMemberDef loop_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Loop, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyType_Slot loop_slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                            {Py_tp_members, loop_members},
                            {0, nullptr}};
PyType_Spec loop_spec = {
    "dtorch._native.Loop", sizeof(Loop), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    loop_slots};
PyTypeObject* loop_type = nullptr;

PyObject* new_loop(int arity, std::size_t code) {
  PyObject* self = loop_type->tp_alloc(loop_type, 0);
  if (!self) return nullptr;
  auto* loop = reinterpret_cast<Loop*>(self);
  loop->vectorcall = call_loop;
  loop->arity = arity;
  loop->code = static_cast<int>(code);
  return self;
}

PyObject* find_loop(PyObject*, PyObject* wanted) {
  const char* name = PyUnicode_AsUTF8(wanted);
  if (!name) return nullptr;
  for (std::size_t i = 0; i < std::size(binary_names); ++i) {
    if (std::strcmp(name, binary_names[i]) == 0) return new_loop(2, i);
  }
  for (std::size_t i = 0; i < std::size(unary_names); ++i) {
    if (std::strcmp(name, unary_names[i]) == 0) return new_loop(1, i);
  }
  return PyErr_Format(PyExc_ValueError, "there is no loop %s", name);
}

// ----------------------------------------------------------------------------- other kernels

PyObject* array_sum_dims(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs == 3 && is_array(args[0])) {
    const long first = PyLong_AsLong(args[1]), last = PyLong_AsLong(args[2]);
    if (PyErr_Occurred()) return nullptr;
    PyObject* result = sum_dims(as_array(args[0]), static_cast<int>(first), static_cast<int>(last));
    if (result || PyErr_Occurred()) return result;
  }
  Py_RETURN_NONE;
}

PyObject* array_choose(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs == 3 && is_array(args[0]) && is_array(args[1]) && is_array(args[2])) {
    PyObject* result = choose_array(as_array(args[0]), as_array(args[1]), as_array(args[2]));
    if (result || PyErr_Occurred()) return result;
  }
  Py_RETURN_NONE;
}

// ------------------------------------------------------------------------------- computation

// In place of a loop: `ufunc` is no function of single elements, and float16 and bfloat16 need not
// be widened for it.
constexpr int whole_array = -2;
int guard_integers = 0, guard_complex = 0;  // bits of a guard, set by core.dispatch

PyObject* call_ufunc(OpFunction* op, PyObject* const* args, std::size_t nargs) {
  if (!op->ufunc) return nullptr;
  const Silence silence;
  PyObject* result = silence ? PyObject_Vectorcall(op->ufunc, args, nargs, nullptr) : nullptr;
  if (result) return ensure_array(result);
  PyErr_Clear();  // the Python function will say what is wrong
  return nullptr;
}

bool is_guarded(OpFunction* op, PyArrayObject* array) {
  if (!op->guard || PyArray_ISFLOAT(array)) return false;
  if (PyArray_ISCOMPLEX(array)) return op->guard & guard_complex;
  return op->guard & guard_integers && !is_bfloat16(array);
}

// Whether NumPy's function may be called: functions of single elements are for float32 then, unless
// a loop of our own has seen to that.
bool is_for_numpy(OpFunction* op, PyObject* a) {
  return op->loop <= whole_array || !is_half(as_array(a));
}

PyObject* compute_unary(OpFunction* op, PyObject* a) {
  if (is_guarded(op, as_array(a))) return nullptr;
  if (op->loop >= 0) {
    PyObject* result = unary_array(static_cast<Unary>(op->loop), as_array(a));
    if (result || PyErr_Occurred()) return result;
  }
  return is_for_numpy(op, a) ? call_ufunc(op, &a, 1) : nullptr;
}

// For arrays of one type and, as that rule counts dims, not for a 0-dim one beside another.
PyObject* compute_binary(OpFunction* op, PyObject* a, PyObject* b) {
  if (PyArray_DESCR(as_array(a)) != PyArray_DESCR(as_array(b)) || is_guarded(op, as_array(a))) {
    return nullptr;
  }
  if (op->loop >= 0) {
    PyObject* result = binary_array(static_cast<Binary>(op->loop), as_array(a), as_array(b));
    if (result || PyErr_Occurred()) return result;
  }
  PyObject* args[] = {a, b};
  return is_for_numpy(op, a) ? call_ufunc(op, args, 2) : nullptr;
}

// Wraps the result (a reference is taken over) and gives it the history the operands call for.
PyObject* finish(OpFunction* op, PyObject* const* args, Py_ssize_t nargs, PyObject* result,
                 int mode) {
  PyObject* out = wrap(result);
  if (!out || mode == plain) return out;
  if (!set_history(op->op, args, nargs, &out, 1, nullptr, mode)) Py_CLEAR(out);
  return out;
}

PyObject* unary_way(OpFunction* op, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 1 || !is_tensor(args[0])) return nullptr;
  Tensor* a = as_tensor(args[0]);
  const Ref array = hold(a->array);
  if (!is_array(array.get()) || a->mode & is_inference) return nullptr;
  PyObject* result = compute_unary(op, array.get());
  return result ? finish(op, args, 1, result, a->mode) : nullptr;
}

PyObject* binary_way(OpFunction* op, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 2) return nullptr;
  const bool a_is = is_tensor(args[0]), b_is = is_tensor(args[1]);
  const Ref a_held = hold(a_is ? as_tensor(args[0])->array : nullptr);
  const Ref b_held = hold(b_is ? as_tensor(args[1])->array : nullptr);
  PyObject *a = a_held.get(), *b = b_held.get();
  const int mode = (a_is ? as_tensor(args[0])->mode : 0) | (b_is ? as_tensor(args[1])->mode : 0);
  if (mode & is_inference) return nullptr;
  PyObject* result;
  if (a_is && b_is) {
    if (!is_array(a) || !is_array(b)) return nullptr;
    result = compute_binary(op, a, b);
  } else if (a_is && is_array(a)) {
    PyObject* number = number_like(args[1], as_array(a));
    if (!number) return nullptr;
    result = compute_binary(op, a, number);
    Py_DECREF(number);
  } else if (b_is && is_array(b)) {
    PyObject* number = number_like(args[0], as_array(b));
    if (!number) return nullptr;
    result = compute_binary(op, number, b);
    Py_DECREF(number);
  } else {
    return nullptr;
  }
  return result ? finish(op, args, 2, result, mode) : nullptr;
}

// The change of a tensor that is not recorded: a plain one that is no view, or any without grad.
template <int arity>
PyObject* inplace_way(OpFunction* op, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != arity || !is_tensor(args[0])) return nullptr;
  Tensor* a = as_tensor(args[0]);
  const Ref changed = hold(a->array);
  if (!is_array(changed.get())) return nullptr;
  PyArrayObject* array = as_array(changed.get());
  PyObject* other = arity == 2 ? args[1] : nullptr;
  int mode = a->mode;
  const Ref b = hold(other && is_tensor(other) ? as_tensor(other)->array : nullptr);
  if (b) {
    mode |= as_tensor(other)->mode;
    if (!is_array(b.get())) return nullptr;
  }
  if ((mode & ~requires_grad) ||
      ((mode || !is_none(a->view)) && current_grad_mode() != GradMode::disabled)) {
    return nullptr;
  }
  if (is_guarded(op, array)) return nullptr;
  bool done;
  if (!other) {
    done = unary_inplace(static_cast<Unary>(op->loop), array);
  } else if (b) {
    done = (PyArray_NDIM(as_array(b.get())) || !PyArray_NDIM(array)) &&
           binary_inplace(static_cast<Binary>(op->loop), array, as_array(b.get()));
  } else {
    PyObject* number = number_like(other, array);
    if (!number) return nullptr;
    done = binary_inplace(static_cast<Binary>(op->loop), array, as_array(number));
    Py_DECREF(number);
  }
  if (!done) return nullptr;
  return bump(a) ? Py_NewRef(args[0]) : nullptr;
}

// -------------------------------------------------------------------------------- their functions

// The loop's number, or `none` without one; -1 with an exception set where it is of another arity.
bool loop_for(PyObject* loop, int arity, int& code) {
  if (loop == Py_None) return true;
  if (!PyObject_TypeCheck(loop, loop_type) || reinterpret_cast<Loop*>(loop)->arity != arity) {
    PyErr_Format(PyExc_ValueError, "expected a loop over %d operands, or None", arity);
    return false;
  }
  code = reinterpret_cast<Loop*>(loop)->code;
  return true;
}

PyObject* make_function(PyObject* slow, Way way, PyObject* ufunc, int loop, int guard) {
  OpFunction* op = new_op_function(slow, way);
  if (!op) return nullptr;
  op->ufunc = is_none(ufunc) ? nullptr : Py_NewRef(ufunc);
  op->loop = loop;
  op->guard = guard;
  return reinterpret_cast<PyObject*>(op);
}

PyObject* elementwise_way(PyObject*, PyObject* args) {
  PyObject *slow, *ufunc, *loop;
  int arity, guard, code = -1;
  if (!PyArg_ParseTuple(args, "OOOii", &slow, &ufunc, &loop, &arity, &guard) ||
      !loop_for(loop, arity, code)) {
    return nullptr;
  }
  return make_function(slow, arity == 1 ? unary_way : binary_way, ufunc, code, guard);
}

PyObject* whole_way(PyObject*, PyObject* args) {
  PyObject *slow, *function;
  int arity, guard;
  if (!PyArg_ParseTuple(args, "OOii", &slow, &function, &arity, &guard)) return nullptr;
  return make_function(slow, arity == 1 ? unary_way : binary_way, function, whole_array, guard);
}

PyObject* changing_way(PyObject*, PyObject* args) {
  PyObject *slow, *loop;
  int arity, guard, code = -1;
  if (!PyArg_ParseTuple(args, "OO!ii", &slow, loop_type, &loop, &arity, &guard) ||
      !loop_for(loop, arity, code)) {
    return nullptr;
  }
  return make_function(slow, arity == 1 ? inplace_way<1> : inplace_way<2>, nullptr, code, guard);
}

PyObject* set_guards(PyObject*, PyObject* args) {
  if (!PyArg_ParseTuple(args, "ii", &guard_integers, &guard_complex)) return nullptr;
  Py_RETURN_NONE;
}

template <class F>
PyCFunction fastcall(F* function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef functions[] = {
    {"find_loop", find_loop, METH_O, "The loop of a name, as a kernel on arrays."},
    {"elementwise_way", elementwise_way, METH_VARARGS,
     "A function whose calls compute by a loop, or NumPy's function."},
    {"whole_way", whole_way, METH_VARARGS,
     "A function whose calls compute by one of whole arrays."},
    {"changing_way", changing_way, METH_VARARGS,
     "A function whose calls overwrite the first operand by a loop."},
    {"array_sum_dims", fastcall(array_sum_dims), METH_FASTCALL,
     "Sums over dims first .. last - 1, or None."},
    {"array_choose", fastcall(array_choose), METH_FASTCALL,
     "The second where the first holds, else the third; or None."},
    {"set_guards", set_guards, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_loops(PyObject* module) {
  PyObject* type = PyType_FromSpec(&loop_spec);
  if (!type) return false;
  loop_type = reinterpret_cast<PyTypeObject*>(type);
  return PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
