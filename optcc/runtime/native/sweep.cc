#include "sweep.h"

#include <algorithm>

namespace optcc {
namespace {

// Between the pointers of two workers, who else would write one cache line.
constexpr int64_t kGap = 16;

}  // namespace

Scratch::Scratch(const Call& call, const Plan& plan)
    : packed(call.packed.size()),
      separate(call.leaves * call.separate.size()),
      values(call.values.size()),
      results(call.result_buffers),
      doubles(plan.doubles) {}

void Scratch::set_workers(const Call& call, int64_t workers) {
  worker_arrays.resize(workers * (call.pointers + kGap));
  worker_values.resize(workers * (call.values.size() + kGap));
  worker_partials.resize(workers * (call.folds + kGap));
}

int64_t Scratch::bytes() const {
  return static_cast<int64_t>(8 * (separate.size() + doubles.size()));
}

void KernelJob::work(Tasks& tasks, int64_t worker, int64_t first) {
  const int64_t values = static_cast<int64_t>(call_.values.size());
  const Arguments arguments{
      scratch_.worker_arrays.data() + worker * (call_.pointers + kGap),
      scratch_.worker_values.data() + worker * (values + kGap),
      scratch_.worker_partials.data() + worker * (call_.folds + kGap)};
  std::copy(scratch_.values.begin(), scratch_.values.end(), arguments.values);
  for (int64_t task = first; task >= 0; task = tasks.next(worker)) {
    run(plan_.tasks[task], arguments);
  }
}

void KernelJob::run(const Task& task, const Arguments& arguments) {
  int64_t leaf = task.leaf;
  set_leaf(leaf, arguments);
  for (int64_t chunk = task.chunk; chunk < task.chunk + task.chunks; ++chunk) {
    const int64_t before = leaf;
    while (chunk >= plan_.leaves[leaf].first + plan_.leaves[leaf].count) ++leaf;
    if (leaf != before) set_leaf(leaf, arguments);
    run_chunk(leaf, chunk, arguments);
  }
}

void KernelJob::set_leaf(int64_t leaf, const Arguments& arguments) const {
  const int64_t packed = static_cast<int64_t>(call_.packed.size());
  const int64_t* const offsets = call_.byte_offsets.data() + leaf * packed;
  for (int64_t i = 0; i < packed; ++i) {
    arguments.arrays[call_.packed[i]] =
        static_cast<char*>(scratch_.packed[i]) + offsets[i];
  }
  const int64_t separate = static_cast<int64_t>(call_.separate.size());
  void* const* const pointers = scratch_.separate.data() + leaf * separate;
  for (int64_t i = 0; i < separate; ++i) {
    arguments.arrays[call_.separate[i]] = pointers[i];
  }
  for (size_t i = 0; i < call_.values.size(); ++i) {
    const Value& value = call_.values[i];
    if (!value.per_leaf) continue;
    arguments.values[i] =
        static_cast<const char*>(scratch_.values[i]) +
        leaf * static_cast<int64_t>(xla::ffi::ByteWidth(value.dtype));
  }
}

void KernelJob::run_chunk(int64_t leaf, int64_t chunk,
                          const Arguments& arguments) {
  const LeafChunks& chunks = plan_.leaves[leaf];
  const int64_t* const dims = call_.leaf_dims(leaf);
  const int64_t begin = (chunk - chunks.first) * chunks.rows;
  const int64_t end = std::min(begin + chunks.rows, dims[0]);
  for (int64_t i = 0; i < call_.folds; ++i) {
    arguments.partials[i] = begin_fold(plan_.folds[i], leaf, chunk, begin, end);
  }
  kernel_(begin, end, dims, arguments.arrays, arguments.values,
          arguments.partials);
  for (int64_t i = 0; i < call_.folds; ++i) {
    const Fold& fold = plan_.folds[i];
    const Result& result = call_.results[fold.result];
    if (!result.has_axes() || !result.keeps_rows()) continue;
    const int64_t row = fold.axes[leaf].row;
    store(arguments.partials[i] + begin * row, (end - begin) * row,
          result.dtype, scratch_.results[result.first + leaf], begin * row);
  }
}

// Where the kernel is to fold this chunk, filled with the identity if it is to
// combine into what is there.
double* KernelJob::begin_fold(const Fold& fold, int64_t leaf, int64_t chunk,
                              int64_t begin, int64_t end) {
  const Result& result = call_.results[fold.result];
  double* const doubles = scratch_.doubles.data();
  if (!result.has_axes()) return doubles + fold.first + chunk;
  const Fold::Axes& axes = fold.axes[leaf];
  double* buffer = doubles + axes.first;
  if (result.keeps_rows()) {
    std::fill(buffer + begin * axes.row, buffer + end * axes.row,
              identity(result.kind));
  } else {
    buffer += (chunk - plan_.leaves[leaf].first) * axes.elements;
    std::fill_n(buffer, axes.elements, identity(result.kind));
  }
  return buffer;
}

void CombineJob::work(Tasks& tasks, int64_t worker, int64_t first) {
  for (int64_t piece = first; piece >= 0; piece = tasks.next(worker)) {
    combine_piece(plan_.pieces[piece]);
  }
}

void CombineJob::combine_piece(const Piece& piece) {
  const Fold& fold = plan_.folds[piece.fold];
  const Result& result = call_.results[fold.result];
  const Fold::Axes& axes = fold.axes[piece.leaf];
  const int64_t chunks = plan_.leaves[piece.leaf].count;
  double* const total = scratch_.doubles.data() + axes.first + piece.first;
  if (chunks == 0) std::fill_n(total, piece.count, identity(result.kind));
  for (int64_t chunk = 1; chunk < chunks; ++chunk) {
    combine(result.kind, total, total + chunk * axes.elements, piece.count);
  }
  store(total, piece.count, result.dtype,
        scratch_.results[result.first + piece.leaf], piece.first);
}

void store_small_folds(const Call& call, const Plan& plan, Scratch& scratch) {
  for (const Fold& entry : plan.folds) {
    const Result& result = call.results[entry.result];
    if (result.has_axes()) continue;
    void* const out = scratch.results[result.first];
    const double* const partials = scratch.doubles.data() + entry.first;
    double total = identity(result.kind);
    for (int64_t leaf = 0; leaf < call.leaves; ++leaf) {
      const LeafChunks& chunks = plan.leaves[leaf];
      const double of_leaf =
          fold(result.kind, partials + chunks.first, chunks.count);
      if (result.kept == kPerLeaf) {
        store(&of_leaf, 1, result.dtype, out, leaf);
      } else {
        combine(result.kind, &total, &of_leaf, 1);
      }
    }
    if (result.kept == kScalar) store(&total, 1, result.dtype, out, 0);
  }
}

}  // namespace optcc
