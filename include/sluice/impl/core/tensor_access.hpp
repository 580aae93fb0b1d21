// What a tensor shows to the library alone.
#include "sluice/tensor.hpp"  // before the guard: header-only, it includes definitions that include this file

#ifndef SLUICE_IMPL_CORE_TENSOR_ACCESS_HPP
#define SLUICE_IMPL_CORE_TENSOR_ACCESS_HPP

#include <algorithm>
#include <memory>
#include <utility>

#include "sluice/backend_api.h"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

struct tensor_access {
  static storage* storage_of(const tensor& t) noexcept { return t.storage_.get(); }
  // The first element, without waiting for pending work.
  static std::byte* data_of(const tensor& t) noexcept { return t.data_; }
};

// Null for an empty default-constructed tensor.
inline storage* storage_of(const tensor& t) noexcept { return tensor_access::storage_of(t); }

// The tensor as a backend takes it. Does not wait for pending work.
inline sluice_array array_of(const tensor& t) noexcept {
  sluice_array a;  // of the extents and strides only the first `rank` are set
  a.data = tensor_access::data_of(t);
  a.dtype = static_cast<std::int32_t>(t.dtype());
  a.rank = t.rank();
  std::copy(t.shape().begin(), t.shape().end(), a.extents);
  std::copy(t.strides().begin(), t.strides().end(), a.strides);
  return a;
}

}  // namespace core
}  // namespace SLUICE_ABI
}  // namespace sluice

#endif  // SLUICE_IMPL_CORE_TENSOR_ACCESS_HPP
