#include "buffers.h"

#include <cstddef>
#include <sstream>
#include <string>

namespace optcc {
namespace {

namespace ffi = xla::ffi;
using ffi::AnyBuffer;
using ffi::DataType;
using ffi::Error;

template <typename... Parts>
Error mismatch(const Call& call, const Parts&... parts) {
  std::ostringstream text;
  text << "optcc_sweep, kernel '" << call.kernel << "': ";
  (text << ... << parts);
  return Error::InvalidArgument(text.str());
}

// How messages name a buffer: "operand 7 (array operand 1, leaf 2)".
std::string name_of(const char* side, int64_t buffer, const char* group,
                    int64_t index, int64_t leaf) {
  std::ostringstream text;
  text << side << ' ' << buffer << " (" << group << ' ' << index;
  if (leaf >= 0) text << ", leaf " << leaf;
  text << ')';
  return text.str();
}

std::string value_name(int64_t index) {
  return name_of("operand", index, "value", index, -1);
}

std::string array_name(const Call& call, int64_t index, int64_t leaf) {
  const Array& array = call.arrays[index];
  if (array.packed()) {
    return name_of("operand", array.first, "array operand", index, -1);
  }
  return name_of("operand", array.first + leaf, "array operand", index, leaf);
}

std::string result_name(const Call& call, int64_t index, int64_t leaf) {
  const Result& result = call.results[index];
  if (result.kept < 0 || call.over_packed(result)) {
    return name_of("result", result.first, "map result", index, -1);
  }
  return name_of("result", result.first + leaf, "map result", index, leaf);
}

std::string type_text(int64_t elements, DataType dtype) {
  std::ostringstream text;
  text << elements << (elements == 1 ? " element of " : " elements of ")
       << dtype;
  return text.str();
}

// A value may be an element of a vector of them.
Error check_element(const Call& call, const AnyBuffer& buffer, int64_t index) {
  const Value& value = call.values[index];
  const int64_t found = static_cast<int64_t>(buffer.element_count());
  if (buffer.element_type() == value.dtype && found > value.element) {
    return Error::Success();
  }
  return mismatch(call, value_name(index), " has ",
                  type_text(found, buffer.element_type()),
                  ", expected element ", value.element, " of ", value.dtype);
}

// A packed array may hold other leaves, too.
Error check_packed(const Call& call, const AnyBuffer& buffer, int64_t index) {
  const Array& array = call.arrays[index];
  const int64_t found = static_cast<int64_t>(buffer.element_count());
  if (buffer.element_type() != array.dtype) {
    return mismatch(call, array_name(call, index, -1), " has ",
                    type_text(found, buffer.element_type()), ", expected ",
                    array.dtype);
  }
  if (found >= array.end) return Error::Success();
  return mismatch(call, array_name(call, index, -1), " has ",
                  type_text(found, array.dtype), ", but its leaf ", array.last,
                  " ends at element ", array.end);
}

template <typename Name>
Error check_buffer(const Call& call, const AnyBuffer& buffer, int64_t elements,
                   DataType dtype, const Name& name) {
  const int64_t found = static_cast<int64_t>(buffer.element_count());
  if (found == elements && buffer.element_type() == dtype) {
    return Error::Success();
  }
  return mismatch(call, name(), " has ",
                  type_text(found, buffer.element_type()), ", expected ",
                  type_text(elements, dtype));
}

bool misaligned(const void* data, DataType dtype) {
  const size_t width = ffi::ByteWidth(dtype);
  return width > 1 && reinterpret_cast<uintptr_t>(data) % width != 0;
}

template <typename Name>
Error misalignment(const Call& call, DataType dtype, const Name& name) {
  return mismatch(call, name(), " is not aligned to the ",
                  ffi::ByteWidth(dtype), " bytes of ", dtype);
}

Error gather_values(const Call& call, const Operands& operands,
                    Scratch* scratch) {
  for (size_t i = 0; i < call.values.size(); ++i) {
    const Value& value = call.values[i];
    const void* const data = operands[i].untyped_data();
    if (misaligned(data, value.dtype)) {
      return misalignment(call, value.dtype, [&] { return value_name(i); });
    }
    const size_t before =
        value.element < 0 ? 0 : value.element * ffi::ByteWidth(value.dtype);
    scratch->values[i] = static_cast<const char*>(data) + before;
  }
  return Error::Success();
}

Error gather_arrays(const Call& call, const Operands& operands,
                    Scratch* scratch) {
  const int64_t separate = static_cast<int64_t>(call.separate.size());
  for (size_t i = 0; i < call.arrays.size(); ++i) {
    const Array& array = call.arrays[i];
    void** pointer = array.packed() ? scratch->packed.data() + array.place
                                    : scratch->separate.data() + array.place;
    for (int64_t leaf = 0; leaf < call.buffers_of(array); ++leaf) {
      void* const data = operands[array.first + leaf].untyped_data();
      if (misaligned(data, array.dtype)) {
        return misalignment(call, array.dtype,
                            [&] { return array_name(call, i, leaf); });
      }
      *pointer = data;
      pointer += separate;
    }
  }
  return Error::Success();
}

// A stored result is an array of the kernel, or lies over one.
Error gather_stored(const Call& call, const Outputs& outputs, int64_t index,
                    Scratch* scratch) {
  const Result& result = call.results[index];
  const bool packed = call.over_packed(result);
  const int64_t separate = static_cast<int64_t>(call.separate.size());
  const auto name = [&](int64_t leaf) {
    return result_name(call, index, leaf);
  };
  void** pointer = packed ? scratch->packed.data() + result.place
                          : scratch->separate.data() + result.place;
  for (int64_t leaf = 0; leaf < call.buffers_of(result); ++leaf) {
    const AnyBuffer buffer = outputs[result.first + leaf];
    void* const data = buffer.untyped_data();
    if (misaligned(data, result.dtype)) {
      return misalignment(call, result.dtype, [&] { return name(leaf); });
    }
    if (result.writes < 0) {
      *pointer = data;
    } else if (*pointer != data && buffer.element_count() > 0) {
      return mismatch(call, name(leaf), " must overwrite ",
                      array_name(call, result.writes, leaf),
                      ", but lies in another buffer; the call needs the alias "
                      "in its output_operand_aliases");
    }
    pointer += separate;
  }
  return Error::Success();
}

Error gather_folded(const Call& call, const Outputs& outputs, int64_t index,
                    Scratch* scratch) {
  const Result& result = call.results[index];
  for (int64_t leaf = 0; leaf < call.buffers_of(result); ++leaf) {
    void* const data = outputs[result.first + leaf].untyped_data();
    if (misaligned(data, result.dtype)) {
      return misalignment(call, result.dtype,
                          [&] { return result_name(call, index, leaf); });
    }
    scratch->results[result.first + leaf] = data;
  }
  return Error::Success();
}

// The elements that one buffer of a result must have.
int64_t elements_of(const Call& call, const Operands& operands,
                    const Result& result, int64_t leaf) {
  if (result.kept == kScalar) return 1;
  if (result.kept == kPerLeaf) return call.leaves;
  if (!call.over_packed(result)) return call.kept_elements(leaf, result.kept);
  const int64_t operand = call.arrays[result.writes].first;
  return static_cast<int64_t>(operands[operand].element_count());
}

}  // namespace

Error check_shapes(const Call& call, const Operands& operands,
                   const Outputs& outputs) {
  if (static_cast<int64_t>(operands.size()) != call.operand_buffers) {
    return mismatch(call, "got ", operands.size(), " operands, expected ",
                    call.operand_buffers);
  }
  if (static_cast<int64_t>(outputs.size()) != call.result_buffers) {
    return mismatch(call, "got ", outputs.size(), " results, expected ",
                    call.result_buffers);
  }
  int64_t buffer = 0;
  for (size_t i = 0; i < call.values.size(); ++i) {
    const Value& value = call.values[i];
    if (value.element >= 0) {
      if (Error error = check_element(call, operands[buffer++], i);
          error.failure()) {
        return error;
      }
      continue;
    }
    const int64_t elements = value.per_leaf ? call.leaves : 1;
    if (Error error = check_buffer(call, operands[buffer++], elements,
                                   value.dtype, [&] { return value_name(i); });
        error.failure()) {
      return error;
    }
  }
  for (size_t i = 0; i < call.arrays.size(); ++i) {
    const Array& array = call.arrays[i];
    if (array.packed()) {
      if (Error error = check_packed(call, operands[buffer++], i);
          error.failure()) {
        return error;
      }
      continue;
    }
    for (int64_t leaf = 0; leaf < call.leaves; ++leaf) {
      const int64_t elements = call.kept_elements(leaf, array.kept);
      if (Error error =
              check_buffer(call, operands[buffer++], elements, array.dtype,
                           [&] { return array_name(call, i, leaf); });
          error.failure()) {
        return error;
      }
    }
  }
  for (size_t i = 0; i < call.results.size(); ++i) {
    const Result& result = call.results[i];
    for (int64_t leaf = 0; leaf < call.buffers_of(result); ++leaf) {
      if (Error error = check_buffer(
              call, outputs[result.first + leaf],
              elements_of(call, operands, result, leaf), result.dtype,
              [&] { return result_name(call, i, leaf); });
          error.failure()) {
        return error;
      }
    }
  }
  return Error::Success();
}

Error gather(const Call& call, const Operands& operands, const Outputs& outputs,
             Scratch* scratch) {
  if (Error error = gather_values(call, operands, scratch); error.failure()) {
    return error;
  }
  if (Error error = gather_arrays(call, operands, scratch); error.failure()) {
    return error;
  }
  for (size_t i = 0; i < call.results.size(); ++i) {
    Error error = call.results[i].folded()
                      ? gather_folded(call, outputs, i, scratch)
                      : gather_stored(call, outputs, i, scratch);
    if (error.failure()) return error;
  }
  return Error::Success();
}

}  // namespace optcc
