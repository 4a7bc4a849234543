#include "work_sharing.h"

#include <thread>

namespace optcc {
namespace {

// A task takes some 10 us; a thread that sleeps takes longer to wake up.
constexpr int kYieldsBeforeSleep = 100;

}  // namespace

int64_t Tasks::take() {
  const int64_t task = taken_.fetch_add(1, std::memory_order_relaxed);
  return task < count_ ? task : -1;
}

int64_t Tasks::next() {
  finish();
  return take();
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

void help(Tasks& tasks, Job& job, const std::fenv_t& environment) {
  const int64_t first = tasks.take();
  if (first < 0) return;
  std::fenv_t own;
  std::fegetenv(&own);
  std::fesetenv(&environment);
  job.work(tasks, first);
  std::fesetenv(&own);
}

}  // namespace optcc
