// Elementwise operations on NumPy arrays with loops of our own.
#pragma once

#include "kernels/elementwise.h"
#include "numpy_api.h"

namespace dtorch {

// A new array f(a, b) or f(input); null without an exception where the arrays are of types, shapes
// or memory orders that NumPy should handle; null with an exception set on an error.
PyObject* binary_array(Binary op, PyArrayObject* a, PyArrayObject* b);
PyObject* unary_array(Unary op, PyArrayObject* input);
// The same into `out`, which has the shape and type of the result; false where NumPy should do it.
bool binary_into(Binary op, PyArrayObject* a, PyArrayObject* b, PyArrayObject* out);
// Overwrites `a` with f(a, b) or f(a), where b has the shape of `a` or is one number; false where
// NumPy should do it.
bool binary_inplace(Binary op, PyArrayObject* a, PyArrayObject* b);
bool unary_inplace(Unary op, PyArrayObject* a);
// The elements of `a` where `condition` (bools) holds, of `b` elsewhere; these have its shape, or
// one element. Null without an exception as above.
PyObject* choose_array(PyArrayObject* condition, PyArrayObject* a, PyArrayObject* b);
// 0-dim array with the sum of all elements; null without an exception as above.
PyObject* sum_array(PyArrayObject* input);
// Sums over the dims first .. last - 1; null without an exception as above.
PyObject* sum_dims(PyArrayObject* input, int first, int last);

}  // namespace dtorch
