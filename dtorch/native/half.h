// Arrays of two-byte floating-point numbers.
#pragma once

#include "numpy_api.h"

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>

namespace dtorch {

// bfloat16, which the package ml_dtypes defines.
bool is_bfloat16(PyArrayObject* array);
// float16 or bfloat16.
bool is_half(PyArrayObject* array);

// Loops from and to float32 for a type of two bytes; null for other types.
using Widen = void (*)(const std::uint16_t* in, float* out, std::size_t count);
using Narrow = void (*)(const float* in, std::uint16_t* out, std::size_t count);
Widen widening(PyArray_Descr* type);
Narrow narrowing(PyArray_Descr* type);

// array.astype(type), of float16 and bfloat16 faster than NumPy where elements follow each other.
nanobind::object converted(nanobind::handle array, PyArray_Descr* type);

}  // namespace dtorch
