// Threads that allocate, change, hand over and free blocks; test_races.py runs this under the
// thread sanitizer.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "allocator.h"

namespace {

namespace allocator = dtorch::allocator;

struct Block {
  unsigned char* at;
  std::size_t nbytes;
};

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

// Its ends are marked: nobody else may have been given the same memory.
Block allocated(std::size_t nbytes) {
  auto* at = static_cast<unsigned char*>(allocator::allocate(nbytes));
  check(at != nullptr, "memory is there");
  check(reinterpret_cast<std::uintptr_t>(at) % allocator::alignment == 0, "blocks are aligned");
  at[0] = at[nbytes - 1] = static_cast<unsigned char>(nbytes % 251);
  return {at, nbytes};
}

void freed(Block block) {
  const auto mark = static_cast<unsigned char>(block.nbytes % 251);
  check(block.at[0] == mark && block.at[block.nbytes - 1] == mark, "a block has one owner");
  allocator::release(block.at);
}

std::size_t size_of(unsigned number) {
  static constexpr std::size_t sizes[] = {1, 64, 100, 1024, 1025, 5000, 70000, 300000, 3000000};
  return sizes[number % 9] + number / 9 % 50;
}

// Blocks that one thread leaves for any other to free.
class Table {
 public:
  void put(Block block) {
    const std::lock_guard lock(mutex_);
    blocks_.push_back(block);
  }
  bool take(Block& block) {
    const std::lock_guard lock(mutex_);
    if (blocks_.empty()) return false;
    block = blocks_.back();
    blocks_.pop_back();
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<Block> blocks_;
};

void work(unsigned seed, unsigned rounds, Table& table) {
  std::vector<Block> mine;
  for (unsigned i = 0; i < rounds; ++i) {
    seed = seed * 1664525u + 1013904223u;
    const unsigned number = seed >> 8;
    Block other;
    switch (number % 6) {
      case 0:
      case 1:
        mine.push_back(allocated(size_of(number / 6)));
        break;
      case 2:
        table.put(allocated(size_of(number / 6)));
        break;
      case 3:
        if (table.take(other)) freed(other);
        break;
      case 4:
        if (mine.empty()) break;
        freed(mine.back());
        mine.pop_back();
        break;
      default:
        if (number % 50 == 5) allocator::empty_cache();
        if (number % 70 == 5) allocator::set_cache_limit(std::size_t{1} << (20 + number % 8));
        check(allocator::stats().bytes_cached <= std::size_t{1} << 40, "numbers make sense");
    }
  }
  for (const Block& block : mine) freed(block);
}

}  // namespace

int main() {
  Table table;
  std::vector<std::thread> threads;
  for (unsigned i = 1; i <= 4; ++i) threads.emplace_back([&, i] { work(i, 3000, table); });
  for (std::thread& thread : threads) thread.join();
  Block left;
  while (table.take(left)) freed(left);
  std::puts("all checks hold");
}
