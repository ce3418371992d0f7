// OpFunction: an operation as Python calls it. Its commonest calls take a short way, which is done
// here; everything else goes to the operation's Python function.
#pragma once

#include "core.h"

namespace dtorch::core {

struct OpFunction;

// Does a call; null without an exception where the Python function should do it.
using Way = PyObject* (*)(OpFunction* op, PyObject* const* args, Py_ssize_t nargs);

struct OpFunction {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* dict;
  PyObject* weakrefs;
  PyObject* slow;       // the Python function
  PyObject* told;       // of an entry (entry.h) what says how it raises an error; or null
  PyObject* run;        // what calls end in, given the values of all parameters; or null
  PyObject* defaults;   // of the parameters, for `run`
  PyObject* index;      // their places by their names
  PyObject* op;         // the Op whose calls are recorded
  PyObject* signature;  // what gives the signature to show, or null
  PyObject* ufunc;      // of elementwise operations and products: NumPy's function, or null
  Way way;              // or null
  int most;             // how many positional arguments are for `run`
  int loop;             // of elementwise operations: a Binary or Unary, or -1
  int guard;            // kinds of numbers that are for the Python function
  char shortcut;        // 0: every call is for the Python function
  char computes;        // of an entry: 0 where NumPy has nothing to warn about
};

// One with a short way: a new one, or the given function where that is one without. Null with an
// exception set on an error.
OpFunction* new_op_function(PyObject* slow, Way way);

inline PyObject* short_way(OpFunction* op, PyObject* const* args, Py_ssize_t nargs) {
  return op->way && fast_paths && op->shortcut ? op->way(op, args, nargs) : nullptr;
}

// A number as a 0-dim array of the type of `like`; null, maybe without an exception, where that
// would change the type of a result.
PyObject* number_like(PyObject* number, PyArrayObject* like);

// Whether a short way ended in an exception that stands. Where an array was too large for NumPy or
// the memory, the Python function says so in its own words.
inline bool failed() {
  if (!PyErr_Occurred()) return false;
  if (!PyErr_ExceptionMatches(PyExc_MemoryError) && !PyErr_ExceptionMatches(PyExc_ValueError)) {
    return true;
  }
  PyErr_Clear();
  return false;
}

// The ways of views.cpp by their names.
struct NamedWay {
  const char* name;
  Way way;
};
extern const NamedWay view_ways[];  // ends with a null name

}  // namespace dtorch::core
