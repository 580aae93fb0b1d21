/// @file
/// Tensors to and from other libraries (NumPy, PyTorch, CuPy, ...) without a copy, by the structures of DLPack 0.8 and 1.x,
/// whose own header is not needed here.
///
///     DLManagedTensor* m = sluice::to_dlpack(t);     // its deleter releases the memory
///     sluice::tensor u = sluice::from_dlpack(m);     // u owns m from here on
///
/// Python's capsules hold the first as "dltensor", the second, DLManagedTensorVersioned, as "dltensor_versioned".
#pragma once

#include "sluice/tensor.hpp"

struct DLManagedTensor;
struct DLManagedTensorVersioned;

namespace sluice {
inline namespace SLUICE_ABI {

/// Waits for the device's work on `t` and hands out its memory. The receiver calls the result's deleter once.
/// Throws unsupported for a device that DLPack has no number for.
SLUICE_API DLManagedTensor* to_dlpack(const tensor& t);

/// The same as DLPack 1.0 has it: writable, and not a copy.
SLUICE_API DLManagedTensorVersioned* to_dlpack_versioned(const tensor& t);

/// A tensor over the memory of `managed`, whose deleter is called when the last tensor over it is destroyed. CPU memory
/// only. Strides of extents 1, and of an empty tensor, may be anything. Throws invalid_argument (and leaves `managed` with
/// the caller) for a null pointer, other negative strides, more than 8 dimensions, a byte offset that misaligns elements or
/// reaches past the end of memory; unsupported for other element types or devices.
SLUICE_API tensor from_dlpack(DLManagedTensor* managed);
/// The same of DLPack 1.x. Memory that is read-only is copied, for a tensor may be written to, and `managed` is given back
/// at once. Throws unsupported for another major version, out_of_memory for the copy, and as above.
SLUICE_API tensor from_dlpack(DLManagedTensorVersioned* managed);

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/core/dlpack.hpp"
#endif
