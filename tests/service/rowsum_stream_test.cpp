// POST /v1/rowsum/stream without a transport: the sums, refusals and bounds.
#include "rowsum_stream_testing.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#include "files.hpp"
#include "sluice/ops/rowsum.hpp"

using namespace testing;
using sluice::dtype;

TEST_CASE("the sums are those of rowsum, bit for bit, however the bytes are cut") {
  sluice::service s;
  const std::int64_t columns[] = {1, 3, 100, 1024, 1025, 300'001};
  for (const auto type : every_dtype)
    for (const auto c : columns) {
      CAPTURE(text(type));
      CAPTURE(c);
      const auto rows = rough({std::max<std::int64_t>(2, 900'000 / c), c}, type, 7);
      const auto wanted = sluice::rowsum(rows);
      numbers n(static_cast<std::uint64_t>(c));
      for (const std::int64_t most : {std::int64_t{200}, std::int64_t{4096}, std::int64_t{3'000'000}}) {
        const auto cut = [&] { return static_cast<std::size_t>(n.below(most)); };
        CHECK(same_bits(sums_in(stream(s, bytes_in(rows), query_of(rows), raw_type, cut)), wanted));
      }
      if (type == dtype::bf16) continue;
      const auto npy = sluice::encode_npy(rows);
      CHECK(same_bits(sums_in(stream(s, npy, "", npy_type, [&] { return static_cast<std::size_t>(n.below(90)) + 60; })),
                      wanted));
    }
}

TEST_CASE("rows larger than the room, in parts that join as rowsum's do") {
  sluice::service s;
  for (const auto type : {dtype::f32, dtype::f64, dtype::u8, dtype::bf16, dtype::i64}) {
    CAPTURE(text(type));
    for (const std::int64_t c : {std::int64_t{1'048'577}, std::int64_t{3'700'003}}) {
      auto rows = rough({2, c}, type, 3);
      if (type == dtype::f32)
        rows.view<float, 2>()(1, 77) = std::numeric_limits<float>::infinity() - std::numeric_limits<float>::infinity();
      CHECK(same_bits(sums_in(stream(s, bytes_in(rows), query_of(rows), raw_type, [] { return 1'000'003; })),
                      sluice::rowsum(rows)));
    }
  }
}

TEST_CASE("an .npy's shape is the sums' but for the last extent") {
  sluice::service s;
  const auto cut = [] { return 1000; };
  for (const sluice::shape& extents : {sluice::shape{5}, {0, 3}, {4, 0}, {0}, {2, 3, 4}, {70'000, 0}, {300, 2, 1, 5}}) {
    CAPTURE(extents.str());
    const auto rows = random(extents, dtype::f32);
    CHECK(same_bits(sums_in(stream(s, sluice::encode_npy(rows), "", npy_type, cut)), sluice::rowsum(rows)));
    // As JSON the same text as the endpoint's.
    const auto npy = sluice::encode_npy(rows);
    const headers as_json{{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}};
    const auto streamed = stream(s, npy, "", as_json, cut), whole = post(s, "rowsum", npy, as_json);
    CHECK(streamed.status == 200);
    CHECK(streamed.text() == whole.text());
  }
  CHECK(sums_in(stream(s, "", "columns=7&dtype=f32", raw_type, cut)).shape() == sluice::shape{0});
}

TEST_CASE("JSON in pieces, out of the spool") {
  const folder here;
  std::int64_t memory = 256 << 10;  // a block
  SUBCASE("") {}
  SUBCASE("and a part of a block more") { memory += 40'000; }
  sluice::service s({.stream = {.spool_memory = memory, .spool_directory = here / ""}});
  const auto rows = rough({200'000, 2}, dtype::f32, 5);
  const headers as_json{{"Content-Type", "application/octet-stream"}, {"Accept", "application/json"}};
  auto streamed = stream(s, bytes_in(rows), query_of(rows), as_json, [] { return 5000; });
  REQUIRE(streamed.status == 200);
  CHECK(streamed.content_length == -1);
  const auto npy = sluice::encode_npy(rows);
  CHECK(streamed.text() ==
        post(s, "rowsum", npy, {{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}}).text());
  auto broken = rows.clone();
  broken.view<float, 2>()(150'000, 1) = std::numeric_limits<float>::infinity();
  check_problem(stream(s, bytes_in(broken), query_of(rows), as_json, [] { return 5000; }), 422,
                "1 of the result's 200000 numbers are NaN or infinite, the first of them number 150000:");
  CHECK(same_bits(sums_in(stream(s, bytes_in(broken), query_of(rows), raw_type, [] { return 5000; })),
                  sluice::rowsum(broken)));
}

TEST_CASE("what is no body of rows is refused, with the numbers") {
  sluice::service s({.stream = {.body_bytes = 1'000'000}});
  const auto rows = random({10, 3}, dtype::f32);
  const auto npy = sluice::encode_npy(rows);
  const auto cut = [] { return 50; };
  const auto tell = [&](std::string_view body, const std::string& query, const headers& with, std::int64_t length = -1) {
    return stream(s, body, query, with, cut, length);
  };
  check_problem(tell(bytes_in(rows).substr(5), query_of(rows), raw_type), 400, "115 bytes are 7 too many");
  check_problem(tell(bytes_in(rows).substr(5), query_of(rows), raw_type, 115), 400, "115 bytes are 7 too many");
  check_problem(tell(std::string_view(npy).substr(0, npy.size() - 1), "", npy_type), 400,
                "(10, 3) of f32: 120 bytes, and 119 came");
  check_problem(tell(npy + "x", "", npy_type), 400, "120 bytes, and the body has more");
  check_problem(tell(npy.substr(0, 70), "", npy_type), 400, "the .npy's 70 bytes end inside the header");
  check_problem(tell("PK\3\4 and more of a zip, which is no npy at all", "", npy_type), 400, "npy");
  check_problem(tell("", "columns=0", raw_type), 400, "columns");
  check_problem(tell("", "columns=12x", raw_type), 400, "12x");
  check_problem(tell("", "", raw_type), 400, "names no columns");
  check_problem(tell("", "columns=3&rows=4", raw_type), 400, "rows");
  check_problem(tell("", "columns=3&dtype=complex", raw_type), 422, "complex");
  check_problem(tell("", "columns=3", {{"Content-Type", "application/x-www-form-urlencoded"}}), 415, "octet-stream");
  check_problem(tell("", "columns=3", {{"Content-Type", "application/octet-stream"}, {"Accept", "text/html"}}), 406,
                "text/html");
  check_problem(tell(bytes_in(rows), "columns=3", raw_type, 1'000'001), 413, "1000001 bytes: at most 1000000");
  check_problem(tell(std::string(1'000'100, 'x'), "columns=3", raw_type), 413, "more than 1000000");
  check_problem(
      tell(bytes_in(rows), "columns=3", {{"Content-Type", "application/octet-stream"}, {"X-Request-Timeout", "0"}}), 504,
      "0.000 s");
  check_problem(send(s, "GET", stream_path), 405, "POST");
  const auto column_major = sluice::encode_npy(rows);
  auto fortran = column_major;
  fortran.replace(fortran.find("False"), 5, "True ");
  check_problem(tell(fortran, "", npy_type), 422, "Fortran");
}

TEST_CASE("a compressed body is decoded by workers, and may not be much larger than what came") {
  // Each byte is that many zeros; 0 damages the body, and 255 at the end cuts it off.
  const auto ask = [](sluice::service& s, std::string_view body, std::function<void()> meanwhile = {}) {
    sluice::request r{.method = "POST", .path = stream_path, .query = "columns=1&dtype=u8", .compressed = true};
    r.header = [](std::string_view name) -> std::string_view {
      return name == "Content-Type" ? "application/octet-stream" : "";
    };
    r.read_body = [](const sluice::body_receiver&) -> bool { throw std::runtime_error("decoded by the transport"); };
    r.read_encoded = [=](const sluice::body_receiver& take) {
      return take(body.substr(0, body.size() / 3)) && take(body.substr(body.size() / 3));
    };
    r.decode = [&, whole = true](std::string_view bytes, const sluice::body_receiver& take) mutable {
      if (bytes.empty()) return whole;
      if (meanwhile) meanwhile();
      whole = static_cast<unsigned char>(bytes.back()) != 255;
      for (const char c : bytes)
        if (c == 0 || !take(std::string(static_cast<unsigned char>(c), '\0'))) return false;
      return true;
    };
    return s.handle(r);
  };
  sluice::service s({.compute_workers = 1, .stream = {.decoded_bytes = 1000, .decoded_ratio = 10}});
  const auto bytes = [](std::size_t n, char each) { return std::string(n, each); };
  CHECK(sums_in(ask(s, "")).count() == 0);
  CHECK(sums_in(ask(s, bytes(10, 100))).count() == 1000);  // whatever the ratio
  check_problem(ask(s, bytes(11, 100)), 413,
                "11 bytes of the body decode to 1100 and more: beyond the first 1000, at most 10 are taken for each");
  CHECK(sums_in(ask(s, bytes(100'000, 10))).count() == 1'000'000);
  check_problem(ask(s, bytes(100'000, 12)), 413, "65536 bytes of the body decode to");
  check_problem(ask(s, cat(bytes(5, 1), bytes(1, 0), bytes(5, 1))), 400, "cannot be decoded between its bytes 0 and 11");
  check_problem(ask(s, cat(bytes(70'000, 1), bytes(1, 0))), 400, "between its bytes 65536 and 70001");
  check_problem(ask(s, cat(bytes(5, 1), "\xff")), 400, "the body ended after 6 bytes, inside its compressed data");
  // By this thread where it is little.
  const auto caller = std::this_thread::get_id();
  for (const std::size_t size : {std::size_t{100}, std::size_t{50'000}, std::size_t{500'000}}) {
    int other = 0, own = 0;
    ask(s, bytes(size, 2), [&] { ++(std::this_thread::get_id() == caller ? own : other); });
    CHECK(own == (size == 100 ? 1 : 0));
    CHECK(other == (size == 100 ? 0 : size == 50'000 ? 1 : 8));
  }
  // Decoding has its time.
  sluice::service quick({.stream = {.decode_seconds = 0.01}});
  const auto sleep = [] { std::this_thread::sleep_for(std::chrono::milliseconds(15)); };
  check_problem(ask(quick, bytes(10, 1), sleep), 413, "s: at most 0.01 s are given");
  sluice::service patient({.stream = {.decoded_bytes = 0, .decoded_ratio = 0, .decode_seconds = -1}});
  CHECK(sums_in(ask(patient, bytes(100, 100), sleep)).count() == 10'000);
  for (const sluice::stream_options& wrong :
       {sluice::stream_options{.decoded_bytes = -1}, sluice::stream_options{.decoded_ratio = -1}})
    CHECK_THROWS_AS(sluice::service{sluice::service_options{.stream = wrong}}, sluice::error);
}

TEST_CASE("sums have a quota: 413 as soon as it is known") {
  const folder here;
  std::size_t passed = 0;
  const auto counted = [&] { return passed += 4000, 4000; };
  const std::string many(4'000'000, '\0');
  {
    sluice::service s({.stream = {.quota_bytes = 40'000, .spool_memory = 0, .spool_directory = here / ""}});
    check_problem(stream(s, many, "columns=1", raw_type, counted), 413, "40000 bytes");
    CHECK(passed < 2'500'000);  // one piece, and not the rest
    passed = 0;
    check_problem(stream(s, many, "columns=1", raw_type, counted, 4'000'000), 413, "1000000 rows");
    CHECK(passed == 0);
    check_problem(stream(s, std::string_view(many).substr(0, 40'004), "columns=1", raw_type, counted), 413, "10001 rows");
    const auto npy = sluice::npy_header_bytes(dtype::f32, {std::int64_t{1} << 40, 0});
    check_problem(stream(s, npy, "", npy_type, counted), 413, "1099511627776 rows");
    CHECK(sums_in(stream(s, many, "columns=100", raw_type, counted)).count() == 10'000);
  }
  // In memory alone, memory is the quota.
  sluice::service s({.stream = {.spool_memory = 100'000}});
  CHECK(sums_in(stream(s, many, "columns=40", raw_type, counted)).count() == 25'000);
  check_problem(stream(s, many, "columns=25", raw_type, counted), 413, "100000 bytes");
  CHECK_REFUSED(sluice::service({.stream = {.spool_directory = here / "none"}}), io, "spool");
}

TEST_CASE("rows that have come wait for a slot, where a request is refused") {
  sluice::service s({.compute_workers = 1, .queue_length = 0, .inline_bytes = -1});
  std::atomic<bool> inside{false}, open{false};
  s.add({.name = "hold",
         .summary = "Its slot, until the test opens it",
         .inputs = {{.name = "a", .min_rank = 2, .max_rank = 2}},
         .outputs = {{.name = "result"}},
         .run = [&](std::span<const sluice::tensor> in, const sluice::call_context&) {
           inside = true;
           open.wait(false);
           return std::vector{in[0]};
         }});
  const auto reaches = [](const auto& holds) {
    for (int i = 0; i < 1000 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return holds();
  };
  constexpr auto order = R"({"a":[[1]]})";
  std::thread holder([&] { post(s, "hold", order); });
  CHECK(reaches([&] { return inside.load(); }));
  check_problem(post(s, "hold", order), 429, "1 requests are being computed");
  bool waited = false;
  std::thread opener([&] {
    waited = reaches(
        [&] { return send(s, "GET", "/metrics").text().find("\nsluice_compute_queue_length 1\n") != std::string::npos; });
    open = true;
    open.notify_all();
  });
  const auto rows = rough({1000, 700}, dtype::f32);
  const auto r = stream(s, bytes_in(rows), query_of(rows), raw_type, [] { return 10'000; });
  holder.join();
  opener.join();
  CHECK(waited);
  CHECK(same_bits(sums_in(r), sluice::rowsum(rows)));
}

TEST_CASE("the log counts what was read of an upload") {
  std::atomic<std::int64_t> bytes{-1};
  sluice::service s(
      {.on_request = [&](const sluice::access_record& r) { bytes = r.bytes_in; }, .stream = {.quota_bytes = 4000}});
  CHECK(stream(
            s, std::string(4'000'000, '\0'), "columns=1000", raw_type, [] { return 1000; }, 4'000'000)
            .status == 200);
  CHECK(bytes == 4'000'000);
  CHECK(stream(
            s, "", "columns=1", raw_type, [] { return 1000; }, 4'000'000)
            .status == 413);
  CHECK(bytes == 0);
}
