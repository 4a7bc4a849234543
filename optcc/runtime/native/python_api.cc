// What Python calls through ctypes; see library.py.

#include <cstdint>

#include "export.h"
#include "registry.h"
#include "xla/ffi/api/c_api.h"

// Raised with every change of the exported functions, of a kernel's signature
// or of the handler's attributes; library.py holds the same number.
constexpr int32_t kAbiVersion = 3;

OPTCC_EXPORT int32_t optcc_abi_version() { return kAbiVersion; }

// The version of XLA's FFI in the headers of this build.
OPTCC_EXPORT int32_t optcc_ffi_version() {
  return XLA_FFI_API_MAJOR * 1000 + XLA_FFI_API_MINOR;
}

OPTCC_EXPORT void optcc_register_kernel(const char* name, void* address) {
  optcc::register_kernel(name, reinterpret_cast<optcc::Kernel*>(address));
}

OPTCC_EXPORT void optcc_set_compiler(optcc::Compiler* compiler) {
  optcc::set_compiler(compiler);
}
