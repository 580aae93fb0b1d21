#include "sluice/pipeline.hpp"

#include <limits>

#include "files.hpp"
#include "sluice/npy.hpp"
#include "sluice/ops/rowsum.hpp"
#include "testing.hpp"

using namespace sluice;

namespace {

std::string raw(const tensor& t) {
  const auto bytes = testing::bytes_of(t);
  return {bytes.begin(), bytes.end()};
}

tensor reference_sums(const tensor& a) {
  tensor out({a.extent(0)}, rowsum_dtype(a.dtype()));
  reference::rowsum(sluice::core::array_of(a), sluice::core::array_of(out));
  return out;
}

}  // namespace

TEST_CASE("the same bits as the sum of the whole, on every device, at every width and chunk size") {
  const testing::folder here;
  for (const auto& where : testing::devices_under_test())
    for (const dtype t : testing::every_dtype)
      for (const auto& extents : {shape{4000, 1}, shape{1000, 3}, shape{257, 100}, shape{70, 1024}, shape{3, 1025},
                                  shape{4, 5000}, shape{1, 40'000}}) {
        const tensor a = testing::rough(extents, t);
        testing::write_file(here / "in", raw(a));
        const tensor expected = reference_sums(a);
        for (const std::int64_t chunk : {600, 5000, 16 << 20}) {
          CAPTURE(where.str());
          CAPTURE(name_of(t));
          CAPTURE(extents.str());
          CAPTURE(chunk);
          const file_stream in(here / "in", {.dtype = t, .columns = extents[1], .chunk_bytes = chunk});
          const auto done = rowsum_file(in, here / "out.npy", {.where = where});
          CHECK(testing::same_bits(read_npy(here / "out.npy"), expected));
          CHECK(done.rows == extents[0]);
          CHECK(done.bytes == static_cast<std::int64_t>(a.bytes()));
          CHECK(done.devices == std::vector{device(where)});
        }
      }
}

TEST_CASE("a dtype of the result is refused where it cannot be, before anything is written") {
  const testing::folder here;
  write_npy(here / "in.npy", testing::random({4, 5}, dtype::f32));
  const file_stream in(here / "in.npy");
  CHECK_REFUSED(rowsum_file(in, here / "out.npy", {.result_dtype = dtype::i64}), invalid_argument,
                "sums of f32 are rounded to one of f64, f32, f16, bf16, not to i64");
  CHECK_REFUSED(rowsum_file(in, here / "out.npy", {.result_dtype = dtype::bf16}), unsupported, "bf16");
  CHECK_REFUSED(matmul_file(in, testing::random({5, 2}, dtype::f32), here / "out.npy", {.result_dtype = dtype::f32}),
                invalid_argument, "result_dtype is rowsum_file's");
  CHECK_REFUSED(for_each_chunk(in, [](const row_chunk&) {}, {.result_dtype = dtype::f32}), invalid_argument, "result_dtype");
  CHECK(here.count() == 1);
}

TEST_CASE("rows that are cut join in the one order, through infinities and zeros") {
  const testing::folder here;
  const float inf = std::numeric_limits<float>::infinity();
  for (const std::int64_t columns : {2048, 3 * 1024, 5 * 1024 + 1, 7 * 1024, 100'000}) {
    tensor a = testing::rough({6, columns}, dtype::f32);
    auto v = a.view<float, 2>();
    v(1, 0) = inf;  // inf - inf, in different parts
    v(1, columns - 1) = -inf;
    v(2, columns / 2) = -std::numeric_limits<float>::quiet_NaN();
    for (std::int64_t i = 0; i < columns; ++i) v(3, i) = -0.0f;
    for (std::int64_t i = 0; i < columns; ++i) v(4, i) = std::numeric_limits<float>::denorm_min();
    write_npy(here / "in.npy", a);
    for (const std::int64_t chunk : {1, 8192, 40'000}) {
      rowsum_file(file_stream(here / "in.npy", {.chunk_bytes = chunk}), here / "out.npy");
      CHECK(testing::same_bits(read_npy(here / "out.npy"), reference_sums(a)));
    }
  }
}

TEST_CASE("the result has the file's shape without its last dimension") {
  const testing::folder here;
  for (const shape& s : {shape{2, 3, 4}, shape{24}, shape{5, 0}, shape{0, 5}, shape{0, 0}}) {
    const tensor a = testing::random(s, dtype::f64);
    write_npy(here / "in.npy", a);
    rowsum_file(file_stream(here / "in.npy"), here / "out.npy");
    CHECK(testing::same_bits(read_npy(here / "out.npy"), rowsum(a)));
  }
}

TEST_CASE("progress grows, and ends at the end") {
  const testing::folder here;
  testing::write_file(here / "in", std::string(4 << 20, '\0'));
  const file_stream in(here / "in", {.columns = 256, .chunk_bytes = 4096});
  std::vector<pipeline_progress> seen;
  pipeline_options options;
  options.progress_interval = 0;
  options.progress = [&](const pipeline_progress& p) { seen.push_back(p); };
  rowsum_file(in, here / "out.npy", options);
  REQUIRE(seen.size() > 1);
  for (std::size_t i = 1; i < seen.size(); ++i) {
    CHECK(seen[i].bytes_done >= seen[i - 1].bytes_done);
    CHECK(seen[i].seconds >= seen[i - 1].seconds);
  }
  CHECK(seen.back().bytes_done == 4 << 20);
  CHECK(seen.back().bytes_total == 4 << 20);
  CHECK(seen.back().rows_done == 4096);

  seen.clear();
  options.progress_interval = 1000;
  rowsum_file(in, here / "out.npy", options);
  CHECK(seen.size() == 1);
}

TEST_CASE("a run that fails leaves the old result and no partial one") {
  const testing::folder here;
  const std::string path = here / "in";
  testing::write_file(path, std::string(4 << 20, '\0'));
  testing::write_file(here / "out.npy", "old");
  const file_stream in(path, {.columns = 256, .chunk_bytes = 4096});
  std::stop_source stop;
  pipeline_options options;
  options.progress_interval = 0;
  options.cancel = stop.get_token();

  SUBCASE("cancelled on the way") {
    options.progress = [&](const pipeline_progress&) { stop.request_stop(); };
    CHECK_REFUSED(rowsum_file(in, here / "out.npy", options), cancelled, "of 4194304 bytes");
  }
  SUBCASE("cancelled before") {
    stop.request_stop();
    CHECK_REFUSED(rowsum_file(in, here / "out.npy", options), cancelled, "after 0 of 4194304 bytes");
  }
  SUBCASE("cut short meanwhile") {
    options.progress = [&](const pipeline_progress& p) {
      if (p.bytes_done < p.bytes_total) std::filesystem::resize_file(path, 4096);
    };
    CHECK_REFUSED(rowsum_file(in, here / "out.npy", options), io, "4194304", "4096");
  }
  SUBCASE("grown meanwhile") {
    options.progress = [&](const pipeline_progress&) { std::filesystem::resize_file(path, 5 << 20); };
    CHECK_REFUSED(rowsum_file(in, here / "out.npy", options), io, "4194304", "5242880");
  }
  SUBCASE("a progress function that throws") {
    options.progress = [&](const pipeline_progress&) { throw std::runtime_error("enough"); };
    CHECK_THROWS_AS(rowsum_file(in, here / "out.npy", options), std::runtime_error);
  }
  SUBCASE("no such device") {
    options.where = "none:7";
    CHECK_REFUSED(rowsum_file(in, here / "out.npy", options), unavailable, "none:7");
  }
  SUBCASE("another run writes it") {
    bool refused = false;
    options.progress = [&](const pipeline_progress&) {
      if (refused) return;
      CHECK_REFUSED(rowsum_file(in, here / "out.npy"), io, "out.npy.partial", "another process");
      refused = true;
      throw std::runtime_error("enough");
    };
    CHECK_THROWS_AS(rowsum_file(in, here / "out.npy", options), std::runtime_error);
    CHECK(refused);
  }
  CHECK(testing::read_file(here / "out.npy") == "old");
  CHECK(here.count() == 2);
}

TEST_CASE("results that would be written over their input, or over what is no file") {
  const testing::folder here;
  write_npy(here / "a.npy", testing::random({3, 4}, dtype::f32));
  std::filesystem::create_hard_link(here / "a.npy", here / "b.npy");
  std::filesystem::create_symlink("a.npy", here / "c.npy");
  std::filesystem::copy_file(here / "a.npy", here / "d.npy.partial");
  const std::string before = testing::read_file(here / "a.npy");
  const file_stream in(here / "a.npy");
  CHECK_REFUSED(rowsum_file(in, here / "a.npy"), invalid_argument, "a.npy is the input");
  CHECK_REFUSED(rowsum_file(in, here / "b.npy"), invalid_argument, "b.npy is the input");
  CHECK_REFUSED(rowsum_file(in, here / "c.npy"), invalid_argument, "c.npy is the input");
  CHECK_REFUSED(rowsum_file(file_stream(here / "d.npy.partial"), here / "d.npy"), invalid_argument,
                "d.npy.partial is the input");
  CHECK_REFUSED(rowsum_file(in, here / ""), invalid_argument, "a directory");
  CHECK_REFUSED(rowsum_file(in, here / "none/out.npy"), io, "none/out.npy.partial");
  CHECK_REFUSED(rowsum_file(in, "/dev/null"), invalid_argument, "a character device");
  CHECK(testing::read_file(here / "a.npy") == before);
  CHECK(testing::read_file(here / "d.npy.partial") == before);
  CHECK(here.count() == 4);
}
