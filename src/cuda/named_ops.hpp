// The ops that core finds by name. Each registers itself where it is defined:
//
//     const named_op negate("negate", cuda_negate);
#pragma once

#include <cstring>

#include "sluice/backend_api.h"

namespace sluice::cuda {

class named_op {
 public:
  named_op(const char* name, sluice_op call) noexcept : name_(name), call_(call), next_(first) { first = this; }
  named_op(const named_op&) = delete;
  named_op& operator=(const named_op&) = delete;

  static sluice_op find(const char* name) noexcept {
    for (const named_op* op = first; op != nullptr; op = op->next_)
      if (std::strcmp(op->name_, name) == 0) return op->call_;
    return nullptr;
  }

 private:
  static inline constinit const named_op* first = nullptr;  // set before any static object registers

  const char* name_;
  sluice_op call_;
  const named_op* next_;
};

}  // namespace sluice::cuda
