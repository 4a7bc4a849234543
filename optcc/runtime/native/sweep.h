// Running one call: the kernel on every chunk, then the folds.
#ifndef OPTCC_RUNTIME_NATIVE_SWEEP_H_
#define OPTCC_RUNTIME_NATIVE_SWEEP_H_

#include <cstdint>
#include <vector>

#include "call.h"
#include "plan.h"
#include "registry.h"
#include "work_sharing.h"

namespace optcc {

// The memory of one running call, kept for the next one.
struct Scratch {
  std::vector<void*> packed;        // where the packed arrays begin
  std::vector<void*> separate;      // leaves x Call::separate
  std::vector<const void*> values;  // those of leaf 0
  std::vector<void*> results;       // the buffers of folds, in order
  std::vector<double> doubles;      // see Plan
  std::vector<void*> worker_arrays;
  std::vector<const void*> worker_values;
  std::vector<double*> worker_partials;

  Scratch(const Call& call, const Plan& plan);

  // Room for this many threads.
  void set_workers(const Call& call, int64_t workers);

  int64_t bytes() const;
};

// The kernel on every chunk. Folds that keep dimension 0 are complete after it.
class KernelJob final : public Job {
 public:
  KernelJob(const Call& call, const Plan& plan, Kernel* kernel,
            Scratch& scratch)
      : call_(call), plan_(plan), kernel_(kernel), scratch_(scratch) {}

  void work(Tasks& tasks, int64_t worker, int64_t first) override;

 private:
  // The arguments of the kernel, for one leaf after another.
  struct Arguments {
    void** arrays;
    const void** values;
    double** partials;
  };

  void run(const Task& task, const Arguments& arguments);
  void run_chunk(int64_t leaf, int64_t chunk, const Arguments& arguments);
  void set_leaf(int64_t leaf, const Arguments& arguments) const;
  double* begin_fold(const Fold& fold, int64_t leaf, int64_t chunk,
                     int64_t begin, int64_t end);

  const Call& call_;
  const Plan& plan_;
  Kernel* const kernel_;
  Scratch& scratch_;
};

// Combines the chunks of folds with axes; a task is a piece.
class CombineJob final : public Job {
 public:
  CombineJob(const Call& call, const Plan& plan, Scratch& scratch)
      : call_(call), plan_(plan), scratch_(scratch) {}

  void work(Tasks& tasks, int64_t worker, int64_t first) override;

 private:
  void combine_piece(const Piece& piece);

  const Call& call_;
  const Plan& plan_;
  Scratch& scratch_;
};

// Stores the scalar and per-leaf folds, once the kernel is through.
void store_small_folds(const Call& call, const Plan& plan, Scratch& scratch);

}  // namespace optcc

#endif  // OPTCC_RUNTIME_NATIVE_SWEEP_H_
