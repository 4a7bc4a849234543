#include "folds.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace optcc {
namespace {

using xla::ffi::DataType;

double combine(Kind kind, double a, double b) {
  switch (kind) {
    case Kind::kMax:
      return a > b || std::isnan(a) ? a : b;
    case Kind::kMin:
      return a < b || std::isnan(a) ? a : b;
    default:
      return a + b;
  }
}

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// Rounds to odd: cut off, and the last bit set if anything was lost. Rounding
// the result to nearest even in a type of two bits less gives what rounding the
// double itself would have given.
uint32_t to_odd_float_bits(double value) {
  const float nearest = static_cast<float>(value);
  uint32_t bits = bits_of(nearest);
  const double back = nearest;
  if (back == value || std::isnan(value)) return bits;
  if (std::fabs(back) > std::fabs(value)) --bits;
  return bits | 1u;
}

// The upper bits of a magnitude, rounded to nearest even at bit `shift`.
uint32_t round_off(uint32_t magnitude, int shift) {
  const uint32_t odd = (magnitude >> shift) & 1u;
  return (magnitude + ((1u << (shift - 1)) - 1u) + odd) >> shift;
}

uint16_t to_bf16(double value) {
  if (std::isnan(value)) return 0x7fc0;
  const uint32_t bits = to_odd_float_bits(value);
  return static_cast<uint16_t>(((bits >> 16) & 0x8000u) |
                               round_off(bits & 0x7fffffffu, 16));
}

uint16_t to_f16(double value) {
  if (std::isnan(value)) return 0x7e00;
  const uint32_t bits = to_odd_float_bits(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x47800000u) {  // 2^16 and above
    return static_cast<uint16_t>(sign | 0x7c00u);
  }
  if (magnitude >= 0x38800000u) {  // normal in f16; may round up to infinity
    return static_cast<uint16_t>(sign |
                                 round_off(magnitude - 0x38000000u, 13));
  }
  if (magnitude < 0x33000000u) {  // below half of the smallest subnormal
    return static_cast<uint16_t>(sign);
  }
  const int shift = 126 - static_cast<int>(magnitude >> 23);
  const uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
  return static_cast<uint16_t>(sign | round_off(significand, shift));
}

template <typename T, typename Convert>
void store_each(const double* from, int64_t count, void* out, int64_t first,
                Convert convert) {
  T* const to = static_cast<T*>(out) + first;
  for (int64_t i = 0; i < count; ++i) to[i] = convert(from[i]);
}

}  // namespace

double identity(Kind kind) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  switch (kind) {
    case Kind::kMax:
      return -kInfinity;
    case Kind::kMin:
      return kInfinity;
    default:
      return 0.0;
  }
}

void combine(Kind kind, double* into, const double* from, int64_t count) {
  if (kind == Kind::kAdd) {  // a loop of vectors
    for (int64_t i = 0; i < count; ++i) into[i] += from[i];
    return;
  }
  for (int64_t i = 0; i < count; ++i) into[i] = combine(kind, into[i], from[i]);
}

double fold(Kind kind, const double* from, int64_t count) {
  double result = identity(kind);
  for (int64_t i = 0; i < count; ++i) result = combine(kind, result, from[i]);
  return result;
}

bool can_store(DataType dtype) {
  return dtype == DataType::F32 || dtype == DataType::F64 ||
         dtype == DataType::BF16 || dtype == DataType::F16;
}

void store(const double* from, int64_t count, DataType dtype, void* out,
           int64_t first) {
  switch (dtype) {
    case DataType::F64:
      std::memcpy(static_cast<double*>(out) + first, from,
                  static_cast<size_t>(count) * sizeof(double));
      return;
    case DataType::BF16:
      return store_each<uint16_t>(from, count, out, first, to_bf16);
    case DataType::F16:
      return store_each<uint16_t>(from, count, out, first, to_f16);
    default:
      return store_each<float>(from, count, out, first, [](double value) {
        return static_cast<float>(value);
      });
  }
}

}  // namespace optcc
