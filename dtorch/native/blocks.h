// The two kinds of blocks of allocator.h: small ones from slabs, large ones with a cache.
#pragma once

#include <sched.h>

#include <atomic>

#include "allocator.h"

namespace dtorch::allocator {

// Held for some tens of instructions, almost always uncontended (NumPy allocates under the GIL).
class SpinLock {
 public:
  void lock() noexcept {
    while (flag_.test_and_set(std::memory_order_acquire)) sched_yield();
  }
  void unlock() noexcept { flag_.clear(std::memory_order_release); }

 private:
  std::atomic_flag flag_;
};

class Guard {
 public:
  explicit Guard(SpinLock& lock) noexcept : lock_(lock) { lock_.lock(); }
  ~Guard() { lock_.unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  SpinLock& lock_;
};

// Guards both kinds of blocks but for the lists of each thread. Taken around fork, so that the
// child finds lists in order and the lock free whatever other threads of the parent were doing.
inline constinit SpinLock central;

// Blocks of at most `small_max` bytes.
inline constexpr std::size_t small_max = 1024;
void set_up_small() noexcept;
void* allocate_small(std::size_t nbytes) noexcept;
void release_small(void* block) noexcept;
bool is_small(const void* block) noexcept;
std::size_t small_nbytes(const void* block) noexcept;  // that it has room for
std::size_t slab_nbytes_used() noexcept;               // under the lock

// Larger ones.
void set_up_large() noexcept;
void* allocate_large(std::size_t nbytes) noexcept;
void release_large(void* block) noexcept;
std::size_t large_nbytes(const void* block) noexcept;
// Whether it may hold anything but zeros.
bool is_touched(const void* block) noexcept;
void touch(void* block) noexcept;
Stats large_stats() noexcept;  // under the lock

}  // namespace dtorch::allocator
