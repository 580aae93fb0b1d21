// What comes of streams: column totals, products, chunks for the caller, bytes that come once, devices in turn.
#include <thread>

#include "files.hpp"
#include "sluice/npy.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/pipeline.hpp"
#include "testing.hpp"

using namespace sluice;

namespace {

std::string raw(const tensor& t) {
  const auto bytes = testing::bytes_of(t);
  return {bytes.begin(), bytes.end()};
}

tensor reference_sums(const tensor& a, std::optional<dtype> to = {}) {
  tensor out({a.extent(0)}, to.value_or(rowsum_dtype(a.dtype())));
  reference::rowsum(sluice::core::array_of(a), sluice::core::array_of(out));
  return out;
}

// Brings `bytes` in pieces of odd sizes.
read_callback in_pieces(std::string bytes, std::uint64_t seed) {
  auto left = std::make_shared<std::string>(std::move(bytes));
  auto sizes = std::make_shared<testing::numbers>(seed);
  return [left, sizes](std::span<std::byte> out) {
    const auto n = std::min({out.size(), left->size(), static_cast<std::size_t>(1 + sizes->below(9000))});
    std::memcpy(out.data(), left->data(), n);
    left->erase(0, n);
    return n;
  };
}

// Two devices of the backend under test where it has two.
std::vector<device> in_turn() {
  auto all = testing::devices_under_test();
  all.resize(std::min<std::size_t>(all.size(), 2));
  return all;
}

}  // namespace

TEST_CASE("a result to a function is the file that it would be, in order") {
  const testing::folder here;
  std::string got;
  const write_callback write = [&](std::span<const std::byte> bytes) {
    got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  for (const shape& extents : {shape{100'000, 3}, shape{7, 300'000}, shape{0, 5}}) {
    CAPTURE(extents.str());
    const tensor a = testing::random(extents, dtype::f32);
    write_npy(here / "in.npy", a);
    const file_stream in(here / "in.npy", {.chunk_bytes = 100'000});
    const pipeline_options options{.devices = in_turn(), .sync_interval = 0, .column_totals = here / "totals.npy"};
    rowsum_file(in, here / "out.npy", options);
    got.clear();
    const auto done = rowsum_file(in, write, options);
    CHECK(done.rows == extents[0]);
    CHECK(got == testing::read_file(here / "out.npy"));
    CHECK(testing::same_bits(read_npy(here / "totals.npy"), rowsum(a.transpose())));
    got.clear();  // once, in order: the .npy says how many rows it has
    rowsum_file(file_stream::from(in_pieces(testing::read_file(here / "in.npy"), 3)), write);
    CHECK(got == testing::read_file(here / "out.npy"));
    const tensor b = testing::random({extents[1], 2}, dtype::f32);
    matmul_file(in, b, here / "product.npy", {.devices = in_turn()});
    got.clear();
    matmul_file(in, b, write, {.devices = in_turn()});
    CHECK(got == testing::read_file(here / "product.npy"));
    CHECK(here.count() == 4);
  }
  const file_stream in(here / "in.npy");
  CHECK_REFUSED(rowsum_file(file_stream::from(in_pieces("12345678", 1), {.columns = 1}), write), invalid_argument,
                "number of its rows is not known", "write to a path");
  for (const auto wanted : {resume::required, resume::never})
    CHECK_REFUSED(rowsum_file(in, write, {.resume = wanted}), invalid_argument, "nothing to resume");
  CHECK_REFUSED(rowsum_file(in, write_callback()), invalid_argument, "no function");
  const write_callback closes = [](std::span<const std::byte>) { throw std::runtime_error("nobody reads"); };
  CHECK_THROWS_AS(rowsum_file(in, closes), std::runtime_error);
  CHECK(here.count() == 4);
}

TEST_CASE("rows cut at random places, on several devices in turn, with totals of columns, in every dtype of the result") {
  const testing::folder here;
  testing::numbers random(7);
  for (int round = 0; round < 40; ++round) {
    const dtype t = testing::every_dtype[static_cast<std::size_t>(random.below(7))];
    const shape extents{1 + random.below(round % 4 == 0 ? 9000 : 300), 1 + random.below(round % 4 == 1 ? 6000 : 40)};
    const std::int64_t chunk = 1 + random.below(200'000);
    // Each of the dtypes that an .npy of floats has, as often as the usual one.
    const auto pick = static_cast<std::size_t>(random.below(4));
    const std::optional<dtype> to = pick < 3 ? std::optional(testing::floats[pick]) : std::nullopt;
    CAPTURE(name_of(t));
    CAPTURE(pick);
    CAPTURE(extents.str());
    CAPTURE(chunk);
    const tensor a = testing::rough(extents, t, random.next());
    testing::write_file(here / "in", raw(a));
    const file_stream in(here / "in", {.dtype = t, .columns = extents[1], .chunk_bytes = chunk});
    const auto done =
        rowsum_file(in, here / "out.npy", {.devices = in_turn(), .column_totals = here / "totals.npy", .result_dtype = to});
    CHECK(done.devices == in_turn());
    CHECK(testing::same_bits(read_npy(here / "out.npy"), reference_sums(a, to)));
    CHECK(testing::same_bits(read_npy(here / "totals.npy"), reference_sums(a.transpose(), to)));
    CHECK(here.count() == 3);
  }
}

// 1,024 rows of more than 16 MiB: lanes are kept instead.
TEST_CASE("totals of columns so many that 1,024 rows are too much memory") {
  const testing::folder here;
  for (const auto& [rows, columns, t] : {std::tuple{1500, 2200, dtype::f64}, std::tuple{33, 70'000, dtype::u8},
                                         std::tuple{3, 600'000, dtype::f32}, std::tuple{2048, 2100, dtype::i64}}) {
    const tensor a = testing::random({rows, columns}, t);
    testing::write_file(here / "in", raw(a));
    const file_stream in(here / "in", {.dtype = t, .columns = columns});
    for (const auto& where : testing::one_of_each_backend()) {
      if (!where.is_cpu() && rows > 1000) continue;
      rowsum_file(in, here / "out.npy", {.where = where, .column_totals = here / "totals.npy"});
      CHECK(testing::same_bits(read_npy(here / "out.npy"), reference_sums(a)));
      CHECK(testing::same_bits(read_npy(here / "totals.npy"), reference_sums(a.transpose())));
    }
  }
  testing::write_file(here / "in", std::string(2 << 20, 'x'));
  const file_stream wide(here / "in", {.dtype = dtype::u8, .columns = 2 << 20});
  CHECK_REFUSED(rowsum_file(wide, here / "out.npy", {.column_totals = here / "totals.npy"}), limit_exceeded,
                "2097152 columns", "1048576 columns");
}

TEST_CASE("a result and its totals that would write over each other") {
  const testing::folder here;
  testing::write_file(here / "in", std::string(40, 'x'));
  const file_stream in(here / "in", {.dtype = dtype::u8, .columns = 10});
  std::filesystem::create_directory(here / "room");
  std::filesystem::create_directory_symlink("room", here / "door");
  const auto refused = [&](const std::string& out, const std::string& totals, const std::string& by_way_of) {
    CHECK_REFUSED(rowsum_file(in, here / out, {.column_totals = here / totals}), invalid_argument, out.c_str(),
                  totals.c_str(), "both", (by_way_of + ":").c_str());
  };
  refused("out", "out", "/out");
  refused("out", "./out", "/out");
  refused("room/out", "door/out", "room/out");
  refused("out", "out.partial", "/out.partial");
  refused("out", "room/../out.journal", "/out.journal");
  refused("out.journal.tmp", "out", "/out.journal.tmp");
  refused("out.partial", "out", "/out.partial");
  CHECK(here.count() == 3);
  rowsum_file(in, here / "out", {.column_totals = here / "room/out"});
  CHECK(read_npy(here / "out").shape() == shape{4});
  CHECK(read_npy(here / "room/out").shape() == shape{10});
}

TEST_CASE("totals of no rows and of no columns are zeros and nothing") {
  const testing::folder here;
  for (const shape& s : {shape{0, 5}, shape{5, 0}}) {
    const tensor a = testing::random(s, dtype::f32);
    write_npy(here / "in.npy", a);
    rowsum_file(file_stream(here / "in.npy"), here / "out.npy", {.column_totals = here / "totals.npy"});
    CHECK(testing::same_bits(read_npy(here / "totals.npy"), rowsum(a.transpose())));
  }
}

TEST_CASE("products are those of the chunks") {
  const testing::folder here;
  for (const auto& where : testing::devices_under_test())
    for (const dtype t : {dtype::f64, dtype::f32, dtype::f16}) {
      const tensor a = testing::random({301, 64}, t);
      const tensor b = testing::random({48, 64}, t, 2).transpose();
      write_npy(here / "in.npy", a);
      for (const std::int64_t rows : {1, 7, 100, 301}) {
        const file_stream in(here / "in.npy", {.chunk_bytes = rows * 64 * static_cast<std::int64_t>(size_of(t))});
        const auto done = matmul_file(in, b, here / "out.npy", {.where = where});
        CHECK(done.rows == 301);
        const tensor c = read_npy(here / "out.npy");
        REQUIRE(c.shape() == shape{301, 48});
        for (std::int64_t r = 0; r < 301; r += rows) {
          const std::int64_t end = std::min<std::int64_t>(301, r + rows);
          CHECK(testing::same_bits(c.slice(0, r, end), matmul(a.slice(0, r, end), b, where)));
        }
      }
    }
  const file_stream in(here / "in.npy");
  CHECK_REFUSED(matmul_file(in, testing::random({63, 2}, dtype::f16), here / "no.npy"), invalid_argument, "(63, 2)", "64");
  CHECK_REFUSED(matmul_file(in, testing::random({64, 2}, dtype::f32), here / "no.npy"), invalid_argument, "dtypes");
  CHECK_REFUSED(matmul_file(in, testing::random({64}, dtype::f16), here / "no.npy"), invalid_argument, "two dimensions");
  CHECK(here.count() == 2);
}

TEST_CASE("bytes that come once give what a file gives") {
  const testing::folder here;
  for (const auto& where : testing::one_of_each_backend())
    for (const std::int64_t columns : {1, 37, 5000}) {
      CAPTURE(columns);
      const tensor a = testing::rough({2000 / columns + 40, columns}, dtype::f32);
      const file_stream_options options{.columns = columns, .chunk_bytes = 7000};
      const pipeline_options on{.where = where, .column_totals = here / "totals.npy"};
      const auto done = rowsum_file(file_stream::from(in_pieces(raw(a), 3), options), here / "out.npy", on);
      CHECK(done.rows == a.extent(0));
      CHECK(done.bytes == static_cast<std::int64_t>(a.bytes()));
      CHECK(testing::same_bits(read_npy(here / "out.npy"), reference_sums(a)));
      CHECK(testing::same_bits(read_npy(here / "totals.npy"), reference_sums(a.transpose())));
      rowsum_file(file_stream::from(in_pieces(encode_npy(a), 4), {.chunk_bytes = 7000}), here / "out.npy", {.where = where});
      CHECK(testing::same_bits(read_npy(here / "out.npy"), reference_sums(a)));
      const tensor b = testing::random({columns, 3}, dtype::f32);
      matmul_file(file_stream::from(in_pieces(raw(a), 5), {.columns = columns}), b, here / "out.npy", {.where = where});
      CHECK(testing::same_bits(read_npy(here / "out.npy"), matmul(a, b, where)));
    }
  const std::string some(6, 'x');
  CHECK_REFUSED(rowsum_file(file_stream::from(in_pieces(some, 1), {.columns = 1}), here / "no.npy"), malformed, "input");
  CHECK_REFUSED(
      rowsum_file(file_stream::from(in_pieces(some, 1), {.columns = 1}), here / "no.npy", {.resume = resume::required}),
      invalid_argument, "read once only");
  CHECK_REFUSED(rowsum_file(file_stream::from(in_pieces("", 1), {.columns = 4}), here / "no.npy"), malformed, "0 bytes");
  CHECK(here.count() == 2);
}

TEST_CASE("a stop is noticed between two calls of the reader") {
  const testing::folder here;
  for (const auto& where : testing::one_of_each_backend()) {
    std::stop_source stop;
    int calls = 0;
    const auto read = [&](std::span<std::byte> out) {
      if (++calls == 20) stop.request_stop();
      out[0] = std::byte{0};
      return std::size_t{1};
    };
    const auto in = file_stream::from(read, {.columns = 1024});
    CHECK_REFUSED(rowsum_file(in, here / "out.npy", {.where = where, .cancel = stop.get_token()}), cancelled, "0 bytes");
    CHECK(calls == 20);
  }
  CHECK(here.count() == 0);
}

TEST_CASE("progress is told while a reader is slow") {
  const testing::folder here;
  std::vector<double> seen;
  int calls = 0;
  const auto read = [&](std::span<std::byte> out) {
    out[0] = std::byte{0};
    return std::size_t{++calls <= 4096 ? 1u : 0u};
  };
  pipeline_options options;
  options.progress_interval = 0;
  options.progress = [&](const pipeline_progress& p) {
    CHECK(p.bytes_total == -1);
    CHECK(p.seconds_left <= 0);
    seen.push_back(p.seconds);
  };
  rowsum_file(file_stream::from(read, {.columns = 1024}), here / "out.npy", options);
  CHECK(seen.size() > 4000);
}

TEST_CASE("the caller's function has every row once, in order, on the device") {
  const testing::folder here;
  const tensor a = testing::random({501, 30}, dtype::i32);
  testing::write_file(here / "in", raw(a));
  const file_stream_options options{.dtype = dtype::i32, .columns = 30, .chunk_bytes = 6000};
  for (const bool once : {false, true})
    for (const std::int64_t first : {0, 7, 501}) {
      if (once && first > 0) continue;
      const auto in = once ? file_stream::from(in_pieces(raw(a), 6), options) : file_stream(here / "in", options);
      const auto caller = std::this_thread::get_id();
      std::int64_t row = first;
      std::size_t chunks = 0;
      const auto devices = in_turn();
      const auto done = for_each_chunk(
          in,
          [&](const row_chunk& c) {
            CHECK(std::this_thread::get_id() == caller);
            CHECK(c.first_row == row);
            CHECK(c.rows.device() == devices[chunks++ % devices.size()]);
            CHECK(testing::same_bits(c.rows, a.slice(0, row, row + c.rows.extent(0))));
            row += c.rows.extent(0);
          },
          {.devices = devices}, first);
      CHECK(row == 501);
      CHECK(done.rows == 501 - first);
      CHECK(done.bytes == (501 - first) * 120);
    }
  const file_stream in(here / "in", options);
  const auto nothing = [](const row_chunk&) {};
  CHECK_REFUSED(for_each_chunk(in, nothing, {}, 502), invalid_argument, "502", "501 rows");
  CHECK_REFUSED(for_each_chunk(in, nothing, {.resume = resume::required}), invalid_argument, "resume");
  CHECK_THROWS_AS(for_each_chunk(in, [](const row_chunk&) { throw std::runtime_error("enough"); }), std::runtime_error);
}

TEST_CASE("where, why, and how long each stage took") {
  const testing::folder here;
  testing::write_file(here / "in", std::string(4 << 20, '\0'));
  const file_stream in(here / "in", {.columns = 1024});
  const auto done = rowsum_file(in, here / "out.npy");
  if (std::getenv("SLUICE_DEVICE") == nullptr) {
    CHECK(done.devices == std::vector{device::cpu});
    CHECK(done.reason.find("one pass over 0.00419 GB") != std::string::npos);
  }
  CHECK(rowsum_file(in, here / "out.npy", {.where = device::cpu}).reason == "cpu: the caller named it");
  CHECK(done.stages.read + done.stages.compute > 0);
  pipeline_summary s;
  s.stages = {1, 4, 3, 2};
  CHECK(s.slowest_stage() == "copy");
  for (const auto& where : testing::devices_under_test()) {
    const auto there = rowsum_file(in, here / "out.npy", {.where = where});
    CHECK(there.devices == std::vector{where});
    if (!where.is_cpu()) CHECK(there.stages.copy > 0);
  }
  CHECK_REFUSED(rowsum_file(in, here / "out.npy", {.devices = {device::cpu, device::automatic}}), invalid_argument,
                "automatic");
}
