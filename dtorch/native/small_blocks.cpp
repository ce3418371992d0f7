#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "blocks.h"

namespace dtorch::allocator {
namespace {

// All slabs lie in one reserved range of addresses, so one comparison tells a small block from a
// large one: the size that NumPy passes when it frees is not always the size it asked for.
constexpr std::size_t small_classes = small_max / alignment;
constexpr std::size_t slab_nbytes = 64 * 1024;
constexpr std::size_t slab_range = std::size_t{4} << 30;
constexpr std::size_t slab_count = slab_range / slab_nbytes;
constexpr std::size_t commit_step = 16 * slab_nbytes;
constexpr std::uint32_t thread_list_max = 128;  // blocks a thread keeps for each class

struct FreeBlock {
  FreeBlock* next;
};

struct FreeList {
  FreeBlock* head = nullptr;
  std::uint32_t count = 0;

  void push(void* block) noexcept {
    head = new (block) FreeBlock{head};
    ++count;
  }
  void* pop() noexcept {
    FreeBlock* block = head;
    head = block->next;
    --count;
    return block;
  }
};

struct ThreadLists {
  FreeList classes[small_classes];
};

enum class SlabState : std::uint8_t { untried, ready, refused };

constinit SlabState slab_state = SlabState::untried;
constinit std::uintptr_t slab_base = 0;
constinit std::size_t slab_committed = 0;  // bytes made readable
constinit std::size_t slab_used = 0;       // bytes cut into slabs
constinit std::uint8_t slab_class[slab_count] = {};
constinit FreeList small_lists[small_classes] = {};

#if defined(__GLIBC__)
// One pointer fits into the space that the loader keeps for it; the access is a single load.
#define DTORCH_TLS __attribute__((tls_model("initial-exec")))
#else
#define DTORCH_TLS
#endif
thread_local ThreadLists* thread_lists DTORCH_TLS = nullptr;
pthread_key_t thread_exit_key;

std::size_t small_class(std::size_t nbytes) noexcept {
  return nbytes == 0 ? 0 : (nbytes - 1) / alignment;
}

std::size_t small_class_of(const void* block) noexcept {
  return slab_class[(reinterpret_cast<std::uintptr_t>(block) - slab_base) / slab_nbytes];
}

bool reserve_slabs() noexcept {
  if (slab_state == SlabState::untried) {
    void* range =
        mmap(nullptr, slab_range, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    slab_state = range == MAP_FAILED ? SlabState::refused : SlabState::ready;
    if (slab_state == SlabState::ready) slab_base = reinterpret_cast<std::uintptr_t>(range);
  }
  return slab_state == SlabState::ready;
}

// Cuts a new slab into blocks on the central list. False: no addresses or no memory left.
bool add_slab(std::size_t index) noexcept {
  if (!reserve_slabs() || slab_used == slab_range) return false;
  if (slab_used == slab_committed) {
    void* fresh = reinterpret_cast<void*>(slab_base + slab_committed);
    if (mprotect(fresh, commit_step, PROT_READ | PROT_WRITE) != 0) return false;
    slab_committed += commit_step;
  }
  slab_class[slab_used / slab_nbytes] = static_cast<std::uint8_t>(index);
  const std::size_t block_nbytes = (index + 1) * alignment;
  const std::uintptr_t start = slab_base + slab_used;
  slab_used += slab_nbytes;
  for (std::size_t i = slab_nbytes / block_nbytes; i-- > 0;) {
    small_lists[index].push(reinterpret_cast<void*>(start + i * block_nbytes));
  }
  return true;
}

void move(FreeList& from, FreeList& to, std::uint32_t count) noexcept {
  while (count-- > 0) to.push(from.pop());
}

void return_thread_lists(void* lists) noexcept {
  auto* own = static_cast<ThreadLists*>(lists);
  thread_lists = nullptr;
  {
    Guard guard(central);
    for (std::size_t i = 0; i < small_classes; ++i) {
      move(own->classes[i], small_lists[i], own->classes[i].count);
    }
  }
  delete own;
}

ThreadLists* make_thread_lists() noexcept {
  auto* lists = new (std::nothrow) ThreadLists;
  if (lists == nullptr) return nullptr;
  pthread_setspecific(thread_exit_key, lists);
  return thread_lists = lists;
}

void* allocate_small_slowly(std::size_t index) noexcept {
  ThreadLists* lists = thread_lists != nullptr ? thread_lists : make_thread_lists();
  Guard guard(central);
  FreeList& shared = small_lists[index];
  if (shared.count == 0 && !add_slab(index)) return nullptr;
  if (lists != nullptr) {
    move(shared, lists->classes[index], std::min(shared.count - 1, thread_list_max / 2));
  }
  return shared.pop();
}

}  // namespace

bool is_small(const void* block) noexcept {
  return reinterpret_cast<std::uintptr_t>(block) - slab_base < slab_range && slab_base != 0;
}

std::size_t small_nbytes(const void* block) noexcept {
  return (small_class_of(block) + 1) * alignment;
}

std::size_t slab_nbytes_used() noexcept { return slab_used; }

void* allocate_small(std::size_t nbytes) noexcept {
  const std::size_t index = small_class(nbytes);
  if (thread_lists != nullptr) {
    FreeList& own = thread_lists->classes[index];
    if (own.count != 0) return own.pop();
  }
  return allocate_small_slowly(index);
}

void release_small(void* block) noexcept {
  const std::size_t index = small_class_of(block);
  if (thread_lists == nullptr && make_thread_lists() == nullptr) {
    Guard guard(central);
    small_lists[index].push(block);
    return;
  }
  FreeList& own = thread_lists->classes[index];
  own.push(block);
  if (own.count <= thread_list_max) return;
  Guard guard(central);
  move(own, small_lists[index], thread_list_max / 2);
}

void set_up_small() noexcept { pthread_key_create(&thread_exit_key, return_thread_lists); }

}  // namespace dtorch::allocator
