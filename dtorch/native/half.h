// Arrays of two-byte floating-point numbers.
#pragma once

#include "numpy_api.h"

#include <nanobind/nanobind.h>

namespace dtorch {

// bfloat16, which the package ml_dtypes defines.
bool is_bfloat16(PyArrayObject* array);
// float16 or bfloat16.
bool is_half(PyArrayObject* array);

// array.astype(type), of float16 and bfloat16 faster than NumPy where elements follow each other.
nanobind::object converted(nanobind::handle array, PyArray_Descr* type);

void bind_half(nanobind::module_& m);

}  // namespace dtorch
