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
  const int64_t values = static_cast<int64_t>(call.values.size());
  return name_of("operand", values + index * call.leaves + leaf,
                 "array operand", index, leaf);
}

std::string result_name(const Call& call, int64_t index, int64_t leaf) {
  const Result& result = call.results[index];
  if (result.kept < 0) {
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
    const void* const data = operands[i].untyped_data();
    if (misaligned(data, call.values[i].dtype)) {
      return misalignment(call, call.values[i].dtype,
                          [&] { return value_name(i); });
    }
    scratch->values[i] = data;
  }
  return Error::Success();
}

Error gather_arrays(const Call& call, const Operands& operands,
                    Scratch* scratch) {
  int64_t buffer = static_cast<int64_t>(call.values.size());
  for (size_t i = 0; i < call.arrays.size(); ++i) {
    void** pointer = scratch->pointers.data() + i;
    const DataType dtype = call.arrays[i].dtype;
    for (int64_t leaf = 0; leaf < call.leaves; ++leaf) {
      void* const data = operands[buffer++].untyped_data();
      if (misaligned(data, dtype)) {
        return misalignment(call, dtype,
                            [&] { return array_name(call, i, leaf); });
      }
      *pointer = data;
      pointer += call.pointers;
    }
  }
  return Error::Success();
}

// A stored result is an array of the kernel, or lies over one.
Error gather_stored(const Call& call, const Outputs& outputs, int64_t index,
                    int64_t column, Scratch* scratch) {
  const Result& result = call.results[index];
  const int64_t all = (int64_t{1} << call.rank) - 1;
  const auto name = [&](int64_t leaf) {
    return result_name(call, index, leaf);
  };
  void** pointer = scratch->pointers.data() + column;
  for (int64_t leaf = 0; leaf < call.leaves; ++leaf) {
    void* const data = outputs[result.first + leaf].untyped_data();
    if (misaligned(data, result.dtype)) {
      return misalignment(call, result.dtype, [&] { return name(leaf); });
    }
    if (result.writes < 0) {
      *pointer = data;
    } else if (*pointer != data && call.kept_elements(leaf, all) > 0) {
      return mismatch(call, name(leaf), " must overwrite ",
                      array_name(call, result.writes, leaf),
                      ", but lies in another buffer; the call needs the alias "
                      "in its output_operand_aliases");
    }
    pointer += call.pointers;
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
    const int64_t elements = value.per_leaf ? call.leaves : 1;
    if (Error error = check_buffer(call, operands[buffer++], elements,
                                   value.dtype, [&] { return value_name(i); });
        error.failure()) {
      return error;
    }
  }
  for (size_t i = 0; i < call.arrays.size(); ++i) {
    const Array& array = call.arrays[i];
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
      const int64_t elements = result.kept >= 0
                                   ? call.kept_elements(leaf, result.kept)
                                   : (result.kept == kPerLeaf ? call.leaves : 1);
      if (Error error = check_buffer(
              call, outputs[result.first + leaf], elements, result.dtype,
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
  int64_t free_column = static_cast<int64_t>(call.arrays.size());
  for (size_t i = 0; i < call.results.size(); ++i) {
    const Result& result = call.results[i];
    const int64_t column = result.folded() || result.writes >= 0
                               ? result.writes
                               : free_column++;
    Error error = result.folded()
                      ? gather_folded(call, outputs, i, scratch)
                      : gather_stored(call, outputs, i, column, scratch);
    if (error.failure()) return error;
  }
  return Error::Success();
}

}  // namespace optcc
