// What each of the two libraries offers.
#pragma once

#include <cstdint>

struct DLManagedTensor;

#define DECLARE_PLUGIN(name)                                                                  \
  namespace name {                                                                            \
  const void* pool();                      /* where its sluice keeps its threads */           \
  std::uint64_t allocations();             /* that its sluice has made for the CPU */         \
  DLManagedTensor* product();              /* [[4, 5], [10, 11]] */                           \
  double total(DLManagedTensor* tensor);   /* of its elements */                              \
  void fail();                             /* throws its sluice's error, invalid_argument */  \
  }

DECLARE_PLUGIN(of_headers)
DECLARE_PLUGIN(of_library)
