// Steps between which Python runs no handler of a signal; see dtorch/core/interrupts.py.

#include "core.h"

#include <csignal>

namespace dtorch::core {

namespace {

// The `__del__` of a class: what is raised in there is dropped, so Ctrl-C must not be raised there.

struct Finalizer {
  PyObject_HEAD PyObject* function;
};

constexpr int kTries = 8;

PyObject* call_finalizer(PyObject* self, PyObject* args, PyObject* kwargs) {
  PyObject* function = reinterpret_cast<Finalizer*>(self)->function;
  bool interrupted = false;
  PyObject* result = nullptr;
  for (int i = 0; i < kTries && !result; ++i) {
    result = PyObject_Call(function, args, kwargs);
    if (result || !PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) break;
    PyErr_Clear();
    interrupted = true;
  }
  // Raised again as soon as the program itself goes on.
  if (interrupted) PyErr_SetInterruptEx(SIGINT);
  if (!result && !PyErr_Occurred()) Py_RETURN_NONE;
  return result;
}

PyObject* bind_finalizer(PyObject* self, PyObject* object, PyObject*) {
  return object ? PyMethod_New(self, object) : Py_NewRef(self);
}

PyObject* new_finalizer(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject* function;
  static const char* names[] = {"function", nullptr};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", const_cast<char**>(names), &function)) {
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self) reinterpret_cast<Finalizer*>(self)->function = Py_NewRef(function);
  return self;
}

void free_finalizer(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_CLEAR(reinterpret_cast<Finalizer*>(self)->function);
  type->tp_free(self);
  Py_DECREF(type);
}

template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}

PyType_Slot finalizer_slots[] = {{Py_tp_new, slot(new_finalizer)},
                                 {Py_tp_dealloc, slot(free_finalizer)},
                                 {Py_tp_call, slot(call_finalizer)},
                                 {Py_tp_descr_get, slot(bind_finalizer)},
                                 {0, nullptr}};
PyType_Spec finalizer_spec = {"dtorch._native.Finalizer", sizeof(Finalizer), 0, Py_TPFLAGS_DEFAULT,
                              finalizer_slots};

// try_holding(lock, function, *args): what the function gives, called while the lock is held; None
// if somebody else has the lock.
PyObject* try_holding(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 2) {
    PyErr_SetString(PyExc_TypeError, "try_holding(lock, function, *args)");
    return nullptr;
  }
  PyObject* acquired = PyObject_CallMethod(args[0], "acquire", "O", Py_False);
  if (!acquired) return nullptr;
  const int is_held = PyObject_IsTrue(acquired);
  Py_DECREF(acquired);
  if (is_held < 0) return nullptr;
  if (!is_held) Py_RETURN_NONE;
  PyObject* result =
      PyObject_Vectorcall(args[1], args + 2, static_cast<size_t>(count - 2), nullptr);
  PyObject *kind, *error, *trace;
  PyErr_Fetch(&kind, &error, &trace);
  PyObject* released = PyObject_CallMethod(args[0], "release", nullptr);
  if (!released) {
    Py_CLEAR(result);
    Py_XDECREF(kind);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return nullptr;
  }
  Py_DECREF(released);
  PyErr_Restore(kind, error, trace);
  return result;
}

PyMethodDef functions[] = {
    {"try_holding", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(try_holding)),
     METH_FASTCALL, "Call a function while a lock is held; None if somebody else has it."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_interrupts(PyObject* module) {
  PyObject* type = PyType_FromSpec(&finalizer_spec);
  if (!type) return false;
  const int added = PyModule_AddObjectRef(module, "Finalizer", type);
  Py_DECREF(type);
  return added == 0 && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
