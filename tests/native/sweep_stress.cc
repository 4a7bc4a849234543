// Drives the handler in XLA's place: from eight threads over one pool of two,
// on call sites of their own and on shared ones. Whatever the number of
// helpers, the results must have the bits of a run without any. Meant for the
// sanitizers, which do not see what generated kernels and XLA do; hence kernels
// in C++, and just as much of XLA's C API as the handler asks for.

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pool.h"
#include "registry.h"
#include "xla/ffi/api/c_api.h"

extern "C" XLA_FFI_Error* optcc_sweep_instantiate(XLA_FFI_CallFrame* frame);
extern "C" XLA_FFI_Error* optcc_sweep_execute(XLA_FFI_CallFrame* frame);

// XLA's side of the C API

struct XLA_FFI_Error {
  std::string message;
};

namespace {

using Schedule = std::function<void(std::function<void()>)>;

// One run of a call site: what the handler passes on as `ctx`, whose type has
// another name in other versions of XLA.
struct Context {
  void* site;
  int64_t threads;
  const Schedule* schedule;
};

template <typename Args>
Context* context_of(Args* args) {
  return reinterpret_cast<Context*>(args->ctx);
}

constexpr int kCallers = 8;
constexpr int kCalls = 200;
constexpr int kPoolThreads = 2;
constexpr int64_t kThreads[] = {1, 2, 4};  // no, one and three helpers

void (*delete_site)(void*) = nullptr;

const XLA_FFI_Api* api() {
  static const XLA_FFI_Api instance = [] {
    XLA_FFI_Api api{};
    api.struct_size = XLA_FFI_Api_STRUCT_SIZE;
    api.XLA_FFI_Error_Create = [](XLA_FFI_Error_Create_Args* args) {
      return new XLA_FFI_Error{args->message};
    };
    api.XLA_FFI_Error_Destroy = [](XLA_FFI_Error_Destroy_Args* args) {
      delete args->error;
    };
    api.XLA_FFI_Type_Register =
        [](XLA_FFI_Type_Register_Args* args) -> XLA_FFI_Error* {
      args->type_id->type_id = 1;
      delete_site = args->type_info->deleter;
      return nullptr;
    };
    api.XLA_FFI_State_Set = [](XLA_FFI_State_Set_Args* args) -> XLA_FFI_Error* {
      context_of(args)->site = args->state;
      return nullptr;
    };
    api.XLA_FFI_State_Get = [](XLA_FFI_State_Get_Args* args) -> XLA_FFI_Error* {
      args->state = context_of(args)->site;
      return nullptr;
    };
    api.XLA_FFI_ThreadPool_Schedule =
        [](XLA_FFI_ThreadPool_Schedule_Args* args) -> XLA_FFI_Error* {
      (*context_of(args)->schedule)(
          [task = args->task, data = args->data] { task(data); });
      return nullptr;
    };
    api.XLA_FFI_ThreadPool_NumThreads =
        [](XLA_FFI_ThreadPool_NumThreads_Args* args) -> XLA_FFI_Error* {
      *args->num_threads = context_of(args)->threads;
      return nullptr;
    };
    return api;
  }();
  return &instance;
}

void check_success(XLA_FFI_Error* error) {
  if (error != nullptr) check(false, error->message.c_str());
}

XLA_FFI_CallFrame frame_of(Context* context, XLA_FFI_ExecutionStage stage) {
  XLA_FFI_CallFrame frame{};
  frame.struct_size = XLA_FFI_CallFrame_STRUCT_SIZE;
  frame.api = api();
  frame.ctx = reinterpret_cast<decltype(frame.ctx)>(context);
  frame.stage = stage;
  frame.args.struct_size = XLA_FFI_Args_STRUCT_SIZE;
  frame.rets.struct_size = XLA_FFI_Rets_STRUCT_SIZE;
  frame.attrs.struct_size = XLA_FFI_Attrs_STRUCT_SIZE;
  return frame;
}

class Attributes {
 public:
  void add(const std::string& name, const std::string& text) {
    all_[name].text = text;
  }
  void add(const std::string& name, int64_t number) {
    all_[name].number = number;
  }
  void add(const std::string& name, const std::vector<int64_t>& numbers) {
    all_[name].numbers = numbers;
    all_[name].is_array = true;
  }

  // Points into this object.
  XLA_FFI_Attrs view() {
    for (auto& [name, entry] : all_) {
      entry.name = {name.data(), name.size()};
      names_.push_back(&entry.name);
      if (entry.is_array) {
        entry.array = {XLA_FFI_DataType_S64, entry.numbers.size(),
                       entry.numbers.data()};
        types_.push_back(XLA_FFI_AttrType_ARRAY);
        values_.push_back(&entry.array);
      } else if (!entry.text.empty()) {
        entry.span = {entry.text.data(), entry.text.size()};
        types_.push_back(XLA_FFI_AttrType_STRING);
        values_.push_back(&entry.span);
      } else {
        entry.scalar = {XLA_FFI_DataType_S64, &entry.number};
        types_.push_back(XLA_FFI_AttrType_SCALAR);
        values_.push_back(&entry.scalar);
      }
    }
    return {XLA_FFI_Attrs_STRUCT_SIZE,
            nullptr,
            static_cast<int64_t>(types_.size()),
            types_.data(),
            names_.data(),
            values_.data()};
  }

 private:
  struct Entry {
    std::string text;
    int64_t number = 0;
    std::vector<int64_t> numbers;
    bool is_array = false;
    XLA_FFI_ByteSpan name;
    XLA_FFI_ByteSpan span;
    XLA_FFI_Scalar scalar;
    XLA_FFI_Array array;
  };
  std::map<std::string, Entry> all_;  // XLA sorts them, too
  std::vector<XLA_FFI_AttrType> types_;
  std::vector<XLA_FFI_ByteSpan*> names_;
  std::vector<void*> values_;
};

// Kernels; docs/native.md describes their arguments

float* floats(void* pointer) { return static_cast<float*>(pointer); }

void add(int64_t begin, int64_t end, const int64_t*, void* const* arrays,
         const void* const*, double* const*) {
  float* const x = floats(arrays[0]);
  const float* const y = floats(arrays[1]);
  for (int64_t i = begin; i < end; ++i) x[i] += y[i];
}

// p -= u, u = rate w g; the sums of g^2 of each leaf and of all, and max |g|.
void axpy(int64_t begin, int64_t end, const int64_t*, void* const* arrays,
          const void* const* values, double* const* partials) {
  float* const p = floats(arrays[0]);
  const float* const g = floats(arrays[1]);
  float* const u = floats(arrays[2]);
  const float rate = *static_cast<const float*>(values[0]) *
                     *static_cast<const float*>(values[1]);
  double sum = 0.0;
  double top = -HUGE_VAL;
  for (int64_t i = begin; i < end; ++i) {
    u[i] = rate * g[i];
    p[i] -= u[i];
    sum += static_cast<double>(g[i]) * g[i];
    top = std::max(top, std::fabs(static_cast<double>(g[i])));
  }
  *partials[0] = sum;
  *partials[1] = sum;
  *partials[2] = top;
}

// x *= r of each row; the sums of the columns and the maxima of the rows of x.
void axes(int64_t begin, int64_t end, const int64_t* dims, void* const* arrays,
          const void* const*, double* const* partials) {
  for (int64_t i = begin; i < end; ++i) {
    float* const x = floats(arrays[0]) + i * dims[1];
    const float r = floats(arrays[1])[i];
    double top = partials[1][i];
    for (int64_t j = 0; j < dims[1]; ++j) {
      partials[0][j] += x[j];
      top = std::max(top, static_cast<double>(x[j]));
      x[j] *= r;
    }
    partials[1][i] = top;
  }
}

// Folds along the rows what depends on the column and the chunk alone. It is
// soon done with large leaves, whose buffers are then enough work for several
// threads to combine.
void wide(int64_t begin, int64_t, const int64_t* dims, void* const* arrays,
          const void* const*, double* const* partials) {
  const float* const v = floats(arrays[0]);
  for (int64_t j = 0; j < dims[1]; ++j) {
    partials[0][j] += v[j] / static_cast<double>(begin + 3);
  }
}

// Calls

constexpr int64_t kPerLeaf = -1;
constexpr int64_t kScalar = -2;
constexpr int64_t kStored = 0;
constexpr int64_t kAdd = 1;
constexpr int64_t kMax = 2;
constexpr int64_t kF32 = XLA_FFI_DataType_F32;
constexpr int64_t kBF16 = XLA_FFI_DataType_BF16;

struct Value {
  int64_t per_leaf;
  int64_t element;  // of a vector of them, or -1
};

struct Array {
  int64_t kept;
  int64_t gap;  // between the leaves of a packed array; -1: not packed
};

struct Result {
  int64_t dtype;
  int64_t kind;
  int64_t kept;
  int64_t writes;
};

struct Call {
  std::string kernel;
  std::vector<std::vector<int64_t>> leaves;
  std::vector<Value> values;
  std::vector<Array> arrays;
  std::vector<Result> results;
};

std::vector<Call> all_calls() {
  // Small leaves in a row, empty ones, one chunk exactly, and several chunks.
  // Just enough work for several threads.
  const std::vector<std::vector<int64_t>> flat = {{7},     {100}, {0},     {1},
                                                  {32768}, {100}, {40001}, {5},
                                                  {32769}, {0},   {30000}};
  const std::vector<std::vector<int64_t>> matrices = {
      {3, 5}, {300, 210}, {0, 4}, {7, 0}, {1, 9000}, {33000, 1}, {30, 2000}};
  const std::vector<std::vector<int64_t>> large = {
      {64, 8192}, {0, 8192}, {64, 8192}, {3, 1000}, {64, 8192}, {64, 8192}};
  const std::vector<Result> of_axpy = {{kF32, kStored, 1, 0},
                                       {kF32, kStored, 1, -1},
                                       {kF32, kAdd, kPerLeaf, -1},
                                       {kF32, kAdd, kScalar, -1},
                                       {kF32, kMax, kScalar, -1}};
  // Neighbouring rows in bfloat16 lie in one word.
  const std::vector<Result> of_axes = {
      {kF32, kStored, 3, 0}, {kF32, kAdd, 2, -1}, {kBF16, kMax, 1, -1}};
  return {
      {"add", flat, {}, {{1, -1}, {1, -1}}, {{kF32, kStored, 1, 0}}},
      {"add", flat, {}, {{1, 3}, {1, -1}}, {{kF32, kStored, 1, 0}}},
      // These leaves run as one.
      {"add", flat, {}, {{1, 0}, {1, 0}}, {{kF32, kStored, 1, 0}}},
      {"axpy", flat, {{0, -1}, {1, -1}}, {{1, -1}, {1, -1}}, of_axpy},
      {"axpy", flat, {{0, 2}, {1, -1}}, {{1, 3}, {1, 5}}, of_axpy},
      {"axes", matrices, {}, {{3, -1}, {1, -1}}, of_axes},
      {"axes", matrices, {}, {{3, 1}, {1, 0}}, of_axes},
      {"wide", large, {}, {{2, -1}}, {{kF32, kAdd, 2, -1}}},
  };
}

int64_t kept_elements(const std::vector<int64_t>& dims, int64_t kept) {
  int64_t elements = 1;
  for (size_t d = 0; d < dims.size(); ++d) {
    if ((kept >> d) & 1) elements *= dims[d];
  }
  return elements;
}

// Where the leaves of a packed array begin, and where it ends.
std::vector<int64_t> offsets_of(const Call& call, const Array& array) {
  std::vector<int64_t> offsets = {array.gap};
  for (const std::vector<int64_t>& dims : call.leaves) {
    offsets.push_back(offsets.back() + kept_elements(dims, array.kept) +
                      array.gap);
  }
  return offsets;
}

Attributes attributes_of(const Call& call) {
  std::vector<int64_t> dims, dtypes, kept, tables, offsets;
  for (const std::vector<int64_t>& leaf : call.leaves) {
    dims.insert(dims.end(), leaf.begin(), leaf.end());
  }
  std::vector<int64_t> value_dtypes, per_leaf, elements;
  for (const Value& value : call.values) {
    value_dtypes.push_back(kF32);
    per_leaf.push_back(value.per_leaf);
    elements.push_back(value.element);
  }
  int64_t packed = 0;
  for (const Array& array : call.arrays) {
    dtypes.push_back(kF32);
    kept.push_back(array.kept);
    tables.push_back(array.gap < 0 ? -1 : packed++);
    if (array.gap < 0) continue;
    const std::vector<int64_t> starts = offsets_of(call, array);
    offsets.insert(offsets.end(), starts.begin(), starts.end() - 1);
  }
  std::vector<int64_t> result_dtypes, result_kinds, result_kept, result_writes;
  for (const Result& result : call.results) {
    result_dtypes.push_back(result.dtype);
    result_kinds.push_back(result.kind);
    result_kept.push_back(result.kept);
    result_writes.push_back(result.writes);
  }
  Attributes attributes;
  attributes.add("kernel", call.kernel);
  attributes.add("source", "none");
  attributes.add("leaves", static_cast<int64_t>(call.leaves.size()));
  attributes.add("rank", static_cast<int64_t>(call.leaves[0].size()));
  attributes.add("dims", dims);
  attributes.add("value_dtypes", value_dtypes);
  attributes.add("value_per_leaf", per_leaf);
  attributes.add("value_element", elements);
  attributes.add("array_dtypes", dtypes);
  attributes.add("array_kept", kept);
  attributes.add("array_packed", tables);
  attributes.add("offsets", offsets);
  attributes.add("result_dtypes", result_dtypes);
  attributes.add("result_kind", result_kinds);
  attributes.add("result_kept", result_kept);
  attributes.add("result_writes", result_writes);
  return attributes;
}

// A call site, which XLA makes once and runs in several threads at once.
class Site {
 public:
  explicit Site(const Call& call) {
    Attributes attributes = attributes_of(call);
    Context context{};
    XLA_FFI_CallFrame frame =
        frame_of(&context, XLA_FFI_ExecutionStage_INSTANTIATE);
    frame.attrs = attributes.view();
    check_success(optcc_sweep_instantiate(&frame));
    site_ = context.site;
  }
  ~Site() { delete_site(site_); }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  void* get() const { return site_; }

 private:
  void* site_;
};

// The operands and results of one run, each as large as it must be and no
// larger, so that the address sanitizer sees what goes beyond.
class Buffers {
 public:
  explicit Buffers(const Call& call) {
    const int64_t n = static_cast<int64_t>(call.leaves.size());
    for (const Value& value : call.values) {
      add_operand(value.per_leaf ? n : value.element < 0 ? 1 : 5);
    }
    std::vector<int64_t> first;  // operand of each array
    for (const Array& array : call.arrays) {
      first.push_back(static_cast<int64_t>(operands_.size()));
      if (array.gap >= 0) {
        add_operand(offsets_of(call, array).back());
      } else {
        for (const auto& dims : call.leaves) {
          add_operand(kept_elements(dims, array.kept));
        }
      }
    }
    for (const bool folded : {false, true}) {
      for (const Result& result : call.results) {
        if ((result.kind != kStored) != folded) continue;
        if (result.writes >= 0) {
          const bool packed = call.arrays[result.writes].gap >= 0;
          for (int64_t i = 0; i < (packed ? 1 : n); ++i) {
            results_.push_back({0, 0, {}, first[result.writes] + i});
          }
        } else if (result.kept < 0) {
          add_result(result.kept == kPerLeaf ? n : 1, result.dtype);
        } else {
          for (const auto& dims : call.leaves) {
            add_result(kept_elements(dims, result.kept), result.dtype);
          }
        }
      }
    }
  }

  // Calls the handler as XLA does.
  void run(const Site& site, int64_t threads, const Schedule& schedule) {
    Context context{site.get(), threads, &schedule};
    std::vector<XLA_FFI_Buffer> operands = views(operands_);
    std::vector<XLA_FFI_Buffer> results = views(results_);
    std::vector<void*> args, rets;
    for (XLA_FFI_Buffer& buffer : operands) args.push_back(&buffer);
    for (XLA_FFI_Buffer& buffer : results) rets.push_back(&buffer);
    std::vector<XLA_FFI_ArgType> arg_types(args.size(), XLA_FFI_ArgType_BUFFER);
    std::vector<XLA_FFI_RetType> ret_types(rets.size(), XLA_FFI_RetType_BUFFER);
    XLA_FFI_CallFrame frame =
        frame_of(&context, XLA_FFI_ExecutionStage_EXECUTE);
    frame.args.size = static_cast<int64_t>(args.size());
    frame.args.types = arg_types.data();
    frame.args.args = args.data();
    frame.rets.size = static_cast<int64_t>(rets.size());
    frame.rets.types = ret_types.data();
    frame.rets.rets = rets.data();
    check_success(optcc_sweep_execute(&frame));
  }

  bool operator==(const Buffers& other) const {
    const auto same = [](const Buffer& a, const Buffer& b) {
      return a.bytes == b.bytes;
    };
    return std::equal(operands_.begin(), operands_.end(),
                      other.operands_.begin(), other.operands_.end(), same) &&
           std::equal(results_.begin(), results_.end(), other.results_.begin(),
                      other.results_.end(), same);
  }

 private:
  struct Buffer {
    int64_t dtype;
    int64_t elements;
    std::vector<char> bytes;
    int64_t operand;  // that it is in truth, or -1
  };

  void add_operand(int64_t elements) {
    Buffer buffer{kF32, elements, std::vector<char>(elements * 4), -1};
    std::minstd_rand generator(static_cast<unsigned>(operands_.size() + 1));
    for (int64_t i = 0; i < elements; ++i) {
      const float value = static_cast<float>(generator()) / (1 << 30) - 1.0f;
      std::memcpy(buffer.bytes.data() + i * 4, &value, 4);
    }
    operands_.push_back(std::move(buffer));
  }

  void add_result(int64_t elements, int64_t dtype) {
    const int64_t width = dtype == kF32 ? 4 : 2;
    results_.push_back(
        {dtype, elements, std::vector<char>(elements * width), -1});
  }

  std::vector<XLA_FFI_Buffer> views(std::vector<Buffer>& buffers) {
    std::vector<XLA_FFI_Buffer> result;
    for (Buffer& own : buffers) {
      Buffer& buffer = own.operand < 0 ? own : operands_[own.operand];
      result.push_back({XLA_FFI_Buffer_STRUCT_SIZE, nullptr,
                        static_cast<XLA_FFI_DataType>(buffer.dtype),
                        buffer.bytes.data(), 1, &buffer.elements});
    }
    return result;
  }

  std::vector<Buffer> operands_;
  std::vector<Buffer> results_;
};

// The stress

constexpr int kRoundings[] = {FE_TONEAREST, FE_DOWNWARD};

struct Case {
  Call call;
  Buffers before;
  std::vector<Buffers> after;  // for each rounding, by a run without helpers
};

std::vector<Case> all_cases() {
  const Schedule schedule = [](const std::function<void()>&) {
    check(false, "one thread asks for no help");
  };
  std::vector<Case> cases;
  for (const Call& call : all_calls()) {
    Case one{call, Buffers(call), {}};
    const Site site(call);
    for (const int rounding : kRoundings) {
      one.after.push_back(one.before);
      std::fesetround(rounding);
      one.after.back().run(site, 1, schedule);
      std::fesetround(FE_TONEAREST);
    }
    check(!(one.after[0] == one.before), "a sweep does something");
    check(!(one.after[0] == one.after[1]), "a sweep shows how it is rounded");
    cases.push_back(std::move(one));
  }
  return cases;
}

void call(const Case& one, const Site& site, int64_t threads, int rounding,
          const Schedule& schedule, Buffers& buffers) {
  buffers = one.before;
  std::fesetround(kRoundings[rounding]);
  buffers.run(site, threads, schedule);
  std::fesetround(FE_TONEAREST);
  check(buffers == one.after[rounding], "as without helpers");
}

using Sites = std::vector<std::unique_ptr<Site>>;

Sites sites_of(const std::vector<Case>& cases) {
  Sites sites;
  for (const Case& one : cases) {
    sites.push_back(std::make_unique<Site>(one.call));
  }
  return sites;
}

// The call sites are one caller's own, or all callers run each of them at once.
void many_callers(const std::vector<Case>& cases, const Sites* shared) {
  Pool pool(kPoolThreads);
  const Schedule schedule = [&pool](std::function<void()> task) {
    pool.schedule(std::move(task));
  };
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&cases, shared, &schedule, i] {
      const Sites own = shared != nullptr ? Sites() : sites_of(cases);
      std::vector<Buffers> buffers;  // sanitizers take long to allocate them
      for (const Case& one : cases) buffers.push_back(one.before);
      const Sites& sites = shared != nullptr ? *shared : own;
      for (int n = 0; n < kCalls; ++n) {
        const size_t k = (shared != nullptr ? n : n + i) % cases.size();
        call(cases[k], *sites[k], kThreads[(n + i) % 3], i % 2, schedule,
             buffers[k]);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

// Helpers that start when the buffers and the call site are gone. They also
// show that the calls are large enough to ask for help.
void helpers_that_come_late(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    std::vector<std::function<void()>> late;
    const Schedule schedule = [&late](std::function<void()> task) {
      late.push_back(std::move(task));
    };
    {
      const Site site(one.call);
      Buffers buffers = one.before;
      call(one, site, 4, 0, schedule, buffers);
    }
    check(late.size() == (one.call.kernel == "wide" ? 6 : 3),
          "three helpers for the kernel, and three to combine its buffers");
    for (const auto& task : late) task();
  }
}

}  // namespace

int main() {
  optcc::register_kernel("add", add);
  optcc::register_kernel("axpy", axpy);
  optcc::register_kernel("axes", axes);
  optcc::register_kernel("wide", wide);
  const std::vector<Case> cases = all_cases();
  helpers_that_come_late(cases);
  many_callers(cases, nullptr);
  const Sites shared = sites_of(cases);
  many_callers(cases, &shared);
  std::puts("ok");
}
