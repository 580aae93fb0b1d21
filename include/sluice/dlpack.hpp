/// @file
/// Tensors to and from other libraries (NumPy, PyTorch, CuPy, ...) without a copy, by the DLPack 0.8 structure, whose own
/// header is not needed here.
///
///     DLManagedTensor* m = sluice::to_dlpack(t);     // its deleter releases the memory
///     sluice::tensor u = sluice::from_dlpack(m);     // u owns m from here on
#pragma once

#include "sluice/tensor.hpp"

struct DLManagedTensor;

namespace sluice {
inline namespace SLUICE_ABI {

/// Waits for the device's work on `t` and hands out its memory. The receiver calls the result's deleter once.
/// Throws unsupported for a device that DLPack has no number for.
SLUICE_API DLManagedTensor* to_dlpack(const tensor& t);

/// A tensor over the memory of `managed`, whose deleter is called when the last tensor over it is destroyed. CPU memory
/// only. Throws invalid_argument (and leaves `managed` with the caller) for a null pointer, negative strides, more than 8
/// dimensions or a byte offset that misaligns elements; unsupported for other element types or devices.
SLUICE_API tensor from_dlpack(DLManagedTensor* managed);

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/core/dlpack.hpp"
#endif
