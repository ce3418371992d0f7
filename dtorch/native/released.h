// The interpreter's lock, given up while other threads of Python may run.
#pragma once

#include "numpy_api.h"

namespace dtorch {

// Runs without the interpreter's lock where the work is worth the exchange. Other threads may give
// a tensor another array meanwhile: who computes holds a reference to each array.
class Released {
 public:
  explicit Released(bool worthwhile) : state_(worthwhile ? PyEval_SaveThread() : nullptr) {}
  ~Released() {
    if (state_) PyEval_RestoreThread(state_);
  }
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace dtorch
