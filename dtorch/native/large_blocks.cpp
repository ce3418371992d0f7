#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "blocks.h"
#include "system_limits.h"

namespace dtorch::allocator {
namespace {

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
const Header* header_of(const void* block) noexcept {
  return static_cast<const Header*>(block) - 1;
}

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

}  // namespace

void* allocate_large(std::size_t nbytes) noexcept {
  if (!can_be_had(nbytes)) return nullptr;
  const SizeClass size = size_class(nbytes);
  if (Header* cached = from_cache(size)) return data_of(cached);
  Header* fresh = request_from_system(size);
  if (fresh == nullptr && empty_cache() > 0) fresh = request_from_system(size);
  if (fresh == nullptr) return nullptr;
  Guard guard(central);
  ++totals.misses;
  count_in_use(size.capacity);
  return data_of(fresh);
}

void release_large(void* block) noexcept {
  Header* header = header_of(block);
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

std::size_t large_nbytes(const void* block) noexcept { return header_of(block)->capacity; }
bool is_touched(const void* block) noexcept { return header_of(block)->touched; }
void touch(void* block) noexcept { header_of(block)->touched = true; }

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

Stats large_stats() noexcept { return totals; }

void set_up_large() noexcept {
  totals.cache_limit = memory_limit() / 4;
  largest = std::min(largest_allocation(), nbytes_max);
}

}  // namespace dtorch::allocator
