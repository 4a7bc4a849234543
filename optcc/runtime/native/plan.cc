#include "plan.h"

#include <algorithm>

namespace optcc {
namespace {

// Elements in a chunk, and about as many in a task: some 10 us of work.
constexpr int64_t kChunkElements = 32768;
// A run of the kernel costs about as much as this many elements.
constexpr int64_t kLeafOverhead = 64;
// Waking a thread costs more than it saves below this many elements of all
// arrays together.
constexpr int64_t kSharedElements = 1 << 18;
// Chunks of a leaf whose folds need a buffer for each chunk.
constexpr int64_t kMaxBuffers = 32;
// Such a chunk has at least this many elements for each one of its buffer.
constexpr int64_t kElementsPerBuffered = 8;

// Elements of a piece: their totals stay in the first cache.
constexpr int64_t kPieceElements = 512;
// Waking a thread costs more than it saves below this many doubles to combine.
constexpr int64_t kSharedDoubles = 1 << 16;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

LeafChunks cut(const Call& call, int64_t leaf) {
  const int64_t size = call.leaf_dims(leaf)[0];
  const int64_t all = (int64_t{1} << call.rank) - 1;
  const int64_t row = call.kept_elements(leaf, all, 1);
  if (size == 0 || row == 0) return {0, 0, 1};
  int64_t rows = std::max<int64_t>(1, kChunkElements / row);
  for (const Result& result : call.results) {
    if (!result.has_axes() || result.keeps_rows()) continue;
    const int64_t buffer = call.kept_elements(leaf, result.kept);
    rows = std::max({rows, divide_up(size, kMaxBuffers),
                     divide_up(kElementsPerBuffered * buffer, row)});
  }
  return {0, divide_up(size, rows), rows};
}

// Places the chunks of all leaves and joins them to tasks.
void place_chunks(const Call& call, Plan* plan) {
  int64_t total = 0;
  int64_t in_task = kChunkElements;  // the first chunk begins a task
  for (int64_t leaf = 0; leaf < call.leaves; ++leaf) {
    LeafChunks chunks = cut(call, leaf);
    chunks.first = plan->chunks;
    plan->leaves.push_back(chunks);
    const int64_t size = call.leaf_dims(leaf)[0];
    const int64_t all = (int64_t{1} << call.rank) - 1;
    const int64_t row = call.kept_elements(leaf, all, 1);
    for (int64_t i = 0; i < chunks.count; ++i) {
      if (in_task >= kChunkElements) {
        plan->tasks.push_back({leaf, plan->chunks, 0});
        in_task = 0;
      }
      const int64_t rows = std::min(chunks.rows, size - i * chunks.rows);
      in_task += rows * row + kLeafOverhead;
      total += rows * row + kLeafOverhead;
      ++plan->tasks.back().chunks;
      ++plan->chunks;
    }
  }
  plan->shared = total * call.pointers >= kSharedElements;
}

void place_folds(const Call& call, Plan* plan) {
  int64_t combined = 0;
  for (size_t i = 0; i < call.results.size(); ++i) {
    const Result& result = call.results[i];
    if (!result.folded()) continue;
    Fold fold{static_cast<int64_t>(i), plan->doubles, {}};
    if (!result.has_axes()) {
      plan->doubles += plan->chunks;
    } else {
      for (int64_t leaf = 0; leaf < call.leaves; ++leaf) {
        const int64_t elements = call.kept_elements(leaf, result.kept);
        // An empty leaf has no chunk, but its result is filled from a buffer.
        const int64_t buffers =
            result.keeps_rows()
                ? 1
                : std::max<int64_t>(1, plan->leaves[leaf].count);
        fold.axes.push_back({plan->doubles, elements,
                             call.kept_elements(leaf, result.kept, 1)});
        plan->doubles += buffers * elements;
        // The workers have stored what keeps dimension 0.
        if (result.keeps_rows() && plan->leaves[leaf].count > 0) continue;
        combined += buffers * elements;
        for (int64_t first = 0; first < elements; first += kPieceElements) {
          plan->pieces.push_back({static_cast<int64_t>(plan->folds.size()),
                                  leaf, first,
                                  std::min(kPieceElements, elements - first)});
        }
      }
    }
    plan->folds.push_back(std::move(fold));
  }
  plan->combining_shared = combined >= kSharedDoubles;
}

}  // namespace

Plan make_plan(const Call& call) {
  Plan plan;
  place_chunks(call, &plan);
  place_folds(call, &plan);
  return plan;
}

}  // namespace optcc
