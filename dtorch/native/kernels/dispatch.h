// One source, several instruction sets.
//
// Every file in kernels/ is compiled once for each capability, into the namespace of that name.
// A header declares its kernels with DTORCH_KERNELS; DTORCH_DISPATCH(kernel) is a function object
// that calls the variant this process runs with.
//
// Kernels are plain loops: no templates or inline functions of the standard library, because the
// linker keeps one copy of those for all variants, and it may be the one with AVX-512.
#pragma once

#include "capability.h"

#if DTORCH_X86
#define DTORCH_KERNELS(...)    \
  namespace dtorch::baseline { \
  __VA_ARGS__                  \
  }                            \
  namespace dtorch::avx2 {     \
  __VA_ARGS__                  \
  }                            \
  namespace dtorch::avx512 {   \
  __VA_ARGS__                  \
  }
#define DTORCH_DISPATCH(kernel)                        \
  [](auto... arguments) {                              \
    switch (dtorch::capability()) {                    \
      case dtorch::Capability::avx512:                 \
        return dtorch::avx512::kernel(arguments...);   \
      case dtorch::Capability::avx2:                   \
        return dtorch::avx2::kernel(arguments...);     \
      default:                                         \
        return dtorch::baseline::kernel(arguments...); \
    }                                                  \
  }
#else
#define DTORCH_KERNELS(...)    \
  namespace dtorch::baseline { \
  __VA_ARGS__                  \
  }
#define DTORCH_DISPATCH(kernel) \
  [](auto... arguments) { return dtorch::baseline::kernel(arguments...); }
#endif
