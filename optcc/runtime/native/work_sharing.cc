#include "work_sharing.h"

#include <thread>

namespace optcc {
namespace {

// A task takes some 10 us; a thread that sleeps takes longer to wake up.
constexpr int kYieldsBeforeSleep = 100;

uint64_t first_of(uint64_t range) { return range >> 32; }
uint64_t end_of(uint64_t range) { return range & 0xffffffff; }
uint64_t left_in(uint64_t range) { return end_of(range) - first_of(range); }
uint64_t range_of(uint64_t first, uint64_t end) { return first << 32 | end; }

}  // namespace

Tasks::Tasks(int64_t count, int64_t workers) : count_(count), shares_(workers) {
  for (int64_t i = 0; i < workers; ++i) {
    shares_[i].range.store(
        range_of(count * i / workers, count * (i + 1) / workers),
        std::memory_order_relaxed);
  }
}

int64_t Tasks::take(int64_t worker) {
  std::atomic<uint64_t>& own = shares_[worker].range;
  do {
    uint64_t range = own.load(std::memory_order_relaxed);
    while (left_in(range) > 0) {
      const uint64_t rest = range_of(first_of(range) + 1, end_of(range));
      if (own.compare_exchange_weak(range, rest, std::memory_order_relaxed)) {
        return static_cast<int64_t>(first_of(range));
      }
    }
  } while (steal(worker));
  return -1;
}

int64_t Tasks::next(int64_t worker) {
  finish();
  return take(worker);
}

// Moves the second half of the largest share to this worker's, which is empty;
// false if no task is left. What another worker is just moving is not seen:
// that one will do it.
bool Tasks::steal(int64_t worker) {
  while (true) {
    uint64_t most = 0;
    std::atomic<uint64_t>* victim = nullptr;
    for (Share& share : shares_) {
      const uint64_t range = share.range.load(std::memory_order_relaxed);
      if (left_in(range) > left_in(most)) {
        most = range;
        victim = &share.range;
      }
    }
    if (victim == nullptr) return false;
    const uint64_t middle = first_of(most) + left_in(most) / 2;
    if (victim->compare_exchange_strong(most, range_of(first_of(most), middle),
                                        std::memory_order_relaxed)) {
      shares_[worker].range.store(range_of(middle, end_of(most)),
                                  std::memory_order_relaxed);
      return true;
    }
  }
}

void Tasks::finish() {
  if (finished_.fetch_add(1, std::memory_order_acq_rel) + 1 < count_) return;
  std::lock_guard<std::mutex> lock(mutex_);
  all_finished_.notify_all();
}

void Tasks::wait() {
  const auto done = [this] {
    return finished_.load(std::memory_order_acquire) == count_;
  };
  for (int i = 0; i < kYieldsBeforeSleep; ++i) {
    if (done()) return;
    std::this_thread::yield();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  all_finished_.wait(lock, done);
}

void work(Tasks& tasks, Job& job) {
  const int64_t worker = tasks.join();
  const int64_t first = tasks.take(worker);
  if (first >= 0) job.work(tasks, worker, first);
}

void help(Tasks& tasks, Job& job, const std::fenv_t& environment) {
  std::fenv_t own;
  std::fegetenv(&own);
  std::fesetenv(&environment);
  work(tasks, job);
  std::fesetenv(&own);
}

}  // namespace optcc
