// Sums rows that arrive as bytes, bit for bit as rowsum() of the whole would, with memory for one batch of them.
//
//     row_summer s(dtype::f32, 1024);
//     while (const auto n = receive(s.buffer())) if (s.advance(n)) s.sum(keep);
//     s.sum(keep);
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "sluice/tensor.hpp"

namespace sluice::serving {

class row_summer {
 public:
  using receiver = std::function<void(const tensor& sums)>;

  // columns >= 1; the sums are rounded to `result`, which rowsum gives.
  row_summer(dtype type, std::int64_t columns, dtype result);

  // Where the next bytes belong; empty only when sum() is due.
  [[nodiscard]] std::span<char> buffer() noexcept { return {data_ + filled_, wanted_ - filled_}; }
  // So many were written there. Returns whether sum() is due.
  bool advance(std::size_t bytes) noexcept { return (filled_ += bytes) == wanted_; }
  [[nodiscard]] std::size_t pending() const noexcept { return filled_; }  // bytes that the next sum() is over
  // Passes on the sums of the complete rows and starts the next batch. The caller checks that no row is left incomplete.
  void sum(const receiver& keep);

 private:
  void sum_part(const receiver& keep);
  template <class T>
  void join(T part, std::vector<T>& levels);
  template <class T>
  T joined(std::vector<T>& levels);

  dtype type_, result_;
  std::int64_t columns_;
  std::int64_t part_ = 0;  // elements of a row that are summed at once, where a row is larger than the buffer; else 0
  std::int64_t at_ = 0;    // elements of the row that were
  std::uint64_t parts_ = 0;
  std::vector<double> real_{};  // sums of parts, one a level, as a binary counter carries
  std::vector<std::int64_t> whole_{};
  tensor memory_;
  char* data_;
  std::size_t filled_ = 0, wanted_;
};

}  // namespace sluice::serving
