// Sharing the tasks of one call with the threads of a pool.
//
// The caller takes tasks itself until none is left, and then waits only for
// tasks that a helper is working on. It never waits for a helper that has not
// started: several calls may run on one small pool, and after a fork the pool's
// threads do not exist.
//
// Each thread takes neighbouring tasks, one after another: memory is read
// faster in long runs. A thread that has done its share takes over half of what
// is left of the largest other one.
#ifndef OPTCC_RUNTIME_NATIVE_WORK_SHARING_H_
#define OPTCC_RUNTIME_NATIVE_WORK_SHARING_H_

#include <atomic>
#include <cfenv>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace optcc {

// The tasks 0 .. count-1, each taken by one thread; fewer than 2^32.
class Tasks {
 public:
  Tasks(int64_t count, int64_t workers);

  // A number for one more of the workers.
  int64_t join() { return joined_.fetch_add(1, std::memory_order_relaxed); }

  // The number of a task that nobody has taken, or -1.
  int64_t take(int64_t worker);

  // Reports the task taken before as finished and takes another one. After it
  // returned -1 the job may be gone.
  int64_t next(int64_t worker);

  // Returns when all tasks are finished; called when none is left to take.
  void wait();

 private:
  // A worker's tasks that nobody has taken, first and end in one number. It is
  // all there is to know of them: a range that is stolen and stolen back is as
  // good as one that stayed. Only the worker itself fills an empty one.
  struct alignas(64) Share {
    std::atomic<uint64_t> range{0};
  };

  bool steal(int64_t worker);
  void finish();

  const int64_t count_;
  std::vector<Share> shares_;
  std::atomic<int64_t> joined_{0};
  std::atomic<int64_t> finished_{0};
  std::mutex mutex_;
  std::condition_variable all_finished_;
};

class Job {
 public:
  // Does the task `first`, and then those that `tasks.next(worker)` gives. Runs
  // in several threads at once, each another worker, and must not throw.
  virtual void work(Tasks& tasks, int64_t worker, int64_t first) = 0;

 protected:
  ~Job() = default;
};

// One worker's part. The job may be gone when no task is left to take.
void work(Tasks& tasks, Job& job);

// A helper's part.
void help(Tasks& tasks, Job& job, const std::fenv_t& environment);

// Does all `count` tasks of the job. `schedule(f)` must run the callable f
// once, at any time, in any thread, or never. Helpers compute in the caller's
// floating-point environment: rounding and the flushing of denormals must not
// depend on who takes a task.
template <typename Schedule>
void share(int64_t count, int64_t helpers, Job& job, Schedule&& schedule) {
  const auto tasks = std::make_shared<Tasks>(count, helpers + 1);
  std::fenv_t environment;
  std::fegetenv(&environment);
  try {
    for (int64_t i = 0; i < helpers; ++i) {
      schedule([tasks, &job, environment] { help(*tasks, job, environment); });
    }
  } catch (...) {
    // No memory for one more helper. The job must outlive the others' work.
  }
  work(*tasks, job);
  tasks->wait();
}

}  // namespace optcc

#endif  // OPTCC_RUNTIME_NATIVE_WORK_SHARING_H_
