#include "allocator.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "system_limits.h"

namespace dtorch::allocator {
namespace {

// ------------------------------------------------------------------------------------- lock

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

// Guards everything below but the per-thread lists. Taken around fork, so that the child finds
// lists in order and the lock free whatever other threads of the parent were doing.
constinit SpinLock central;

// ------------------------------------------------------------------------------ small blocks

// All slabs lie in one reserved range of addresses, so one comparison tells a small block from a
// large one: the size that NumPy passes when it frees is not always the size it asked for.
constexpr std::size_t small_max = 1024;
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

bool is_small(const void* block) noexcept {
  return reinterpret_cast<std::uintptr_t>(block) - slab_base < slab_range && slab_base != 0;
}

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

// ------------------------------------------------------------------------------ large blocks

// Stands in the 64 bytes before the data.
struct alignas(alignment) Header {
  std::size_t capacity;  // bytes of data
  std::uint32_t index;   // size class
  bool touched;          // false: fresh from the system and still zero
  Header* newer;         // cache in order of freeing
  Header* older;
  Header* next;  // free blocks of the same class
  Header* previous;
};
static_assert(sizeof(Header) == alignment);

// Eight classes for each power of two: at most 1/8 of a block is unused.
constexpr unsigned class_bits = 3;
constexpr std::size_t class_count = (64 - 10) << class_bits;
// From here on blocks are mappings of their own, which go back to the system when unmapped.
constexpr std::size_t mapped_min = std::size_t{1} << 20;
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t largest_page = 64 * 1024;  // arm64 kernels come with 4, 16 or 64 KiB
// Requests above this can not be met on any machine, and below it no sum here overflows.
constexpr std::size_t nbytes_max = std::size_t{1} << 46;
// The system promises more than there is, above all in a container, and ends who uses it.
std::atomic<std::size_t> largest = nbytes_max;

constinit Header* free_blocks[class_count] = {};
constinit Header* newest = nullptr;
constinit Header* oldest = nullptr;
constinit Stats totals = {};

std::size_t round_up(std::size_t value, std::size_t unit) noexcept {
  return (value + unit - 1) / unit * unit;
}

struct SizeClass {
  std::size_t capacity;
  std::uint32_t index;
};

SizeClass size_class(std::size_t nbytes) noexcept {
  nbytes = std::max(nbytes, small_max + 1);
  const unsigned power = static_cast<unsigned>(std::bit_width(nbytes - 1)) - 1;
  const std::size_t step = std::size_t{1} << (power - class_bits);
  const std::size_t capacity = round_up(nbytes, step);
  const std::size_t eighth = (capacity - (std::size_t{1} << power)) / step;  // 1 to 8
  return {capacity, static_cast<std::uint32_t>(((power - 10) << class_bits) + eighth - 1)};
}

void* data_of(Header* header) noexcept { return header + 1; }
Header* header_of(void* block) noexcept { return static_cast<Header*>(block) - 1; }

bool is_mapped(std::size_t capacity) noexcept { return capacity >= mapped_min; }

std::size_t mapped_nbytes(std::size_t capacity) noexcept {
  return round_up(capacity + sizeof(Header), largest_page);
}

// Aligned to a huge page when it is large enough to hold one.
void* map(std::size_t nbytes) noexcept {
  const std::size_t slack = nbytes >= huge_page ? huge_page : 0;
  void* range =
      mmap(nullptr, nbytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (range == MAP_FAILED) return nullptr;
  if (slack == 0) return range;
  const auto start = reinterpret_cast<std::uintptr_t>(range);
  const std::uintptr_t aligned = round_up(start, huge_page);
  if (aligned != start) munmap(range, aligned - start);
  const std::size_t tail = start + nbytes + slack - (aligned + nbytes);
  if (tail != 0) munmap(reinterpret_cast<void*>(aligned + nbytes), tail);
#if defined(MADV_HUGEPAGE)
  madvise(reinterpret_cast<void*>(aligned), nbytes, MADV_HUGEPAGE);
#endif
  return reinterpret_cast<void*>(aligned);
}

Header* request_from_system(SizeClass size) noexcept {
  const bool mapped = is_mapped(size.capacity);
  void* memory = mapped ? map(mapped_nbytes(size.capacity))
                        : std::aligned_alloc(alignment, size.capacity + sizeof(Header));
  if (memory == nullptr) return nullptr;
  return new (memory) Header{.capacity = size.capacity,
                             .index = size.index,
                             .touched = !mapped,
                             .newer = nullptr,
                             .older = nullptr,
                             .next = nullptr,
                             .previous = nullptr};
}

void give_back(Header* header) noexcept {
  if (is_mapped(header->capacity)) {
    munmap(header, mapped_nbytes(header->capacity));
  } else {
    std::free(header);
  }
}

void put_into_cache(Header* header) noexcept {
  header->older = newest;
  header->newer = nullptr;
  (newest != nullptr ? newest->newer : oldest) = header;
  newest = header;
  Header*& first = free_blocks[header->index];
  header->next = first;
  header->previous = nullptr;
  if (first != nullptr) first->previous = header;
  first = header;
  totals.bytes_cached += header->capacity;
}

void take_from_cache(Header* header) noexcept {
  (header->newer != nullptr ? header->newer->older : newest) = header->older;
  (header->older != nullptr ? header->older->newer : oldest) = header->newer;
  (header->previous != nullptr ? header->previous->next : free_blocks[header->index]) =
      header->next;
  if (header->next != nullptr) header->next->previous = header->previous;
  totals.bytes_cached -= header->capacity;
}

// Takes the blocks that lay longest in the cache out of it, linked by `next`, until it fits the
// bound; the caller gives them back without the lock, because unmapping takes a while.
Header* evict(std::size_t bound) noexcept {
  Header* evicted = nullptr;
  while (totals.bytes_cached > bound) {
    Header* victim = oldest;
    take_from_cache(victim);
    ++totals.returned;
    victim->next = evicted;
    evicted = victim;
  }
  return evicted;
}

std::size_t give_back_all(Header* evicted) noexcept {
  std::size_t nbytes = 0;
  while (evicted != nullptr) {
    Header* next = evicted->next;
    nbytes += evicted->capacity;
    give_back(evicted);
    evicted = next;
  }
  return nbytes;
}

void count_in_use(std::size_t capacity) noexcept {
  totals.bytes_in_use += capacity;
  totals.peak_bytes = std::max(totals.peak_bytes, totals.bytes_in_use + totals.bytes_cached);
}

Header* from_cache(SizeClass size) noexcept {
  Guard guard(central);
  Header* header = free_blocks[size.index];
  if (header == nullptr) return nullptr;
  take_from_cache(header);
  ++totals.hits;
  count_in_use(size.capacity);
  return header;
}

// Whether there can be that much; limits are looked up anew before it is denied.
bool can_be_had(std::size_t nbytes) noexcept {
  if (nbytes <= largest.load(std::memory_order_relaxed)) return true;
  if (nbytes > nbytes_max) return false;
  largest.store(std::min(largest_allocation(), nbytes_max), std::memory_order_relaxed);
  return nbytes <= largest.load(std::memory_order_relaxed);
}

Header* allocate_large(std::size_t nbytes) noexcept {
  if (!can_be_had(nbytes)) return nullptr;
  const SizeClass size = size_class(nbytes);
  if (Header* cached = from_cache(size)) return cached;
  Header* fresh = request_from_system(size);
  if (fresh == nullptr && empty_cache() > 0) fresh = request_from_system(size);
  if (fresh == nullptr) return nullptr;
  Guard guard(central);
  ++totals.misses;
  count_in_use(size.capacity);
  return fresh;
}

void release_large(Header* header) noexcept {
  header->touched = true;
  Header* evicted;
  {
    Guard guard(central);
    totals.bytes_in_use -= header->capacity;
    put_into_cache(header);
    evicted = evict(totals.cache_limit);
  }
  give_back_all(evicted);
}

// ------------------------------------------------------------------------------------ set-up

const bool ready = [] {
  totals.cache_limit = memory_limit() / 4;
  largest = std::min(largest_allocation(), nbytes_max);
  pthread_key_create(&thread_exit_key, return_thread_lists);
  pthread_atfork([] { central.lock(); }, [] { central.unlock(); }, [] { central.unlock(); });
  return true;
}();

std::size_t usable_nbytes(void* block) noexcept {
  return is_small(block) ? (small_class_of(block) + 1) * alignment : header_of(block)->capacity;
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
  Header* header = allocate_large(nbytes);
  return header == nullptr ? nullptr : data_of(header);
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
  if (is_small(block) || header_of(block)->touched) std::memset(block, 0, nbytes);
  return block;
}

void* resize(void* block, std::size_t nbytes) noexcept {
  if (block == nullptr) return allocate(nbytes);
  const std::size_t usable = usable_nbytes(block);
  open_whole(block);
  // A block that is more than half used stays where it is: growing arrays step by step is cheap.
  if (nbytes <= usable && nbytes > usable / 2) {
    if (!is_small(block)) header_of(block)->touched = true;
    close_behind(block, nbytes);
    return block;
  }
  void* moved = allocate(nbytes);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, block, std::min(usable, nbytes));
  if (!is_small(moved)) header_of(moved)->touched = true;
  release(block);
  return moved;
}

void release(void* block) noexcept {
  if (block == nullptr) return;
  open_whole(block);
  if (is_small(block)) {
    release_small(block);
  } else {
    release_large(header_of(block));
  }
}

std::size_t empty_cache() noexcept {
  Header* evicted;
  {
    Guard guard(central);
    evicted = evict(0);
  }
  return give_back_all(evicted);
}

void set_cache_limit(std::size_t nbytes) noexcept {
  Header* evicted;
  {
    Guard guard(central);
    totals.cache_limit = nbytes;
    evicted = evict(nbytes);
  }
  give_back_all(evicted);
}

Stats stats() noexcept {
  Guard guard(central);
  Stats now = totals;
  now.slab_bytes = slab_used;
  return now;
}

}  // namespace dtorch::allocator
