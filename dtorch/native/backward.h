// What a backward pass is made of, beside the walk in engine.cpp.
#pragma once

#include <vector>

#include "core.h"

namespace dtorch::core {

// Whether the holder of a reference alone can reach the memory of an array to which it has one
// reference: then there is no other. Where an array came from would not tell: a formula may give
// what it was given, what was saved, the same array for two inputs, or one that a user's function
// keeps.
inline bool is_buffer(PyObject* grad) {
  return is_array(grad) && Py_REFCNT(grad) == 1 && !PyArray_BASE(as_array(grad)) &&
         PyArray_FLAGS(as_array(grad)) & NPY_ARRAY_OWNDATA;
}

// Makes `grad`, an array, the gradient of a leaf or adds it; it is empty afterwards, unless the
// arrays are of kinds that Python adds. False with an exception set on an error.
bool accumulate(Tensor* leaf, Ref& grad);

// Whether a node is an OpNode, which the next ones are for.
bool is_op_node(PyObject* node);
// OpNode.apply of core.record, on arrays: appends the gradients for the edges. False with an
// exception set on an error.
bool apply_op(Node* node, PyObject* grad, std::vector<Ref>& grads);
// OpNode.release.
void release_op(Node* node);
// Appends the elements of a sequence as arrays.
bool take_all(PyObject* sequence, std::vector<Ref>& grads);

}  // namespace dtorch::core
