#pragma once

#include <array>
#include <utility>

#include "sluice/dtype.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

SLUICE_FUNC dtype parse_dtype(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, dtype>, 15> names{{{"f64", dtype::f64},
                                                                             {"float64", dtype::f64},
                                                                             {"double", dtype::f64},
                                                                             {"f32", dtype::f32},
                                                                             {"float32", dtype::f32},
                                                                             {"float", dtype::f32},
                                                                             {"f16", dtype::f16},
                                                                             {"float16", dtype::f16},
                                                                             {"bf16", dtype::bf16},
                                                                             {"bfloat16", dtype::bf16},
                                                                             {"i64", dtype::i64},
                                                                             {"int64", dtype::i64},
                                                                             {"i32", dtype::i32},
                                                                             {"int32", dtype::i32},
                                                                             {"u8", dtype::u8}}};
  for (const auto& [known, type] : names)
    if (known == name) return type;
  if (name == "uint8") return dtype::u8;
  throw error(error_code::invalid_argument,
              "[dtype] \"" + std::string(name.substr(0, 64)) + "\" is none of f64, f32, f16, bf16, i64, i32, u8");
}

}  // namespace SLUICE_ABI
}  // namespace sluice
