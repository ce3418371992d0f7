// Memory for the length of a call.
#pragma once

#include <cstddef>
#include <new>

#include "allocator.h"

namespace dtorch {

// Elements of the caching allocator, not initialised.
template <class T>
class Workspace {
 public:
  explicit Workspace(std::size_t elements) {
    std::size_t nbytes;
    if (!__builtin_mul_overflow(elements, sizeof(T), &nbytes)) {
      memory_ = static_cast<T*>(allocator::allocate(nbytes));
    }
    if (memory_ == nullptr) throw std::bad_alloc();
  }
  ~Workspace() { allocator::release(memory_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  T* get() const { return memory_; }

 private:
  T* memory_ = nullptr;
};

}  // namespace dtorch
