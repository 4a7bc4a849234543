// The buffers of one call: checks, and the pointers for the kernel.
#ifndef OPTCC_RUNTIME_NATIVE_BUFFERS_H_
#define OPTCC_RUNTIME_NATIVE_BUFFERS_H_

#include "call.h"
#include "sweep.h"
#include "xla/ffi/api/ffi.h"

namespace optcc {

// `get` of the base class builds an error object for each buffer, which takes
// longer than reading one hundred elements. These read the call frame itself.
class Operands : public xla::ffi::RemainingArgs {
 public:
  explicit Operands(const xla::ffi::RemainingArgs& all) : RemainingArgs(all) {}
  xla::ffi::AnyBuffer operator[](int64_t index) const {
    return xla::ffi::AnyBuffer(
        static_cast<XLA_FFI_Buffer*>(args()->args[offset() + index]));
  }
};

class Outputs : public xla::ffi::RemainingRets {
 public:
  explicit Outputs(const xla::ffi::RemainingRets& all) : RemainingRets(all) {}
  xla::ffi::AnyBuffer operator[](int64_t index) const {
    return xla::ffi::AnyBuffer(
        static_cast<XLA_FFI_Buffer*>(rets()->rets[offset() + index]));
  }
};

// The counts, types and sizes of the buffers. They are the same in each run of
// one call site.
xla::ffi::Error check_shapes(const Call& call, const Operands& operands,
                             const Outputs& outputs);

// Fills the scratch's pointers; checks alignments and aliases.
xla::ffi::Error gather(const Call& call, const Operands& operands,
                       const Outputs& outputs, Scratch* scratch);

}  // namespace optcc

#endif  // OPTCC_RUNTIME_NATIVE_BUFFERS_H_
