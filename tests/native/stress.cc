// Drives the work sharing from eight threads over one pool of two, as XLA does
// when several executables run at once. Meant for the sanitizers, too.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "pool.h"
#include "work_sharing.h"

namespace {

constexpr int kCallers = 8;
constexpr int kCalls = 3000;
constexpr int kPoolThreads = 2;
constexpr int64_t kElements = 64;  // of each task

// Adds one to its part of the data for each task, without synchronisation: a
// task that is done twice, or seen too early, is a wrong number or a race.
class Increment final : public optcc::Job {
 public:
  explicit Increment(int64_t tasks) : data_(tasks * kElements) {}

  void work(optcc::Tasks& tasks, int64_t worker, int64_t first) override {
    for (int64_t task = first; task >= 0; task = tasks.next(worker)) {
      for (int64_t i = 0; i < kElements; ++i) ++data_[task * kElements + i];
    }
  }

  void check_all(int expected) const {
    for (const int value : data_) check(value == expected, "each task once");
  }

 private:
  std::vector<int> data_;
};

// The job is on the caller's stack and dies right after the call, so that a
// late helper that touched it would be seen.
template <typename Schedule>
void call(int64_t tasks, int64_t helpers, Schedule&& schedule) {
  Increment job(tasks);
  optcc::share(tasks, helpers, job, schedule);
  job.check_all(1);
  optcc::share(tasks, helpers, job, schedule);
  job.check_all(2);
}

void many_callers_on_a_small_pool() {
  Pool pool(kPoolThreads);
  const auto schedule = [&pool](auto task) { pool.schedule(std::move(task)); };
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&schedule, i] {
      for (int n = 0; n < kCalls; ++n) call((i * 7 + n) % 50, n % 4, schedule);
    });
  }
  for (std::thread& caller : callers) caller.join();
}

// Calls inside the pool's own threads: a call that waited for its helpers to
// start would never return.
void callers_inside_the_pool() {
  Pool pool(kPoolThreads);
  const auto schedule = [&pool](auto task) { pool.schedule(std::move(task)); };
  std::mutex mutex;
  std::condition_variable changed;
  int left = 200;
  for (int n = left; n > 0; --n) {
    pool.schedule([&] {
      call(20, 3, schedule);
      std::lock_guard<std::mutex> lock(mutex);
      if (--left == 0) changed.notify_all();
    });
  }
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait(lock, [&left] { return left == 0; });
}

// As after a fork: the pool takes tasks and nobody runs them.
void a_pool_without_threads() {
  std::vector<std::function<void()>> never;
  call(100, 3, [&never](auto task) { never.emplace_back(std::move(task)); });
}

void helpers_that_come_late() {
  std::vector<std::function<void()>> late;
  call(100, 3, [&late](auto task) { late.emplace_back(std::move(task)); });
  for (const auto& task : late) task();
}

// XLA runs a task in the caller when it has no pool.
void a_pool_that_runs_at_once() {
  call(100, 3, [](auto task) { task(); });
  call(0, 3, [](auto task) { task(); });
}

// Memory may run out while helpers are asked for; those that were work on.
void a_pool_that_fails() {
  Pool pool(kPoolThreads);
  for (int n = 0; n < 200; ++n) {
    int left = n % 3;
    call(20, 3, [&pool, &left](auto task) {
      if (left-- == 0) throw std::bad_alloc();
      pool.schedule(std::move(task));
    });
  }
}

}  // namespace

int main() {
  many_callers_on_a_small_pool();
  callers_inside_the_pool();
  a_pool_without_threads();
  helpers_that_come_late();
  a_pool_that_runs_at_once();
  a_pool_that_fails();
  std::puts("ok");
}
