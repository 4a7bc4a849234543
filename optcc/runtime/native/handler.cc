// The XLA FFI handler `optcc_sweep`: one kernel on all leaves of a sweep.

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "buffers.h"
#include "call.h"
#include "export.h"
#include "plan.h"
#include "registry.h"
#include "sweep.h"
#include "work_sharing.h"
#include "xla/ffi/api/ffi.h"

namespace optcc {
namespace {

namespace ffi = xla::ffi;
using ffi::Error;

// A larger scratch is given back after each call.
constexpr int64_t kKeptBytes = int64_t{16} << 20;

// What one call site keeps from run to run. XLA owns it and runs it in several
// threads at once.
struct CallSite {
  static ffi::TypeId id;

  CallSite(Call call_, Plan plan_)
      : call(std::move(call_)), plan(std::move(plan_)) {}
  ~CallSite() { delete scratch.load(); }

  const Call call;
  const Plan plan;
  std::atomic<Kernel*> kernel{nullptr};
  std::atomic<bool> shapes_checked{false};
  std::atomic<Scratch*> scratch{nullptr};
};

ffi::TypeId CallSite::id = XLA_FFI_UNKNOWN_TYPE_ID;

// XLA must know the type of the state before it takes the handlers. It asks
// each handler for its metadata as it takes it, and that is early enough; JAX's
// own list of types is read only after its list of handlers.
void register_call_site(const XLA_FFI_Api* api) {
  static std::once_flag once;
  std::call_once(once, [api] {
    XLA_FFI_Error* error =
        ffi::Ffi::RegisterTypeId(api, "optcc_call_site", &CallSite::id,
                                 ffi::MakeTypeInfo<CallSite>());
    // The id stays unknown, and XLA reports that when it takes the handler.
    if (error != nullptr) ffi::internal::DestroyError(api, error);
  });
}

// The call site's scratch, or a new one while another run has it.
class ScratchLease {
 public:
  explicit ScratchLease(CallSite* site)
      : site_(site), scratch_(site->scratch.exchange(nullptr)) {
    if (!scratch_) {
      scratch_ = std::make_unique<Scratch>(site->call, site->plan);
    }
  }
  ~ScratchLease() {
    if (scratch_->bytes() > kKeptBytes) return;
    scratch_.reset(site_->scratch.exchange(scratch_.release()));
  }
  ScratchLease(const ScratchLease&) = delete;
  ScratchLease& operator=(const ScratchLease&) = delete;

  Scratch& operator*() { return *scratch_; }

 private:
  CallSite* const site_;
  std::unique_ptr<Scratch> scratch_;
};

Error find_kernel(CallSite* site, Kernel** kernel) {
  *kernel = site->kernel.load(std::memory_order_acquire);
  if (*kernel != nullptr) return Error::Success();
  std::string reason;
  *kernel = find_or_compile(site->call.kernel, site->call.source, &reason);
  if (*kernel == nullptr) {
    return Error(ffi::ErrorCode::kFailedPrecondition,
                 "optcc_sweep: the kernel '" + site->call.kernel +
                     "' is not in this process's registry and could not be "
                     "compiled: " +
                     reason);
  }
  site->kernel.store(*kernel, std::memory_order_release);
  return Error::Success();
}

void run(const CallSite& site, Kernel* kernel, ffi::ThreadPool pool,
         Scratch& scratch) {
  const Call& call = site.call;
  const Plan& plan = site.plan;
  const auto schedule = [&pool](auto task) { pool.Schedule(std::move(task)); };
  const int64_t threads = plan.shared ? pool.num_threads() : 0;
  // The caller is a worker, too.
  const auto helpers = [threads](int64_t tasks) {
    return std::max<int64_t>(0, std::min(threads, tasks) - 1);
  };

  const int64_t tasks = static_cast<int64_t>(plan.tasks.size());
  scratch.set_workers(call, helpers(tasks) + 1);
  KernelJob kernels(call, plan, kernel, scratch);
  share(tasks, helpers(tasks), kernels, schedule);
  if (!plan.pieces.empty()) {
    const int64_t pieces = static_cast<int64_t>(plan.pieces.size());
    CombineJob combine(call, plan, scratch);
    share(pieces, plan.combining_shared ? helpers(pieces) : 0, combine,
          schedule);
  }
  store_small_folds(call, plan, scratch);
}

ffi::ErrorOr<std::unique_ptr<CallSite>> instantiate(
    ffi::Dictionary attributes) {
  try {
    auto call = decode_call(attributes);
    if (call.has_error()) return ffi::Unexpected(std::move(call.error()));
    Plan plan = make_plan(*call);
    return ffi::ErrorOr<std::unique_ptr<CallSite>>(
        std::make_unique<CallSite>(std::move(*call), std::move(plan)));
  } catch (const std::exception& error) {
    return ffi::Unexpected(
        Error(ffi::ErrorCode::kResourceExhausted,
              std::string("optcc_sweep: ") + error.what()));
  }
}

Error execute(CallSite* site, ffi::ThreadPool pool, ffi::RemainingArgs args,
              ffi::RemainingRets rets) {
  try {
    const Operands operands(args);
    const Outputs outputs(rets);
    if (!site->shapes_checked.load(std::memory_order_acquire)) {
      Error error = check_shapes(site->call, operands, outputs);
      if (error.failure()) return error;
      site->shapes_checked.store(true, std::memory_order_release);
    }
    Kernel* kernel;
    if (Error error = find_kernel(site, &kernel); error.failure()) return error;
    ScratchLease scratch(site);
    Error error = gather(site->call, operands, outputs, &*scratch);
    if (error.failure()) return error;
    run(*site, kernel, pool, *scratch);
    return Error::Success();
  } catch (const std::exception& error) {
    return Error(ffi::ErrorCode::kResourceExhausted,
                 std::string("optcc_sweep: ") + error.what());
  }
}

}  // namespace
}  // namespace optcc

namespace ffi = xla::ffi;

OPTCC_EXPORT XLA_FFI_Error* optcc_sweep_instantiate(XLA_FFI_CallFrame* frame) {
  optcc::register_call_site(frame->api);
  XLA_FFI_DEFINE_HANDLER(handler, optcc::instantiate,
                         ffi::Ffi::BindInstantiate().Attrs());
  return handler(frame);
}

OPTCC_EXPORT XLA_FFI_Error* optcc_sweep_execute(XLA_FFI_CallFrame* frame) {
  XLA_FFI_DEFINE_HANDLER(handler, optcc::execute,
                         ffi::Ffi::BindExecute()
                             .Ctx<ffi::State<optcc::CallSite>>()
                             .Ctx<ffi::ThreadPool>()
                             .RemainingArgs()
                             .RemainingRets());
  return handler(frame);
}
