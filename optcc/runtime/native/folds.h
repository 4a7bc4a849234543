// Folds in double and their rounding.
#ifndef OPTCC_RUNTIME_NATIVE_FOLDS_H_
#define OPTCC_RUNTIME_NATIVE_FOLDS_H_

#include <cstdint>

#include "xla/ffi/api/ffi.h"

namespace optcc {

// How a result of a map comes about; the numbers are those of the attribute
// `result_kind`.
enum class Kind : int64_t { kStored = 0, kAdd = 1, kMax = 2, kMin = 3 };

// The fold over nothing.
double identity(Kind kind);

// into[i] = combine(into[i], from[i]). A max or min of NaN is NaN.
void combine(Kind kind, double* into, const double* from, int64_t count);

// The fold of `from`, in order.
double fold(Kind kind, const double* from, int64_t count);

// Whether `store` knows the type.
bool can_store(xla::ffi::DataType dtype);

// Rounds each double once, to nearest even, and stores it at out[first ..].
void store(const double* from, int64_t count, xla::ffi::DataType dtype,
           void* out, int64_t first);

}  // namespace optcc

#endif  // OPTCC_RUNTIME_NATIVE_FOLDS_H_
