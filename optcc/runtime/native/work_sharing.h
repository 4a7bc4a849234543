// Sharing the tasks of one call with the threads of a pool.
//
// The caller takes tasks itself until none is left, and then waits only for
// tasks that a helper is working on. It never waits for a helper that has not
// started: several calls may run on one small pool, and after a fork the pool's
// threads do not exist.
#ifndef OPTCC_RUNTIME_NATIVE_WORK_SHARING_H_
#define OPTCC_RUNTIME_NATIVE_WORK_SHARING_H_

#include <atomic>
#include <cfenv>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

namespace optcc {

// The tasks 0 .. count-1, each taken by one thread.
class Tasks {
 public:
  explicit Tasks(int64_t count) : count_(count) {}

  // The number of a task that nobody has taken, or -1.
  int64_t take();

  // Reports the task taken before as finished and takes another one. After it
  // returned -1 the job may be gone.
  int64_t next();

  // Returns when all tasks are finished; called when none is left to take.
  void wait();

 private:
  void finish();

  const int64_t count_;
  std::atomic<int64_t> taken_{0};
  std::atomic<int64_t> finished_{0};
  std::mutex mutex_;
  std::condition_variable all_finished_;
};

class Job {
 public:
  // Does the task `first`, and then those that `tasks.next()` gives. Runs in
  // several threads at once and must not throw.
  virtual void work(Tasks& tasks, int64_t first) = 0;

 protected:
  ~Job() = default;
};

// A helper's part. The job may be gone when no task is left to take.
void help(Tasks& tasks, Job& job, const std::fenv_t& environment);

// Does all `count` tasks of the job. `schedule(f)` must run the callable f once,
// at any time, in any thread, or never. Helpers compute in the caller's
// floating-point environment: rounding and the flushing of denormals must not
// depend on who takes a task.
template <typename Schedule>
void share(int64_t count, int64_t helpers, Job& job, Schedule&& schedule) {
  const auto tasks = std::make_shared<Tasks>(count);
  std::fenv_t environment;
  std::fegetenv(&environment);
  for (int64_t i = 0; i < helpers; ++i) {
    schedule([tasks, &job, environment] { help(*tasks, job, environment); });
  }
  if (const int64_t first = tasks->take(); first >= 0) job.work(*tasks, first);
  tasks->wait();
}

}  // namespace optcc

#endif  // OPTCC_RUNTIME_NATIVE_WORK_SHARING_H_
