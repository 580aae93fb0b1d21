#include "rowsum_stream/upload.hpp"

#include <cstring>

#include <fmt/format.h>

#include "codec/json_writer.hpp"
#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "rowsum_stream/coded_body.hpp"
#include "sluice/ops/rowsum.hpp"

namespace sluice::serving {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t head_bytes = 256;            // most .npy headers have 128 bytes
constexpr std::size_t converted_bytes = 64 << 10;  // of elements that are converted at once
constexpr std::int64_t read_bytes = 64 << 10;      // of sums that are printed and sent at once

[[noreturn]] void fail(const std::string& sentence) { throw error(error_code::malformed, "[rowsum/stream] " + sentence); }

// Of the time to decode, for whether a worker is woken for it.
constexpr std::size_t usual_ratio = 8;

void find_not_finite(const tensor& sums, std::int64_t before, std::int64_t& count, std::int64_t& first) {
  visit(sums.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto* const data = static_cast<const T*>(sums.data());
    for (std::int64_t i = 0; i < sums.count(); ++i)
      if (!is_finite(data[i]) && count++ == 0) first = before + i;
  });
}

upload::form form_of(const npy_header& h) {
  if (h.shape.rank() == 0)
    throw error(error_code::invalid_argument, "[rowsum/stream] the .npy is a scalar: there are no rows");
  if (h.fortran_order && h.shape.rank() > 1)
    throw http_error{422, "unsupported", "[rowsum/stream] the .npy is in Fortran order: its rows come last, not one by one"};
  return {.dtype = h.dtype, .columns = h.shape.back(), .bytes = h.data_bytes(), .sums = h.shape.first(h.shape.rank() - 1)};
}

std::optional<npy_header> header_in(std::string_view bytes) try {
  return parse_npy_header(std::as_bytes(std::span(bytes)));
} catch (const error& e) {
  if (e.code() == error_code::unsupported) throw http_error{422, "unsupported", e.what()};
  throw;
}

}  // namespace

upload::upload(executor& e, request_context& record, meter& bytes, std::shared_ptr<void> permit,
               const form_of_answer& wanted, std::optional<form> known)
    : executor_(e),
      record_(&record),
      meter_(bytes),
      permit_(std::move(permit)),
      wanted_(wanted),
      spool_(e.options.stream.spool_memory, e.options.stream.spool_directory) {
  if (known) begin(*known);
}

void upload::read(const request& r) {
  const auto begin = clock::now();
  check_length(r);
  receive(r);
  finish();
  using enum stage;
  record_->time_of(stage::read) = clock::now() - begin - record_->time_of(infer) - record_->time_of(queue);
  record_ = nullptr;
}

// Refuses what the head alone shows to be wrong, before a byte is read.
void upload::check_length(const request& r) {
  const auto length = r.read_body || r.read_some ? r.content_length : std::ssize(r.body);
  const auto most = executor_.options.stream.body_bytes;
  if (most >= 0 && length > most)
    throw http_error{413, "limit_exceeded",
                     fmt::format("[rowsum/stream] the body has {} bytes: at most {} are taken", length, most)};
  if (length < 0 || r.compressed || !begun_) return;
  check_quota(length / row_bytes());
  form_.bytes = length;
  if (length % row_bytes() != 0) fail(rows_text() + fmt::format(": {} bytes are {} too many", length, length % row_bytes()));
}

void upload::receive(const request& r) {
  if (r.read_some) {
    for (;;) {
      const auto to = buffer();
      const auto n = r.read_some(to.data(), to.size());
      if (n < 0) fail(fmt::format("the body ended after {} bytes", record_->body_bytes));
      if (n == 0) return;
      advance(static_cast<std::size_t>(n));
    }
  }
  if (!r.read_body) return put(r.body);
  if (r.decode) return receive_encoded(r);
  if (!read_all(r.read_body, [this](std::string_view bytes) { put(bytes); }))
    fail(fmt::format("the body ended, or could not be decoded, after {} bytes", record_->body_bytes));
}

// Workers decode, so that the connection's thread is not kept busy by a few bytes that are many.
void upload::receive_encoded(const request& r) {
  coded_body body(executor_.options.stream, r.decode);
  std::int64_t came = 0;
  const auto decode = [&] {
    in_worker(usual_ratio * body.pending(), [&] { body.decode([this](std::string_view bytes) { put(bytes); }); });
  };
  const bool whole = read_all(r.read_encoded, [&](std::string_view bytes) {
    came += std::ssize(bytes);
    if (clock::now() >= record_->deadline) fail_late();
    while (!bytes.empty()) {
      bytes.remove_prefix(body.append(bytes));
      if (body.is_full()) decode();
    }
  });
  if (!whole) fail(fmt::format("the body ended after {} bytes of its compressed data", came));
  decode();
  body.check_whole();
}

std::span<char> upload::buffer() {
  if (stored_) return std::span(elements_).subspan(waiting_);
  if (summer_) return summer_->buffer();
  head_.resize(head_size_ + head_bytes);
  return {head_.data() + head_size_, head_bytes};
}

void upload::put(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto to = buffer();
    const auto n = std::min(to.size(), bytes.size());
    std::memcpy(to.data(), bytes.data(), n);
    bytes.remove_prefix(n);
    advance(n);
  }
}

void upload::advance(std::size_t bytes) {
  record_->body_bytes += static_cast<std::int64_t>(bytes);
  meter_.fetch_add(bytes, std::memory_order_relaxed);
  if (const auto most = executor_.options.stream.body_bytes; most >= 0 && record_->body_bytes > most)
    throw http_error{413, "limit_exceeded",
                     fmt::format("[rowsum/stream] the body has more than {} bytes, which is all that is taken", most)};
  if (clock::now() >= record_->deadline) fail_late();
  begun_ ? receive_rows(bytes) : (head_size_ += bytes, receive_head());
}

void upload::receive_head() {
  const auto h = header_in(std::string_view(head_.data(), std::min(head_size_, npy_header_limit)));
  if (!h) return;
  begin(form_of(*h));
  if (h->is_converted()) {
    stored_ = *h;
    elements_.resize(converted_bytes);
  }
  const auto at = static_cast<std::size_t>(h->data_offset);
  for (auto rest = std::string_view(head_.data(), head_size_).substr(at); !rest.empty();) {
    const auto to = buffer();
    const auto n = std::min(to.size(), rest.size());
    std::memcpy(to.data(), rest.data(), n);
    rest.remove_prefix(n);
    receive_rows(n);
  }
}

void upload::begin(const form& f) {
  form_ = f;
  begun_ = true;
  type_ = result_of(rowsum_op(), {{f.dtype, {0, f.columns}}}, rowsum_options{wanted_.dtype}).dtype;
  if (type_ == dtype::bf16 && !wanted_.json)
    throw http_error{422, "unsupported",
                     "[rowsum/stream] the sums are to be of bf16, which .npy has no type for; ask for application/json"};
  if (f.sums) {
    check_quota(f.sums->count());
    check_empty(*f.sums);
  }
  summer_.emplace(f.dtype, std::max<std::int64_t>(1, f.columns), type_);
}

void upload::receive_rows(std::size_t bytes) {
  received_ += static_cast<std::int64_t>(bytes);
  if (form_.bytes >= 0 && received_ > form_.bytes)
    fail(rows_text() + fmt::format(": {} bytes, and the body has more", form_.bytes));
  if (stored_) return convert_rows(bytes);
  if (summer_->advance(bytes)) sum();
}

void upload::convert_rows(std::size_t bytes) try {
  const auto from = stored_->element_bytes(), to = size_of(form_.dtype);
  waiting_ += bytes;
  std::size_t at = 0;
  while (waiting_ - at >= from) {
    const auto out = summer_->buffer();
    const auto count = std::min(out.size() / to, (waiting_ - at) / from);
    convert_npy(*stored_, std::as_bytes(std::span(elements_).subspan(at, count * from)), out.data(), converted_);
    converted_ += static_cast<std::int64_t>(count);
    at += count * from;
    if (summer_->advance(count * to)) sum();
  }
  waiting_ -= at;
  std::memmove(elements_.data(), elements_.data() + at, waiting_);
} catch (const error& e) {
  if (e.code() == error_code::unsupported) throw http_error{422, "unsupported", e.what()};
  throw;
}

void upload::finish() {
  if (!begun_) fail(fmt::format("the .npy's {} bytes end inside the header", head_size_));
  if (form_.bytes >= 0 && received_ != form_.bytes)
    fail(rows_text() + fmt::format(": {} bytes, and {} came", form_.bytes, received_));
  if (form_.columns == 0) return add_empty_rows();
  if (!stored_ && received_ % row_bytes() != 0)  // what a header says, came
    fail(rows_text() + fmt::format(": {} bytes are {} too many", received_, received_ % row_bytes()));
  sum();
  if (!form_.sums) form_.sums = shape{sums_};
}

// Rows without elements have sums but no bytes.
void upload::add_empty_rows() {
  constexpr std::int64_t most = 1 << 16;
  for (auto left = form_.sums->count(); left > 0; left -= std::min(left, most)) {
    const shape extents{std::min(left, most), 0};
    in_worker(0, [&] { keep(rowsum(tensor(extents, form_.dtype), device::cpu, {.dtype = type_})); });
  }
}

void upload::sum() {
  in_worker(summer_->pending(), [this] { summer_->sum([this](const tensor& sums) { keep(sums); }); });
}

void upload::keep(const tensor& sums) {
  check_quota(sums_ + sums.count());
  if (wanted_.json == nonfinite::refuse && is_floating(type_)) find_not_finite(sums, sums_, not_finite_, first_not_finite_);
  spool_.append({static_cast<const char*>(sums.data()), sums.bytes()});
  sums_ += sums.count();
}

// A worker for each batch of rows, so that a client that sends nothing occupies none. An upload that has begun is not
// refused.
void upload::in_worker(std::size_t bytes, const std::function<void()>& work) {
  if (in_turn_) return work();
  const auto asked = clock::now();
  auto begun = asked;
  const auto timed = [&] {
    begun = clock::now();
    in_turn_ = true;
    work();  // an upload whose work throws has ended
    in_turn_ = false;
  };
  auto end = compute_queue::outcome::done;
  if (static_cast<std::int64_t>(bytes) <= executor_.options.inline_bytes)
    timed();
  else
    end = executor_.compute.run({.deadline = record_->deadline, .gone = record_->gone, .bypass_queue_limit = true}, timed);
  if (end == compute_queue::outcome::expired) fail_late();
  if (end == compute_queue::outcome::gone) throw http_error{503, "client_gone", "[http] the client has disconnected"};
  record_->time_of(stage::queue) += begun - asked;
  record_->time_of(stage::infer) += clock::now() - begun;
}

void upload::check_quota(std::int64_t rows) const {
  const auto& o = executor_.options.stream;
  const auto most = o.spool_directory.empty() ? std::min(o.quota_bytes, o.spool_memory) : o.quota_bytes;
  const auto size = static_cast<std::int64_t>(size_of(type_));
  if (rows > most / size)
    throw http_error{413, "limit_exceeded",
                     fmt::format("[rowsum/stream] {} rows have sums of {} bytes each: {} bytes of them are held at most",
                                 rows, size, most)};
}

// A header alone asks for what no bytes pay for: sums of rows without elements, and empty lists.
void upload::check_empty(const shape& sums) const {
  const auto& limits = executor_.options.limits;
  const auto size = static_cast<std::int64_t>(size_of(type_));
  if (form_.columns == 0 && sums.count() > limits.result_bytes / size)
    throw http_error{413, "limit_exceeded",
                     fmt::format("[rowsum/stream] {} rows without elements have sums of {} bytes each: {} bytes of such are "
                                 "given at most",
                                 sums.count(), size, limits.result_bytes)};
  if (wanted_.json && sums.count() == 0) static_cast<void>(lists_bytes({.dtype = type_, .shape = sums}, limits));
}

std::int64_t upload::row_bytes() const {
  return checked_product(form_.columns, static_cast<std::int64_t>(size_of(form_.dtype)));
}

std::string upload::rows_text() const {
  if (form_.sums)
    return fmt::format("the header says {} of {}", form_.sums->with(form_.columns).str(), name_of(form_.dtype));
  return fmt::format("a row of {} {} has {} bytes", form_.columns, name_of(form_.dtype), row_bytes());
}

void upload::fail_late() const {
  throw http_error{
      504, "deadline_exceeded",
      fmt::format("[rowsum/stream] was to be done {:.3f} s after the request came: {} bytes had been read by then",
                  seconds_of(record_->deadline - record_->begin), record_->body_bytes)};
}

response upload::answer(const std::shared_ptr<upload>& self) {
  const dtype type = self->type_;
  const shape& extents = *self->form_.sums;
  response out{.headers = {{"X-Sluice-Device", device(device::cpu).str()}}};
  if (!self->wanted_.json) {
    const auto head = npy_header_bytes(type, extents);
    out.headers.emplace_back("Content-Type", "application/x-npy");
    out.content_length = std::ssize(head) + self->spool_.size();
    out.write_body = [self, head, at = std::int64_t{-1}](const body_receiver& send) mutable {
      if (at < 0) return at = 0, send(head) && self->spool_.size() > 0;
      const auto bytes = self->spool_.read(at, read_bytes);
      at += std::ssize(bytes);
      return send(bytes) && at < self->spool_.size();
    };
    return out;
  }
  if (self->not_finite_ > 0)
    throw http_error{
        422, "not_finite",
        fmt::format("[json] {} of the result's {} numbers are NaN or infinite, the first of them number {}: JSON has no "
                    "such numbers; ask for application/x-npy, or for ?nonfinite=null or ?nonfinite=string",
                    self->not_finite_, self->sums_, self->first_not_finite_)};
  out.headers.emplace_back("Content-Type", "application/json");
  out.write_body = [self, type, at = std::int64_t{0}](const body_receiver& send) mutable {
    const shape& sums = *self->form_.sums;
    if (at == 0 && !send("{\"result\":")) return false;
    const auto bytes = at < self->spool_.size() ? self->spool_.read(at, read_bytes) : std::string_view{};
    const auto piece = self->printed(at / static_cast<std::int64_t>(size_of(type)), bytes);
    at += std::ssize(bytes);
    if (!send(piece.bytes)) return false;
    if (at < self->spool_.size()) return true;
    json_writer w;
    w.raw({}).member("shape", json_array(sums)).member("dtype", name_of(type)).member("device", "cpu").end_object();
    send(std::move(w).text());
    return false;
  };
  return out;
}

// A worker prints all but small results.
body_piece upload::printed(std::int64_t first, std::string_view elements) {
  body_piece piece;
  const auto print = [&] { piece = print_part(*form_.sums, type_, *wanted_.json, first, elements); };
  if (first == 0 && std::ssize(elements) < read_bytes)
    print();
  else
    static_cast<void>(executor_.compute.run({.bypass_queue_limit = true}, print));
  return piece;
}

}  // namespace sluice::serving
