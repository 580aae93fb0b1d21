// N elements as one vector: the compilers' extension, which works on every instruction set.
#pragma once

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

template <class E, int N>
struct vector_of {
  typedef E type __attribute__((vector_size(sizeof(E) * N)));
};
template <class E, int N>
using vec = typename vector_of<E, N>::type;

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
