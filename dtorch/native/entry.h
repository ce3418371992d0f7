// What a call of dtorch's begins and ends with. Its Python forms are in dtorch/core/quiet.py and
// entry.py.
#pragma once

#include "op_function.h"

namespace dtorch::core {

// While there is one, NumPy does not warn in this thread, if that is wanted.
class Silence {
 public:
  explicit Silence(bool wanted = true);
  ~Silence();
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  explicit operator bool() const { return works_; }  // false with an exception set on an error

 private:
  PyObject* token_ = nullptr;  // null where it was silent before
  bool works_ = true;
};

// Calls the Python function of an operation that is an entry.
PyObject* enter(OpFunction* op, PyObject* const* args, std::size_t nargsf, PyObject* kwnames);

}  // namespace dtorch::core
