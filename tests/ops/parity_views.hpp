// Ways of looking at a tensor that every operation must take, on any device.
#pragma once

#include <string>
#include <vector>

#include "testing.hpp"

namespace testing {

struct look {
  std::string name;
  shape base;  // of the memory
  std::function<tensor(const tensor&)> at;
};

inline const std::vector<look>& looks() {
  static const auto itself = [](const tensor& t) { return t; };
  static const std::vector<look> list{
      {"one element", {1}, itself},
      {"a row", {37}, itself},
      {"no row", {0, 5}, itself},
      {"no column", {5, 0}, itself},
      {"nothing in the middle", {3, 0, 2}, itself},
      {"a matrix", {7, 45}, itself},
      {"transposed", {45, 7}, [](const tensor& t) { return t.transpose(); }},
      {"every third row", {22, 9}, [](const tensor& t) { return t.slice(0, 1, 20, 3); }},
      {"every second column", {5, 81}, [](const tensor& t) { return t.slice(1, 3, 80, 2); }},
      {"rows and columns, transposed",
       {33, 40},
       [](const tensor& t) { return t.slice(0, 2, 31, 4).slice(1, 5, 39, 3).transpose(); }},
      {"one row repeated",
       {1, 50},
       [](const tensor& t) {
         return t.broadcast_to({6, 50});
       }},
      {"one column repeated",
       {6, 1},
       [](const tensor& t) {
         return t.broadcast_to({6, 50});
       }},
      {"one element repeated",
       {1},
       [](const tensor& t) {
         return t.broadcast_to({3, 2, 5});
       }},
      {"index of a batch", {4, 6, 10}, [](const tensor& t) { return t[2]; }},
      {"outer dimensions exchanged", {3, 4, 11}, [](const tensor& t) { return t.transpose(0, 1); }},
      {"first and last exchanged", {3, 4, 11}, [](const tensor& t) { return t.transpose(0, 2); }},
      {"a step beside an extent of 1", {4, 1, 12, 5}, [](const tensor& t) { return t.slice(2, 0, 12, 5); }},
      {"a batch repeated inside",
       {2, 1, 3, 4},
       [](const tensor& t) {
         return t.broadcast_to({2, 5, 3, 4});
       }},
      {"rank 5, two cut", {2, 3, 4, 3, 6}, [](const tensor& t) { return t.slice(1, 0, 3, 2).slice(3, 1, 3); }},
      {"rank 6", {2, 1, 3, 1, 2, 9}, [](const tensor& t) { return t.transpose(0, 4); }},
      {"rank 7, reshaped",
       {2, 3, 4, 5},
       [](const tensor& t) {
         return t.reshape({1, 2, 3, 2, 2, 1, 5});
       }},
      {"rank 8", {2, 1, 2, 3, 1, 2, 2, 5}, [](const tensor& t) { return t.transpose(2, 6).slice(3, 0, 3, 2); }},
  };
  return list;
}

// The same look on the CPU, for the reference, and on the device.
struct pair {
  tensor host;
  tensor there;
};

inline pair seen(const look& l, dtype type, const sluice::device& where, std::uint64_t seed) {
  const tensor base = rough(l.base, type, seed);
  return {l.at(base), l.at(base.to(where))};
}

}  // namespace testing
