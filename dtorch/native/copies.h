// Copies of NumPy arrays.
#pragma once

#include "numpy_api.h"

namespace dtorch {

// Copies the elements of one array to another of its shape and type, whose memory is not that of
// the first; false where NumPy should do it.
bool copy_array(PyArrayObject* from, PyArrayObject* to);

}  // namespace dtorch
