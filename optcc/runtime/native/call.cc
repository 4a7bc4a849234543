#include "call.h"

#include <cstddef>
#include <limits>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

namespace optcc {
namespace {

namespace ffi = xla::ffi;
using ffi::DataType;

// More dimensions than this do not fit the masks of the extents.
constexpr int64_t kMaxRank = 62;

// Reads attributes one after the other and remembers the first mistake.
class Reader {
 public:
  explicit Reader(const ffi::Dictionary& attributes)
      : attributes_(attributes) {}

  template <typename T>
  T get(std::string_view name) {
    auto attribute = attributes_.get<T>(name);
    if (attribute.has_value()) return *attribute;
    fail("attribute '", name, "': ", attribute.error().message());
    return T{};
  }

  // An array of `size` numbers; zeros after a mistake.
  std::vector<int64_t> numbers(std::string_view name, int64_t size) {
    const auto span = get<ffi::Span<const int64_t>>(name);
    if (failed_) return std::vector<int64_t>(size);
    if (static_cast<int64_t>(span.size()) != size) {
      fail("attribute '", name, "' has ", span.size(), " numbers, expected ",
           size);
      return std::vector<int64_t>(size);
    }
    return std::vector<int64_t>(span.begin(), span.end());
  }

  int64_t size(std::string_view name) {
    return static_cast<int64_t>(get<ffi::Span<const int64_t>>(name).size());
  }

  template <typename... Parts>
  void check(bool condition, const Parts&... parts) {
    if (!condition) fail(parts...);
  }

  template <typename... Parts>
  void fail(const Parts&... parts) {
    if (failed_) return;
    failed_ = true;
    (text_ << ... << parts);
  }

  bool failed() const { return failed_; }
  std::string text() const { return text_.str(); }

 private:
  const ffi::Dictionary& attributes_;
  std::ostringstream text_;
  bool failed_ = false;
};

void read_dims(Reader& reader, Call* call) {
  call->leaves = reader.get<int64_t>("leaves");
  call->rank = reader.get<int64_t>("rank");
  reader.check(call->leaves >= 0, "attribute 'leaves' is ", call->leaves);
  reader.check(call->rank >= 1 && call->rank <= kMaxRank,
               "attribute 'rank' is ", call->rank, ", expected 1 to ",
               kMaxRank);
  if (reader.failed()) return;
  if (call->leaves > std::numeric_limits<int32_t>::max()) {
    return reader.fail("attribute 'leaves' is ", call->leaves);
  }
  call->dims = reader.numbers("dims", call->leaves * call->rank);
  for (int64_t leaf = 0; leaf < call->leaves; ++leaf) {
    int64_t elements = 1;
    for (int64_t d = 0; d < call->rank; ++d) {
      const int64_t dim = call->leaf_dims(leaf)[d];
      const int64_t limit = std::numeric_limits<int64_t>::max() / 64;
      if (dim < 0 || (dim > 0 && elements > limit / dim)) {
        return reader.fail("attribute 'dims': dimension ", d, " of leaf ", leaf,
                           " is ", dim);
      }
      if (dim > 0) elements *= dim;  // an empty leaf may keep some of its dims
    }
  }
}

void read_values(Reader& reader, Call* call) {
  const int64_t count = reader.size("value_dtypes");
  const auto dtypes = reader.numbers("value_dtypes", count);
  const auto per_leaf = reader.numbers("value_per_leaf", count);
  for (int64_t i = 0; i < count; ++i) {
    call->values.push_back(
        {static_cast<DataType>(dtypes[i]), per_leaf[i] != 0});
  }
}

void read_arrays(Reader& reader, Call* call) {
  const int64_t count = reader.size("array_dtypes");
  const auto dtypes = reader.numbers("array_dtypes", count);
  const auto kept = reader.numbers("array_kept", count);
  for (int64_t i = 0; i < count; ++i) {
    reader.check(kept[i] >= 0 && kept[i] < int64_t{1} << call->rank,
                 "attribute 'array_kept': array operand ", i, " has the mask ",
                 kept[i], " at rank ", call->rank);
    call->arrays.push_back({static_cast<DataType>(dtypes[i]), kept[i]});
  }
}

void check_stored(Reader& reader, const Call& call, int64_t i,
                  std::set<int64_t>* overwritten) {
  const Result& result = call.results[i];
  reader.check(result.kept == (int64_t{1} << call.rank) - 1, "result ", i,
               " is stored, but does not keep all dimensions");
  if (result.writes < 0) return;
  const int64_t arrays = static_cast<int64_t>(call.arrays.size());
  if (result.writes >= arrays) {
    return reader.fail("attribute 'result_writes': result ", i,
                       " overwrites array operand ", result.writes, " of ",
                       arrays);
  }
  const Array& array = call.arrays[result.writes];
  reader.check(array.dtype == result.dtype && array.kept == result.kept,
               "result ", i, " overwrites array operand ", result.writes,
               " of another type or extent");
  reader.check(overwritten->insert(result.writes).second,
               "two results overwrite array operand ", result.writes);
}

void check_folded(Reader& reader, const Call& call, int64_t i) {
  const Result& result = call.results[i];
  reader.check(result.kind == Kind::kAdd || result.kind == Kind::kMax ||
                   result.kind == Kind::kMin,
               "attribute 'result_kind': result ", i, " has the kind ",
               static_cast<int64_t>(result.kind));
  reader.check(
      result.kept >= kScalar && result.kept < int64_t{1} << call.rank,
      "attribute 'result_kept': result ", i, " is folded and has the mask ",
      result.kept, " at rank ", call.rank);
  reader.check(result.writes == -1, "result ", i,
               " is folded and cannot overwrite an operand");
  reader.check(can_store(result.dtype), "result ", i, " is folded into ",
               result.dtype, ", expected F16, BF16, F32 or F64");
}

void read_results(Reader& reader, Call* call) {
  const int64_t count = reader.size("result_dtypes");
  const auto dtypes = reader.numbers("result_dtypes", count);
  const auto kinds = reader.numbers("result_kind", count);
  const auto kept = reader.numbers("result_kept", count);
  const auto writes = reader.numbers("result_writes", count);
  std::set<int64_t> overwritten;
  for (int64_t i = 0; i < count; ++i) {
    call->results.push_back({static_cast<DataType>(dtypes[i]),
                             static_cast<Kind>(kinds[i]), kept[i], writes[i],
                             0});
    if (call->results.back().folded()) {
      check_folded(reader, *call, i);
    } else {
      check_stored(reader, *call, i, &overwritten);
    }
  }
}

// Buffers come in the order: stored results, then folds.
void place_buffers(Call* call) {
  const int64_t arrays = static_cast<int64_t>(call->arrays.size());
  call->operand_buffers =
      static_cast<int64_t>(call->values.size()) + arrays * call->leaves;
  call->pointers = arrays;
  for (const bool folded : {false, true}) {
    for (Result& result : call->results) {
      if (result.folded() != folded) continue;
      result.first = call->result_buffers;
      call->result_buffers += call->buffers_of(result);
      if (folded) {
        ++call->folds;
      } else if (result.writes < 0) {
        ++call->pointers;
      }
    }
  }
}

}  // namespace

int64_t Call::kept_elements(int64_t leaf, int64_t kept, int64_t from) const {
  int64_t elements = 1;
  for (int64_t d = from; d < rank; ++d) {
    if ((kept >> d) & 1) elements *= leaf_dims(leaf)[d];
  }
  return elements;
}

ffi::ErrorOr<Call> decode_call(const ffi::Dictionary& attributes) {
  Call call;
  Reader reader(attributes);
  call.kernel = reader.get<std::string_view>("kernel");
  call.source = reader.get<std::string_view>("source");
  read_dims(reader, &call);
  if (!reader.failed()) read_values(reader, &call);
  if (!reader.failed()) read_arrays(reader, &call);
  if (!reader.failed()) read_results(reader, &call);
  if (reader.failed()) {
    return ffi::Unexpected(ffi::Error::InvalidArgument(
        "optcc_sweep, kernel '" + call.kernel + "': " + reader.text()));
  }
  place_buffers(&call);
  return ffi::ErrorOr<Call>(std::move(call));
}

}  // namespace optcc
