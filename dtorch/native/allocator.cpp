#include "allocator.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "blocks.h"

namespace dtorch::allocator {
namespace {

const bool ready = [] {
  set_up_small();
  set_up_large();
  pthread_atfork([] { central.lock(); }, [] { central.unlock(); }, [] { central.unlock(); });
  return true;
}();

std::size_t usable_nbytes(void* block) noexcept {
  return is_small(block) ? small_nbytes(block) : large_nbytes(block);
}

// AddressSanitizer knows nothing of blocks that are larger than what was asked for: it is told that
// what lies behind the bytes asked for may not be touched, until the block is opened again.
void close_behind([[maybe_unused]] void* block, [[maybe_unused]] std::size_t nbytes) noexcept {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(block) + nbytes, usable_nbytes(block) - nbytes);
#endif
}
void open_whole([[maybe_unused]] void* block) noexcept {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(block, usable_nbytes(block));
#endif
}

void* find_block(std::size_t nbytes) noexcept {
  if (nbytes <= small_max) {
    if (void* block = allocate_small(nbytes)) return block;
  }
  return allocate_large(nbytes);
}

}  // namespace

void* allocate(std::size_t nbytes) noexcept {
  void* block = find_block(nbytes);
  if (block != nullptr) close_behind(block, nbytes);
  return block;
}

void* allocate_zeroed(std::size_t nbytes) noexcept {
  void* block = allocate(nbytes);
  if (block == nullptr) return nullptr;
  if (is_small(block) || is_touched(block)) std::memset(block, 0, nbytes);
  return block;
}

void* resize(void* block, std::size_t nbytes) noexcept {
  if (block == nullptr) return allocate(nbytes);
  const std::size_t usable = usable_nbytes(block);
  open_whole(block);
  // A block that is more than half used stays where it is: growing arrays step by step is cheap.
  if (nbytes <= usable && nbytes > usable / 2) {
    if (!is_small(block)) touch(block);
    close_behind(block, nbytes);
    return block;
  }
  void* moved = allocate(nbytes);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, block, std::min(usable, nbytes));
  if (!is_small(moved)) touch(moved);
  release(block);
  return moved;
}

void release(void* block) noexcept {
  if (block == nullptr) return;
  open_whole(block);
  if (is_small(block)) {
    release_small(block);
  } else {
    release_large(block);
  }
}

Stats stats() noexcept {
  Guard guard(central);
  Stats now = large_stats();
  now.slab_bytes = slab_nbytes_used();
  return now;
}

}  // namespace dtorch::allocator
