#include "half.h"

#include "bindings.h"

#include <cstdint>
#include <cstring>

#include "core.h"
#include "kernels/half.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace dtorch {
namespace {

using core::as_array;

bool is_bfloat16_type(PyArray_Descr* type) {
  return PyTypeNum_ISUSERDEF(type->type_num) && PyDataType_ELSIZE(type) == 2 &&
         std::strcmp(type->typeobj->tp_name, "ml_dtypes.bfloat16") == 0;
}

// Null for arrays that the kernels do not know.
PyObject* by_kernel(PyArrayObject* array, PyArray_Descr* type) {
  const Widen widen = type->type_num == NPY_FLOAT ? widening(PyArray_DESCR(array)) : nullptr;
  const Narrow narrow = PyArray_TYPE(array) == NPY_FLOAT ? narrowing(type) : nullptr;
  if (!(widen || narrow) || !PyArray_ISONESEGMENT(array) || !PyArray_ISBEHAVED_RO(array) ||
      !PyArray_ISNBO(type->byteorder)) {
    return nullptr;
  }
  Py_INCREF(type);
  PyObject* out = PyArray_NewLikeArray(array, NPY_KEEPORDER, type, 0);
  if (out == nullptr) throw nb::python_error();
  const auto count = static_cast<std::size_t>(PyArray_SIZE(array));
  const void* from = PyArray_DATA(array);
  void* to = PyArray_DATA(as_array(out));
  const nb::gil_scoped_release released;
  if (widen) {
    widen(static_cast<const std::uint16_t*>(from), static_cast<float*>(to), count);
  } else {
    narrow(static_cast<const float*>(from), static_cast<std::uint16_t*>(to), count);
  }
  return out;
}

nb::object convert(nb::handle array, nb::handle type) {
  if (PyArray_CheckExact(array.ptr()) && PyArray_DescrCheck(type.ptr())) {
    auto* descr = reinterpret_cast<PyArray_Descr*>(type.ptr());
    if (PyObject* result = by_kernel(as_array(array.ptr()), descr)) return nb::steal(result);
  }
  return array.attr("astype")(type);
}

}  // namespace

Widen widening(PyArray_Descr* type) {
  if (type->type_num == NPY_HALF) return DTORCH_DISPATCH(widen_float16);
  if (is_bfloat16_type(type)) return DTORCH_DISPATCH(widen_bfloat16);
  return nullptr;
}
Narrow narrowing(PyArray_Descr* type) {
  if (type->type_num == NPY_HALF) return DTORCH_DISPATCH(narrow_float16);
  if (is_bfloat16_type(type)) return DTORCH_DISPATCH(narrow_bfloat16);
  return nullptr;
}

bool is_bfloat16(PyArrayObject* array) { return is_bfloat16_type(PyArray_DESCR(array)); }

bool is_half(PyArrayObject* array) { return PyArray_TYPE(array) == NPY_HALF || is_bfloat16(array); }

nb::object converted(nb::handle array, PyArray_Descr* type) {
  if (PyArray_CheckExact(array.ptr())) {
    if (PyObject* result = by_kernel(as_array(array.ptr()), type)) return nb::steal(result);
  }
  Py_INCREF(type);
  PyObject* result =
      PyArray_FromAny(array.ptr(), type, 0, 0, NPY_ARRAY_ALIGNED | NPY_ARRAY_FORCECAST, nullptr);
  if (result == nullptr) throw nb::python_error();
  return nb::steal(result);
}

void bind_half(nb::module_& m) {
  m.def("convert", convert, "array"_a, "dtype"_a, "array.astype(dtype)");
}

}  // namespace dtorch
