// Everything Python sees of the native module; the only file that knows Python types.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include "capability.h"

namespace nb = nanobind;

NB_MODULE(_native, m) {
  m.def("cpu_capability", [] { return dtorch::name(dtorch::capability()); });
}
