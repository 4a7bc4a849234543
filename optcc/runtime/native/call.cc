#include "call.h"

#include <algorithm>
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
// Elements and offsets up to this can be added and counted in bytes.
constexpr int64_t kMaxElements = std::numeric_limits<int64_t>::max() / 64;

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

  bool has(std::string_view name) const { return attributes_.contains(name); }

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
      if (dim < 0 || (dim > 0 && elements > kMaxElements / dim)) {
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
  const auto elements = reader.has("value_element")
                            ? reader.numbers("value_element", count)
                            : std::vector<int64_t>(count, -1);
  for (int64_t i = 0; i < count; ++i) {
    reader.check(elements[i] >= -1 && (elements[i] == -1 || per_leaf[i] == 0),
                 "attribute 'value_element': value ", i, " has the element ",
                 elements[i]);
    call->values.push_back(
        {static_cast<DataType>(dtypes[i]), per_leaf[i] != 0, elements[i]});
  }
}

void read_arrays(Reader& reader, Call* call) {
  const int64_t count = reader.size("array_dtypes");
  const auto dtypes = reader.numbers("array_dtypes", count);
  const auto kept = reader.numbers("array_kept", count);
  const auto tables = reader.has("array_packed")
                          ? reader.numbers("array_packed", count)
                          : std::vector<int64_t>(count, -1);
  for (int64_t i = 0; i < count; ++i) {
    reader.check(kept[i] >= 0 && kept[i] < int64_t{1} << call->rank,
                 "attribute 'array_kept': array operand ", i, " has the mask ",
                 kept[i], " at rank ", call->rank);
    reader.check(tables[i] >= -1 && tables[i] < count,
                 "attribute 'array_packed': array operand ", i,
                 " has the table ", tables[i], ", expected -1 to ", count - 1);
    call->arrays.push_back(
        {static_cast<DataType>(dtypes[i]), kept[i], tables[i], 0, 0, 0, 0});
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
                             static_cast<Kind>(kinds[i]), kept[i], writes[i], 0,
                             0});
    if (call->results.back().folded()) {
      check_folded(reader, *call, i);
    } else {
      check_stored(reader, *call, i, &overwritten);
    }
  }
}

// Where a packed array ends.
void measure(Reader& reader, const Call& call, int64_t i, Array* array) {
  for (int64_t leaf = 0; leaf < call.leaves; ++leaf) {
    const int64_t offset = call.offsets[array->table * call.leaves + leaf];
    if (offset < 0 || offset > kMaxElements) {
      return reader.fail("attribute 'offsets': leaf ", leaf,
                         " of array operand ", i, " starts at element ",
                         offset);
    }
    const int64_t end = offset + call.kept_elements(leaf, array->kept);
    if (end <= array->end) continue;
    array->end = end;
    array->last = leaf;
  }
}

// Two threads may write two leaves of an array at once.
void check_disjoint(Reader& reader, const Call& call, int64_t i) {
  const Array& array = call.arrays[i];
  std::vector<std::pair<int64_t, int64_t>> starts;  // and the leaves
  for (int64_t leaf = 0; leaf < call.leaves; ++leaf) {
    if (call.kept_elements(leaf, array.kept) == 0) continue;
    starts.emplace_back(call.offsets[array.table * call.leaves + leaf], leaf);
  }
  std::sort(starts.begin(), starts.end());
  for (size_t k = 1; k < starts.size(); ++k) {
    const auto [start, leaf] = starts[k - 1];
    if (start + call.kept_elements(leaf, array.kept) <= starts[k].first) {
      continue;
    }
    return reader.fail("attribute 'offsets': the leaves ",
                       std::min(leaf, starts[k].second), " and ",
                       std::max(leaf, starts[k].second), " of array operand ",
                       i, " overlap, and a result overwrites it");
  }
}

void read_offsets(Reader& reader, Call* call) {
  int64_t tables = 0;
  for (const Array& array : call->arrays) {
    tables = std::max(tables, array.table + 1);
  }
  if (tables == 0 && !reader.has("offsets")) return;
  call->offsets = reader.numbers("offsets", tables * call->leaves);
  for (size_t i = 0; i < call->arrays.size() && !reader.failed(); ++i) {
    Array& array = call->arrays[i];
    if (array.packed()) measure(reader, *call, i, &array);
  }
  for (const Result& result : call->results) {
    if (reader.failed()) return;
    if (call->over_packed(result)) check_disjoint(reader, *call, result.writes);
  }
}

// Results come in the order: stored ones, then folds. Pointers of the kernel:
// arrays, then results that overwrite nothing.
void place_buffers(Call* call) {
  call->operand_buffers = static_cast<int64_t>(call->values.size());
  for (Array& array : call->arrays) {
    array.first = call->operand_buffers;
    call->operand_buffers += call->buffers_of(array);
    auto& list = array.packed() ? call->packed : call->separate;
    array.place = static_cast<int64_t>(list.size());
    list.push_back(call->pointers++);
  }
  call->operand_buffers += call->after;
  for (const bool folded : {false, true}) {
    for (Result& result : call->results) {
      if (result.folded() != folded) continue;
      result.first = call->result_buffers;
      call->result_buffers += call->buffers_of(result);
      if (folded) {
        ++call->folds;
      } else if (result.writes >= 0) {
        result.place = call->arrays[result.writes].place;
      } else {
        result.place = static_cast<int64_t>(call->separate.size());
        call->separate.push_back(call->pointers++);
      }
    }
  }
}

// Whether nothing but the offsets and sizes tells the leaves apart, and their
// elements are independent of each other.
bool can_join(const Call& call) {
  const auto flat = [](const Array& array) { return array.kept == 1; };
  const auto per_leaf = [](const Value& value) { return value.per_leaf; };
  return call.rank == 1 && call.folds == 0 && call.separate.empty() &&
         std::all_of(call.arrays.begin(), call.arrays.end(), flat) &&
         std::none_of(call.values.begin(), call.values.end(), per_leaf);
}

// Makes one leaf of those that lie one after another in all arrays: many small
// leaves then take no longer than a large one.
void join_leaves(Call* call) {
  if (!can_join(*call)) return;
  std::vector<int64_t> dims;
  std::vector<int64_t> kept;  // the leaves that begin a joined one
  const auto follows = [&](int64_t leaf) {
    for (const Array& array : call->arrays) {
      const int64_t* const offsets =
          call->offsets.data() + array.table * call->leaves;
      if (offsets[kept.back()] + dims.back() != offsets[leaf]) return false;
    }
    return true;
  };
  for (int64_t leaf = 0; leaf < call->leaves; ++leaf) {
    if (call->dims[leaf] == 0) continue;
    if (!kept.empty() && follows(leaf)) {
      dims.back() += call->dims[leaf];
    } else {
      kept.push_back(leaf);
      dims.push_back(call->dims[leaf]);
    }
  }
  std::vector<int64_t> offsets;
  for (size_t start = 0; start < call->offsets.size(); start += call->leaves) {
    for (const int64_t leaf : kept) {
      offsets.push_back(call->offsets[start + leaf]);
    }
  }
  call->leaves = static_cast<int64_t>(kept.size());
  call->dims = std::move(dims);
  call->offsets = std::move(offsets);
}

void count_bytes(Call* call) {
  for (int64_t leaf = 0; leaf < call->leaves; ++leaf) {
    for (const int64_t i : call->packed) {
      const Array& array = call->arrays[i];
      call->byte_offsets.push_back(
          call->offsets[array.table * call->leaves + leaf] *
          static_cast<int64_t>(ffi::ByteWidth(array.dtype)));
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
  if (!reader.failed()) read_offsets(reader, &call);
  if (reader.has("after")) call.after = reader.get<int64_t>("after");
  reader.check(call.after >= 0, "attribute 'after' is ", call.after);
  if (reader.failed()) {
    return ffi::Unexpected(ffi::Error::InvalidArgument(
        "optcc_sweep, kernel '" + call.kernel + "': " + reader.text()));
  }
  place_buffers(&call);
  join_leaves(&call);
  count_bytes(&call);
  return ffi::ErrorOr<Call>(std::move(call));
}

}  // namespace optcc
