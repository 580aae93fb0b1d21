// One upload of rows, and their sums.
#pragma once

#include <optional>

#include "codec/print_lists.hpp"
#include "execution/executor.hpp"
#include "rowsum_stream/row_summer.hpp"
#include "rowsum_stream/spool.hpp"
#include "sluice/npy.hpp"

namespace sluice::serving {

class upload {
 public:
  // What is known of the rows before the first arrives.
  struct form {
    sluice::dtype dtype = dtype::f32;
    std::int64_t columns = 0;
    std::int64_t bytes = -1;      // of all; -1: not known
    std::optional<shape> sums{};  // their shape; without one, a sum for every row that arrives
  };
  // Counts bytes as they arrive.
  using meter = std::atomic<std::uint64_t>;

  // What the answer is to be: JSON, with NaN in a form of it, else an .npy; its dtype, if it is not the usual one.
  struct form_of_answer {
    std::optional<nonfinite> json{};
    std::optional<sluice::dtype> dtype{};
  };

  // Holds `permit` until the answer is sent. Without `known` the body is an .npy. Throws error (invalid_argument),
  // http_error (422) for a dtype that the sums, or the answer's form, cannot have.
  upload(executor& e, request_context& record, meter& bytes, std::shared_ptr<void> permit, const form_of_answer& wanted,
         std::optional<form> known);

  // Reads the body to its end and sums it. Throws http_error, error; the rest of the body must then not be read.
  void read(const request& r);
  // The sums, read from the spool while they are sent; the answer holds `self`.
  static response answer(const std::shared_ptr<upload>& self);

 private:
  void check_length(const request& r);
  void receive(const request& r);
  void receive_encoded(const request& r);
  [[nodiscard]] std::span<char> buffer();
  void put(std::string_view bytes);
  void advance(std::size_t bytes);
  void receive_head();
  void receive_rows(std::size_t bytes);
  void convert_rows(std::size_t bytes);
  void begin(const form& f);
  void finish();
  void add_empty_rows();
  void sum();
  void keep(const tensor& sums);
  void in_worker(std::size_t bytes, const std::function<void()>& work);
  void check_quota(std::int64_t rows) const;
  void check_empty(const shape& sums) const;
  [[nodiscard]] std::int64_t row_bytes() const;
  [[nodiscard]] std::string rows_text() const;
  [[noreturn]] void fail_late() const;
  body_piece printed(std::int64_t first, std::string_view elements);

  executor& executor_;
  request_context* record_;  // while the request is read
  meter& meter_;
  std::shared_ptr<void> permit_;
  const form_of_answer wanted_;
  dtype type_ = dtype::f32;  // of the sums, once the form is known
  form form_;
  std::string head_{};  // of an .npy, and free space behind it
  std::size_t head_size_ = 0;
  std::optional<row_summer> summer_{};
  std::optional<npy_header> stored_{};  // of an .npy whose elements are converted
  std::vector<char> elements_{};        // of which `waiting_` bytes wait to be
  std::size_t waiting_ = 0;
  std::int64_t converted_ = 0;  // elements
  bool begun_ = false;
  bool in_turn_ = false;  // within in_worker
  spool spool_;
  std::int64_t received_ = 0;  // bytes of rows
  std::int64_t sums_ = 0, not_finite_ = 0, first_not_finite_ = 0;
};

}  // namespace sluice::serving
