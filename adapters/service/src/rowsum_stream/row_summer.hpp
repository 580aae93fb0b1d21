// The sums of rows that come as bytes, bit for bit those of rowsum() of the whole, in memory for one piece of them.
//
//     row_summer s(dtype::f32, 1024);
//     while (const auto n = receive(s.room())) if (s.took(n)) s.sum(keep);
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

  row_summer(dtype type, std::int64_t columns);  // columns >= 1

  // Where the next bytes are to come; never empty before a sum() that is due.
  [[nodiscard]] std::span<char> room() noexcept { return {data_ + filled_, wanted_ - filled_}; }
  // That so many have come there. Whether sum() is due.
  bool took(std::size_t bytes) noexcept { return (filled_ += bytes) == wanted_; }
  [[nodiscard]] std::size_t pending() const noexcept { return filled_; }  // bytes that the next sum() is over
  // Gives the sums of the rows that are whole by now, and begins anew; a row's last bytes that are missing are for the
  // caller to notice.
  void sum(const receiver& keep);

 private:
  void sum_part(const receiver& keep);
  template <class T>
  void join(T part, std::vector<T>& levels);
  template <class T>
  T joined(std::vector<T>& levels);

  dtype type_;
  std::int64_t columns_;
  std::int64_t part_ = 0;  // elements of a row that are summed at once, where a row is larger than the room; else 0
  std::int64_t at_ = 0;    // elements of the row that were
  std::uint64_t parts_ = 0;
  std::vector<double> real_{};  // sums of parts, one a level, as a binary counter carries
  std::vector<std::int64_t> whole_{};
  tensor memory_;
  char* data_;
  std::size_t filled_ = 0, wanted_;
};

}  // namespace sluice::serving
