// The kernels of this process, by name.
#ifndef OPTCC_RUNTIME_NATIVE_REGISTRY_H_
#define OPTCC_RUNTIME_NATIVE_REGISTRY_H_

#include <cstdint>
#include <string>

namespace optcc {

// One chunk of one leaf; the arguments are described in docs/native.md.
using Kernel = void(int64_t begin, int64_t end, const int64_t* dims,
                    void* const* arrays, const void* const* values,
                    double* const* partials);

// Compiles the kernel `name` from its source and returns its address, or null
// and a text in `error`, which holds `error_size` bytes with the final zero.
// The address stays valid until the process ends.
using Compiler = void*(const char* name, const char* source, char* error,
                       int64_t error_size);

// The first registration of a name stays: its address may be in use.
void register_kernel(const std::string& name, Kernel* kernel);

// Null takes the compiler away.
void set_compiler(Compiler* compiler);

// The kernel `name`, compiled from `source` if the registry lacks it. Null and
// a reason in `error` if that is not possible. No lock is held while compiling.
Kernel* find_or_compile(const std::string& name, const std::string& source,
                        std::string* error);

}  // namespace optcc

#endif  // OPTCC_RUNTIME_NATIVE_REGISTRY_H_
