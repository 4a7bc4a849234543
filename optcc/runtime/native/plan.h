// How a call is cut into chunks and tasks, and where its partial folds lie.
//
// A chunk is what one run of the kernel works on. Its size depends on the leaf
// and the kernel alone, so that folds do not depend on the number of threads.
// A task is a run of consecutive chunks that one thread takes at once.
#ifndef OPTCC_RUNTIME_NATIVE_PLAN_H_
#define OPTCC_RUNTIME_NATIVE_PLAN_H_

#include <cstdint>
#include <vector>

#include "call.h"

namespace optcc {

struct LeafChunks {
  int64_t first;  // the number of the leaf's first chunk in the call
  int64_t count;
  int64_t rows;  // of dimension 0 in each chunk but the last
};

struct Task {
  int64_t leaf;   // of its first chunk
  int64_t chunk;  // the number of its first chunk in the call
  int64_t chunks;
};

// A combined result: where its partial folds lie among the call's doubles.
struct Fold {
  int64_t result;  // index among the results of the map
  // Scalar and per-leaf folds have one double for each chunk from `first` on.
  int64_t first;
  // Folds with axes have, for each leaf, where its buffers begin, the elements
  // of one buffer and those in one row of dimension 0. A fold that keeps
  // dimension 0 has one buffer a leaf, others have one for each chunk.
  struct Axes {
    int64_t first;
    int64_t elements;
    int64_t row;
  };
  std::vector<Axes> axes;
};

// Elements of one leaf's result of a fold with axes, whose chunks are combined
// after the kernel. One thread takes a piece at once.
struct Piece {
  int64_t fold;
  int64_t leaf;
  int64_t first;
  int64_t count;
};

struct Plan {
  std::vector<LeafChunks> leaves;
  std::vector<Task> tasks;
  std::vector<Fold> folds;
  std::vector<Piece> pieces;
  int64_t chunks = 0;
  int64_t doubles = 0;
  bool shared = false;          // enough work for several threads
  bool combining_shared = false;  // enough work for them in the pieces
};

Plan make_plan(const Call& call);

}  // namespace optcc

#endif  // OPTCC_RUNTIME_NATIVE_PLAN_H_
