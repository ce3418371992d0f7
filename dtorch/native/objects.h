// What the files of tensors, storages and nodes share among themselves.
#pragma once

#include "core.h"

namespace dtorch::core {

extern PyTypeObject* storage_base;

// A new type, which the module has under its name; null with an exception set on an error.
PyTypeObject* add_type(PyObject* module, PyType_Spec* spec);
// Puts a subclass of `base` in its place; false with an exception set on an error.
bool set_type(PyTypeObject*& place, PyObject* given, PyTypeObject* base, const char* function);

// Makes the tensor one that views the memory of a storage, or of none.
void link(Tensor* tensor, PyObject* storage);
void unlink(Tensor* tensor);
// The counter that views of a tensor share with it. Borrowed.
PyObject* shared_version(Tensor* tensor);

bool add_storage(PyObject* module);
bool add_node(PyObject* module);

}  // namespace dtorch::core
