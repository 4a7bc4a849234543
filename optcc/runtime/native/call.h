// The static description of one call, decoded from the attributes.
#ifndef OPTCC_RUNTIME_NATIVE_CALL_H_
#define OPTCC_RUNTIME_NATIVE_CALL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "folds.h"
#include "xla/ffi/api/ffi.h"

namespace optcc {

// The extent of folds in `Result::kept`.
constexpr int64_t kPerLeaf = -1;
constexpr int64_t kScalar = -2;

struct Value {
  xla::ffi::DataType dtype;
  bool per_leaf;
  int64_t element;  // of a 1-d buffer, or -1: the buffer is 0-d or per leaf
};

struct Array {
  xla::ffi::DataType dtype;
  int64_t kept;   // bit mask of the dimensions
  int64_t table;  // of the offsets of a packed array, or -1: n buffers
  int64_t end;    // the elements a packed array needs, up to the end of
  int64_t last;   // this leaf
  int64_t first;  // index of its first buffer among the operands of the call
  int64_t place;  // index in Call::packed or in Call::separate

  bool packed() const { return table >= 0; }
};

struct Result {
  xla::ffi::DataType dtype;
  Kind kind;
  int64_t kept;    // as of an array, or kPerLeaf or kScalar
  int64_t writes;  // the array operand it overwrites, or -1
  int64_t first;   // index of its first buffer among the results of the call
  int64_t place;   // index in Call::packed or in Call::separate if stored

  bool folded() const { return kind != Kind::kStored; }
  bool has_axes() const { return folded() && kept >= 0; }
  bool keeps_rows() const { return (kept & 1) != 0; }  // dimension 0
};

struct Call {
  std::string kernel;
  std::string source;
  int64_t leaves = 0;
  int64_t rank = 0;
  std::vector<int64_t> dims;  // leaves x rank
  std::vector<Value> values;
  std::vector<Array> arrays;
  std::vector<Result> results;
  std::vector<int64_t> offsets;  // tables x leaves, in elements
  // Where the pointers of one leaf, the kernel's `arrays`, come from: the
  // indices of those into packed arrays, and of those to buffers of their own.
  std::vector<int64_t> packed;
  std::vector<int64_t> separate;
  std::vector<int64_t> byte_offsets;  // leaves x packed
  // Operands behind the arrays that nobody reads: who made them ran before.
  int64_t after = 0;
  int64_t operand_buffers = 0;
  int64_t result_buffers = 0;
  int64_t pointers = 0;  // of one leaf: the kernel's `arrays`
  int64_t folds = 0;     // the kernel's `partials`

  const int64_t* leaf_dims(int64_t leaf) const {
    return dims.data() + leaf * rank;
  }

  // The product of the kept dimensions of a leaf, from dimension `from` on.
  int64_t kept_elements(int64_t leaf, int64_t kept, int64_t from = 0) const;

  // Whether the result is one buffer that lies over a packed array.
  bool over_packed(const Result& result) const {
    return result.writes >= 0 && arrays[result.writes].packed();
  }

  int64_t buffers_of(const Array& array) const {
    return array.packed() ? 1 : leaves;
  }
  int64_t buffers_of(const Result& result) const {
    return result.kept >= 0 && !over_packed(result) ? leaves : 1;
  }
};

// Reads the attributes and checks all that does not depend on buffers.
xla::ffi::ErrorOr<Call> decode_call(const xla::ffi::Dictionary& attributes);

}  // namespace optcc

#endif  // OPTCC_RUNTIME_NATIVE_CALL_H_
