#include "thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "system_limits.h"

namespace dtorch {
namespace {

// Idle threads look for work this often before they sleep: some tens of microseconds at full speed,
// then some hundreds in which others may have the processor. Waking a thread that sleeps takes as
// long as a small kernel, and in a training step the next kernel is rarely further away.
constexpr int spins_before_sleep = 2000;
constexpr int yields_before_sleep = 500;
// More ranges than threads, so that a thread that was interrupted does not hold up the others.
constexpr std::size_t ranges_per_thread = 4;

void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class T>
void wait_while_equal(const std::atomic<T>& value, T old) {
  for (int i = 0; i < spins_before_sleep; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    relax();
  }
  for (int i = 0; i < yields_before_sleep; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    std::this_thread::yield();
  }
  value.wait(old, std::memory_order_acquire);
}

thread_local bool inside_parallel_for = false;

// One call of parallel_for.
class Job {
 public:
  Job(std::size_t begin, std::size_t end, std::size_t step, detail::RangeFunction function,
      void* context)
      : next_(begin), end_(end), step_(step), function_(function), context_(context) {}

  // Takes ranges until none is left.
  void run() noexcept {
    inside_parallel_for = true;
    for (;;) {
      const std::size_t begin = next_.fetch_add(step_, std::memory_order_relaxed);
      if (begin >= end_) break;
      try {
        function_(context_, begin, std::min(begin + step_, end_));
      } catch (...) {
        if (!failed_.exchange(true)) error_ = std::current_exception();
        next_.store(end_, std::memory_order_relaxed);
      }
    }
    inside_parallel_for = false;
  }

  void rethrow() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  std::atomic<std::size_t> next_;
  const std::size_t end_;
  const std::size_t step_;
  const detail::RangeFunction function_;
  void* const context_;
  std::atomic<bool> failed_ = false;
  std::exception_ptr error_;
};

// The caller does not wait for threads to wake up: those that come while the job is open help with
// it, those that come later go back to sleep.
class Pool {
 public:
  // Where the system refuses more threads or memory, those that were started do the work.
  explicit Pool(std::size_t workers) noexcept : wanted_(workers) {
    try {
      threads_.reserve(workers);
      while (threads_.size() < workers) threads_.emplace_back([this] { work(); });
    } catch (const std::exception&) {
    }
  }

  ~Pool() {
    stopping_.store(true, std::memory_order_relaxed);
    wake();
    for (std::thread& thread : threads_) thread.join();
  }

  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  std::size_t wanted() const { return wanted_; }

  void run(Job& job) {
    job_ = &job;
    gate_.fetch_and(~closed, std::memory_order_release);
    wake();
    job.run();
    std::uint32_t helpers = gate_.fetch_or(closed, std::memory_order_acq_rel) & ~closed;
    while (helpers != 0) {
      wait_while_equal(gate_, helpers | closed);
      helpers = gate_.load(std::memory_order_acquire) & ~closed;
    }
  }

 private:
  void wake() {
    turn_.fetch_add(1, std::memory_order_release);
    turn_.notify_all();
  }

  void work() {
    std::uint32_t seen = 0;
    for (;;) {
      wait_while_equal(turn_, seen);
      seen = turn_.load(std::memory_order_acquire);
      if (stopping_.load(std::memory_order_relaxed)) return;
      if ((gate_.fetch_add(1, std::memory_order_acq_rel) & closed) == 0) job_->run();
      if (gate_.fetch_sub(1, std::memory_order_acq_rel) == (closed | 1)) gate_.notify_one();
    }
  }

  static constexpr std::uint32_t closed = std::uint32_t{1} << 31;

  Job* job_ = nullptr;                        // read by those who passed the gate while it was open
  std::atomic<std::uint32_t> gate_ = closed;  // number of threads inside, and whether it is closed
  std::atomic<std::uint32_t> turn_ = 0;
  std::atomic<bool> stopping_ = false;
  const std::size_t wanted_;
  std::vector<std::thread> threads_;
};

int default_num_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const long count = std::strtol(text, nullptr, 10);  // "4,2" is a list for nested regions: 4
    if (count >= 1 && count <= 4096) return static_cast<int>(count);
  }
  return cpu_limit();
}

// Held while the pool is in use or replaced.
struct State {
  std::mutex mutex;
  std::unique_ptr<Pool> pool;
};

std::atomic<int> wanted_threads = 0;  // 0: not asked yet

// Threads do not survive fork: the child forgets the parent's pool, whatever state it was in, and
// makes its own when it needs one. Never destroyed either: at exit threads may still be in it.
State* state = new State;
const int fork_handler = pthread_atfork(nullptr, nullptr, [] { state = new (std::nothrow) State; });

}  // namespace

int get_num_threads() {
  int count = wanted_threads.load(std::memory_order_relaxed);
  if (count == 0) {
    count = default_num_threads();
    wanted_threads.store(count, std::memory_order_relaxed);
  }
  return count;
}

void set_num_threads(int count) { wanted_threads.store(std::max(1, count)); }

void detail::parallel_for(std::size_t begin, std::size_t end, std::size_t grain,
                          RangeFunction function, void* context) {
  if (begin >= end) return;
  const std::size_t range = end - begin;
  grain = std::max<std::size_t>(grain, 1);
  const auto threads = static_cast<std::size_t>(get_num_threads());
  if (range <= grain || threads == 1 || inside_parallel_for || state == nullptr) {
    return function(context, begin, end);
  }
  const std::unique_lock lock(state->mutex, std::try_to_lock);
  if (!lock.owns_lock()) return function(context, begin, end);
  if (state->pool == nullptr || state->pool->wanted() != threads - 1) {
    state->pool.reset();
    state->pool.reset(new (std::nothrow) Pool(threads - 1));
    if (state->pool == nullptr) return function(context, begin, end);
  }
  const std::size_t parts = threads * ranges_per_thread;
  Job job(begin, end, std::max(grain, (range + parts - 1) / parts), function, context);
  state->pool->run(job);
  job.rethrow();
}

}  // namespace dtorch
