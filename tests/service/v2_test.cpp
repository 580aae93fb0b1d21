// The Open Inference Protocol on the service alone: what its clients ask for, and get.
#include "v2_testing.hpp"

#include <atomic>
#include <mutex>
#include <thread>

using namespace testing;

TEST_CASE("what the server says of itself") {
  sluice::service s;
  for (const char* path : {"/v2", "/v2/"}) {
    const auto text = send(s, "GET", path).text();
    CHECK(text == cat(R"({"name":"sluice","version":")", SLUICE_VERSION_STRING,
                      R"(","extensions":["binary_tensor_data","model_configuration","statistics"]})"));
  }
  CHECK(send(s, "GET", "/v2/health/live").text() == R"({"live":true})");
  CHECK(send(s, "GET", "/v2/health/ready").text() == R"({"ready":true})");
  for (const char* path : {"/v2/models/matmul/ready", "/v2/models/matmul/versions/1/ready"})
    CHECK(send(s, "GET", path).text() == R"({"name":"matmul","ready":true})");
  CHECK(send(s, "HEAD", "/v2/health/live").status == 200);
  for (const char* kind : {"system", "cuda"}) {
    const std::string root = cat("/v2/", kind, "sharedmemory");
    CHECK(send(s, "GET", root + "/status").text() == "[]");
    check_error(send(s, "GET", root + "/region/x/status"), 404, "no region \\\"x\\\"");
    for (const char* path : {"/region/x/register", "/region/x/unregister", "/unregister"})
      check_error(send(s, "POST", root + path, "{}"), 501, "shared memory");
  }
  for (const char* path : {"load", "unload"})
    check_error(send(s, "POST", cat("/v2/repository/models/matmul/", path), "{}"), 501, path);
}

TEST_CASE("models are the catalogue's rows, and one a dtype") {
  sluice::service s;
  CHECK(
      send(s, "GET", "/v2/models/matmul").text() ==
      R"({"name":"matmul","versions":["1"],"platform":"sluice","inputs":[{"name":"a","datatype":"FP32","shape":[-1,-1]},)"
      R"({"name":"b","datatype":"FP32","shape":[-1,-1]}],"outputs":[{"name":"result","datatype":"FP32","shape":[-1,-1]}]})");
  const auto datatypes = [&](std::string model) {
    const auto text = send(s, "GET", cat("/v2/models/", model, "/versions/1")).text();
    std::string all;
    for (std::size_t at = 0; (at = text.find("\"datatype\":\"", at)) != text.npos;) {
      at += 12;
      all += cat(all.empty() ? "" : " ", text.substr(at, text.find('"', at) - at));
    }
    return all;
  };
  CHECK(datatypes("matmul_fp64") == "FP64 FP64 FP64");
  CHECK(datatypes("matmul_fp16") == "FP16 FP16 FP16");
  CHECK(datatypes("matmul_bf16") == "BF16 BF16 BF16");
  CHECK(datatypes("rowsum") == "FP32 FP32");
  CHECK(datatypes("rowsum_fp64") == "FP64 FP64");
  CHECK(datatypes("rowsum_bf16") == "BF16 FP32");
  CHECK(datatypes("rowsum_int64") == "INT64 INT64");
  CHECK(datatypes("rowsum_int32") == "INT32 INT64");
  CHECK(datatypes("rowsum_uint8") == "UINT8 INT64");
  const auto config = send(s, "GET", "/v2/models/rowsum_int32/config").text();
  for (const char* words : {R"("name":"rowsum_int32")", R"("max_batch_size":0)",
                            R"("input":[{"name":"a","data_type":"TYPE_INT32","format":"FORMAT_NONE","dims":[-1,-1])",
                            R"("output":[{"name":"result","data_type":"TYPE_INT64","dims":[-1]}])"})
    CHECK_MESSAGE(config.find(words) != config.npos, config);
  for (const char* name : {"matmul_fp32", "matmul_int32", "rowsum_", "_fp64", "nothing", "rowsum_fp64_fp64", "\xff", ""})
    check_error(send(s, "GET", cat("/v2/models/", name)), 404, "there is no model");
}

TEST_CASE("an application's row is a model from the moment it is added") {
  sluice::service s;
  const auto index = [&] { return send(s, "POST", "/v2/repository/index", "{}").text(); };
  check_error(send(s, "GET", "/v2/models/echo"), 404, "echo");
  CHECK(index().find("echo") == std::string::npos);
  s.add(echo({sluice::dtype::bf16, sluice::dtype::f32}));
  CHECK(index().ends_with(R"({"name":"echo","version":"1","state":"READY","reason":""},)"
                          R"({"name":"echo_fp32","version":"1","state":"READY","reason":""}])"));
  CHECK(index().find(R"("name":"rowsum_uint8")") != std::string::npos);
  const auto list = send(s, "GET", "/v2/models");
  CHECK(list.status == 200);
  CHECK(list.header("Content-Type") == "application/json");
  CHECK(list.text().starts_with(R"({"models":[{"name":"matmul","versions":["1"],"state":"READY","reason":""},)"));
  CHECK(list.text().ends_with(R"({"name":"echo_fp32","versions":["1"],"state":"READY","reason":""}]})"));
  CHECK(send(s, "HEAD", "/v2/models").status == 200);
  check_error(send(s, "GET", "/v2/models/"), 404, "there is no model");
  const auto r = infer(s, "echo_fp32", request(input("a", "FP32", "[2]", R"("data":[1,2])")));
  CHECK(r.text().find(R"("parameters":{"device":"cpu","reason":"cpu: the endpoint has no estimate of its work"},)") !=
        std::string::npos);
  CHECK(unplaced(r.text()) == R"({"model_name":"echo_fp32","model_version":"1","outputs":[)"
                              R"({"name":"same","datatype":"FP32","shape":[2],"data":[1,2]},)"
                              R"({"name":"first","datatype":"FP32","shape":[1],"data":[1]}]})");
  // A row of this very name comes before the one that is derived.
  auto row = echo({sluice::dtype::f64});
  row.name = "echo_fp32";
  s.add(std::move(row));
  CHECK(send(s, "GET", "/v2/models/echo_fp32").text().find("FP64") != std::string::npos);
  CHECK(index().find(R"("name":"echo_fp32")") == index().rfind(R"("name":"echo_fp32")"));
}

TEST_CASE("inference in JSON: flat or nested, in any order, whatever the datatype") {
  echo_service s;
  const std::string product = R"("outputs":[{"name":"result","datatype":"FP32","shape":[2,2],"data":[19,22,43,50]}]})";
  CHECK(unplaced(infer(s, "matmul", request(cat(square, ",", other), R"(,"id":"a\"\u0041")")).text()) ==
        cat(R"({"model_name":"matmul","model_version":"1","id":"a\"A",)", product));
  CHECK(
      unplaced(infer(s, "matmul/versions/1", request(cat(other, ",", square), R"(,"parameters":{"priority":3,"timeout":0})"))
                   .text()) == cat(R"({"model_name":"matmul","model_version":"1",)", product));
  CHECK(infer(s, "matmul", request(cat(square, ",", other), R"(,"model_name":"matmul")")).status == 200);
  struct item {
    const char *datatype, *shape, *data, *printed;
  };
  for (const auto& x : {item{"FP32", "[2,3]", "[[1,2,3],[4,5,6.5]]", "[1,2,3,4,5,6.5]"},
                        {"FP32", "[1,2,1]", "[[[1],[2]]]", "[1,2]"},
                        {"FP32", "[1]", "[0.1]", "[0.1]"},
                        {"FP32", "[]", "[7]", "[7]"},
                        {"FP32", "[0,3]", "[]", "[]"},
                        {"FP32", "[2,0]", "[[],[]]", "[]"},
                        {"FP64", "[2]", "[0.1,1e300]", "[0.1,1e+300]"},
                        {"INT64", "[1]", "[-9223372036854775808]", "[-9223372036854775808]"},
                        {"INT32", "[2]", "[-1,2147483647]", "[-1,2147483647]"},
                        {"UINT8", "[2]", "[0,255]", "[0,255]"}}) {
    CAPTURE(x.data);
    const auto wanted = cat(R"("outputs":[{"name":"same",)", R"("datatype":")", x.datatype, R"(","shape":)", x.shape,
                            R"(,"data":)", x.printed, "}]}");
    const auto only = R"(,"outputs":[{"name":"same"}])";
    const auto shape = cat(R"("shape":)", x.shape), data = cat(R"("data":)", x.data);
    const auto datatype = cat(R"("datatype":")", x.datatype, "\"");
    for (const auto& fields :
         {cat(R"("name":"a",)", shape, ",", datatype, ",", data), cat(data, ",", datatype, ",", shape, R"(,"name":"a")"),
          cat(datatype, ",", data, ",", shape, R"(,"name":"a")")}) {
      const auto text = infer(s, "echo", request(cat("{", fields, "}"), only)).text();
      CHECK_MESSAGE(text.ends_with(wanted), text);
    }
  }
}

TEST_CASE("what a client sends of its own, and null for what is not there, is passed over") {
  echo_service s;
  const auto plain = unplaced(infer(s, "rowsum", request(square)).text());
  const auto same = [&](const std::string& body) {
    CAPTURE(body);
    CHECK(unplaced(infer(s, "rowsum", body).text()) == plain);
  };
  for (const char* parameters :
       {"null", "{}", R"({"content_type":"np"})", R"({"sequence_id":0,"sequence_start":false,"sequence_end":false})",
        R"({"sequence_id":"","sequence_start":true})", R"({"sequence_id":null,"sequence_id":-0.0e5})",
        R"({"timeout":null,"priority":null,"binary_data_output":null,"priority":1,"timeout":0})",
        R"({"own":{"a":[1,2.5e300,1e999,"\u00e9",{"b":null}],"c":true},"own":[],"é":"ü","123":12345678901234567890123})",
        R"({"headers":{"x":"y"},"max_tokens":5,"triton_enable_empty_final_response":false})"})
    same(request(square, cat(R"(,"parameters":)", parameters)));
  for (const char* more : {R"(,"id":null)", R"(,"id":null,"parameters":null,"outputs":null)", R"(,"model_name":null)",
                           R"(,"model_version":null)", R"(,"model_version":"")", R"(,"model_version":"1")"})
    same(request(square, more));
  for (const char* parameters :
       {"null", "{}", R"({"content_type":"np","own":[1]})", R"({"binary_data_size":null,"shared_memory_region":null})"})
    same(request(input("a", "FP32", "[2,2]", cat(R"("data":[1,2,3,4],"parameters":)", parameters))));
  for (const char* parameters : {"null", R"({"content_type":"np"})", R"({"binary_data":null,"classification":0})"})
    same(request(square, cat(R"(,"outputs":[{"name":"result","parameters":)", parameters, "}]")));
  // Beside what is read.
  const auto binary =
      request(input("a", "FP32", "[2]", R"("data":null,"parameters":{"own":{},"binary_data_size":8,"more":[]})"),
              R"(,"parameters":{"x":1,"binary_data_output":true,"y":[2]})");
  CHECK(binary_of(infer_binary(s, "rowsum", binary, bytes<float>({1, 2}))) == bytes<float>({3}));
  // A hundred thousand of them take no more time than they must.
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += cat(i == 0 ? "\"" : ",\"", std::to_string(i), "\":0");
  same(request(square, cat(R"(,"parameters":{)", many, "}")));
}

TEST_CASE("inference in binary, in and out, and mixed") {
  echo_service s;
  struct item {
    const char* datatype;
    std::string data;
  };
  for (const auto& x : {item{"FP32", bytes<float>({1, -0.0f, 3e38f})},
                        {"FP64", bytes<double>({1, 2, 1e300})},
                        {"FP16", bytes<std::uint16_t>({0x3c00, 0x7e00, 1})},
                        {"BF16", bytes<std::uint16_t>({0x3f80, 0x7fc0, 1})},
                        {"INT64", bytes<std::int64_t>({1, -2, 3})},
                        {"INT32", bytes<std::int32_t>({1, -2, 3})},
                        {"UINT8", "abc"}}) {
    CAPTURE(x.datatype);
    const auto in = binary_input("a", x.datatype, "[3]", x.data.size());
    for (
        const auto& [more, expected] :
        {std::pair{R"(,"parameters":{"binary_data_output":true})", x.data + x.data.substr(0, x.data.size() / 3)},
         {R"(,"outputs":[{"name":"first","parameters":{"binary_data":true}},{"name":"same","parameters":{"binary_data":true}}])",
          x.data.substr(0, x.data.size() / 3) + x.data},
         {R"(,"outputs":[{"name":"same"}],"parameters":{"binary_data_output":true})", x.data}}) {
      // Padding moves the data to every alignment that they can have.
      for (std::size_t blanks = 0; blanks < 9; ++blanks) {
        const auto r = infer_binary(s, "echo", request(in, more) + std::string(blanks, ' '), x.data);
        const bool same = binary_of(r) == expected;
        CHECK(same);
        CHECK(r.header("Content-Type") == "application/octet-stream");
      }
    }
  }
  const auto r = infer_binary(
      s, "echo",
      request(
          binary_input("a", "FP32", "[2]", 8),
          R"(,"parameters":{"binary_data_output":true},"outputs":[{"name":"same","parameters":{"binary_data":false}},{"name":"first"}])"),
      bytes<float>({1, 2}));
  CHECK(unplaced(r.text()) ==
        cat(R"({"model_name":"echo","model_version":"1","outputs":[{"name":"same","datatype":"FP32","shape":[2],)"
            R"("data":[1,2]},{"name":"first","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]})",
            bytes<float>({1})));
  // One operand in binary, one in JSON, the binary one behind.
  const auto mixed = request(cat(binary_input("b", "FP32", "[2,2]", 16), ",", square));
  CHECK(infer_binary(s, "matmul", mixed, bytes<float>({5, 6, 7, 8})).text().find("[19,22,43,50]") != std::string::npos);
  const auto two = request(cat(binary_input("b", "FP32", "[2,2]", 16), ",", binary_input("a", "FP32", "[2,2]", 16)));
  CHECK(infer_binary(s, "matmul", two, bytes<float>({5, 6, 7, 8, 1, 2, 3, 4})).text().find("[19,22,43,50]") !=
        std::string::npos);
}

TEST_CASE("a raw request is the data of the one input") {
  echo_service s;
  CHECK(binary_of(infer(s, "rowsum", bytes<float>({1, 2, 3.5}), {{length_header, "0"}})) == bytes<float>({6.5}));
  CHECK(binary_of(infer(s, "rowsum_int32", bytes<std::int32_t>({1, -2}), {{length_header, "0"}})) ==
        bytes<std::int64_t>({-1}));
  check_error(infer(s, "rowsum", "12345", {{length_header, "0"}}), 400, "5 bytes, no multiple of the 4 of FP32");
  check_error(infer(s, "matmul", "1234", {{length_header, "0"}}), 400, "matmul has 2");
  for (const char* type : {"application/json", "Application/JSON; charset=utf-8"})
    check_error(infer(s, "rowsum", "[1, 2, 3]   ", {{length_header, "0"}, {"Content-Type", type}}), 400, "Content-Type is");
}

TEST_CASE("tensors are laid over the body where their elements can stand") {
  sluice::service s;
  const void* seen = nullptr;
  auto row = echo({sluice::dtype::f64});
  row.run = [&](std::span<const sluice::tensor> in, const sluice::call_context&) {
    seen = in[0].data();
    return std::vector{in[0], in[0]};
  };
  s.add(row);
  for (std::size_t blanks = 0; blanks < 70; ++blanks) {
    const auto json = request(binary_input("a", "FP64", "[2]", 16)) + std::string(blanks, ' ');
    REQUIRE(infer_binary(s, "echo", json, bytes<double>({1, 2})).status == 200);
    CHECK(reinterpret_cast<std::uintptr_t>(seen) % 64 == 0);
  }
}

TEST_CASE("one place measures the calls of every protocol") {
  echo_service s;
  post(s, "matmul", R"({"a":[[1]],"b":[[1]]})");
  infer(s, "matmul", request(cat(square, ",", other)));
  infer(s, "matmul", "{}");
  infer(s, "echo_fp64", request(input("a", "FP64", "[1]", R"("data":[1])")));
  const auto stats = send(s, "GET", "/v2/models/matmul/stats").text();
  CAPTURE(stats);
  for (const char* words :
       {R"({"model_stats":[{"name":"matmul","version":"1","last_inference":1)", R"("inference_count":2,"execution_count":2)",
        R"("success":{"count":2,"ns":)", R"("fail":{"count":1,"ns":)", R"("queue":{"count":2)",
        R"("compute_input":{"count":2)", R"("compute_infer":{"count":2)", R"("compute_output":{"count":2)",
        R"("cache_hit":{"count":0,"ns":0})"})
    CHECK_MESSAGE(stats.find(words) != stats.npos, words);
  const auto all = send(s, "GET", "/v2/models/stats").text();
  CHECK(all.find(R"({"name":"echo_fp64","version":"1","last_inference":1)") != all.npos);
  CHECK(all.find(R"({"name":"echo","version":"1","last_inference":0,"inference_count":0)") != all.npos);
  const auto metrics = send(s, "GET", "/metrics").text();
  for (const char* line : {"\nsluice_requests_total{route=\"matmul\",version=\"1\",code=\"200\"} 2\n",
                           "\nsluice_requests_total{route=\"matmul\",version=\"1\",code=\"400\"} 1\n",
                           "\nsluice_requests_total{route=\"echo_fp64\",version=\"1\",code=\"200\"} 1\n",
                           "\nsluice_requests_total{route=\"v2\",code=\"200\"} 2\n"})
    CHECK_MESSAGE(metrics.find(line) != metrics.npos, line);
}

TEST_CASE("deadline and priority reach the call; past the deadline nothing is computed") {
  sluice::service_options o;
  o.compute_workers = 1;
  o.queue_length = 1;
  sluice::service s(o);
  gate door;
  sluice::call_context seen;
  auto row = echo({sluice::dtype::f32});
  row.run = [&](std::span<const sluice::tensor> in, const sluice::call_context& c) {
    seen = c;
    door.pass();
    return std::vector{in[0], in[0]};
  };
  s.add(row);
  const auto call = [&](std::string_view parameters) {
    return infer(s, "echo", request(square, cat(",\"parameters\":", parameters)));
  };
  sluice::response first, second;
  std::thread slow([&] { first = call(R"({"priority":2,"timeout":60000000})"); });
  while (door.entered == 0) std::this_thread::yield();
  std::thread late([&] { second = call(R"({"timeout":1000000})"); });  // long enough to be seen waiting
  while (send(s, "GET", "/metrics").text().find("\nsluice_compute_queue_length 1\n") == std::string::npos)
    std::this_thread::yield();
  const auto third = call("{}");
  check_error(third, 429, "1 requests are being computed and 1 wait");
  CHECK(third.header("Retry-After") == "1");
  late.join();  // it waits no longer than that
  door.open();
  slow.join();
  CHECK(first.status == 200);
  CHECK(seen.priority == 2);
  CHECK(seen.deadline < std::chrono::steady_clock::now() + std::chrono::seconds(60));
  CHECK(seen.deadline > std::chrono::steady_clock::now() + std::chrono::seconds(1));
  check_error(second, 504, "was to be done 1000000 us after the request came");
  CHECK(door.entered == 1);
  CHECK(call(R"({"timeout":18446744073709551615})").status == 200);
  CHECK(seen.deadline == std::chrono::steady_clock::time_point::max());
}

TEST_CASE("a large body's deadline and priority count while it waits") {
  sluice::service_options o;
  o.compute_workers = 1;
  sluice::service s(o);
  gate door;
  std::mutex mutex;  // of the next
  std::vector<std::uint64_t> order;
  auto row = echo({sluice::dtype::f32});
  row.run = [&](std::span<const sluice::tensor> in, const sluice::call_context& c) {
    {
      const std::lock_guard lock(mutex);
      order.push_back(c.priority);
    }
    door.pass();
    return std::vector{in[0], in[0]};
  };
  s.add(row);
  constexpr std::size_t count = 40'000;
  const auto binary = [&](std::string_view parameters) {
    return infer_binary(s, "echo",
                        request(binary_input("a", "FP32", "[40000]", 4 * count), cat(",\"parameters\":", parameters)),
                        std::string(4 * count, '\0'));
  };
  const auto text = [&](std::string_view parameters) {
    const auto data = list(count, [](int) { return "0"; });
    return infer(s, "echo",
                 request(input("a", "FP32", "[40000]", cat("\"data\":", data)), cat(",\"parameters\":", parameters)));
  };
  const auto reaches = [&](int waiting) {
    const auto line = cat("\nsluice_compute_queue_length ", std::to_string(waiting), "\n");
    while (send(s, "GET", "/metrics").text().find(line) == std::string::npos) std::this_thread::yield();
  };
  std::vector<std::thread> threads;
  threads.emplace_back([&] { CHECK(binary(R"({"priority":9})").status == 200); });
  const auto begun = [&] {
    const std::lock_guard lock(mutex);
    return !order.empty();
  };
  while (!begun()) std::this_thread::yield();
  // Nothing is free, and yet it is refused in time.
  check_error(binary(R"({"timeout":20000})"), 504, "was to be done 20000 us after the request came");
  const auto waits = [&](auto ask, const char* parameters, int waiting) {
    threads.emplace_back([ask, parameters] { CHECK(ask(parameters).status == 200); });
    reaches(waiting);
  };
  waits(text, R"({"priority":5})", 1);
  waits(binary, R"({"priority":4})", 2);
  waits(binary, R"({"priority":1})", 3);
  waits(binary, R"({"priority":2})", 4);
  waits(text, R"({"priority":0})", 5);
  door.open();
  for (auto& t : threads) t.join();
  CHECK(order == std::vector<std::uint64_t>{9, 1, 0, 2, 4, 5});
}

TEST_CASE("answers are compressed where the transport can: long text, and all for a client that lists one coding alone") {
  sluice::service s;
  const auto ask = [&](std::string accept, const std::string& body = request(square)) {
    sluice::request r{.method = "POST", .path = "/v2/models/rowsum/infer"};
    r.header = [&](std::string_view name) { return name == "Accept-Encoding" ? std::string_view(accept) : ""; };
    r.body = body;
    r.compress = [](const std::vector<sluice::body_piece>&, std::string_view coding) {
      return std::vector{sluice::body_piece::of(std::string(coding))};
    };
    return s.handle(r);
  };
  for (const char* coding : {"gzip", "deflate"}) {
    const auto r = ask(coding);
    CHECK(r.text() == coding);
    CHECK(r.header("Content-Encoding") == coding);
    CHECK(r.header("Vary") == "Accept-Encoding");
  }
  CHECK(ask(" GZIP ").text() == "gzip");
  CHECK(ask("x-gzip").text() == "gzip");
  for (const char* accept : {"", "identity", "br", "gzip, deflate", "gzip;q=0", "gzipx"}) {
    const auto r = ask(accept);
    CHECK(r.text().starts_with("{\"model_name\""));
    CHECK(r.header("Content-Encoding").empty());
  }
  const auto sums = list(1000, [](int) { return std::string("1"); });
  const auto many = request(input("a", "FP32", "[1000,1]", cat("\"data\":", sums)));
  const auto binary =
      request(input("a", "FP32", "[1000,1]", cat("\"data\":", sums)), R"(,"parameters":{"binary_data_output":true})");
  for (const char* accept : {"gzip, deflate", "gzip, deflate, br, zstd", "br;q=1.0, gzip;q=0.8, *;q=0.1"}) {
    CAPTURE(accept);
    const auto r = ask(accept, many);
    CHECK(r.text() == "gzip");
    CHECK(r.header("Content-Encoding") == "gzip");
    CHECK(ask(accept, binary).header("Content-Encoding").empty());
  }
  CHECK(ask("deflate", binary).text() == "deflate");
  CHECK(ask("gzip, identity;q=0", binary).text() == "gzip");
  CHECK(ask("gzip, identity;q=0").text() == "gzip");
  CHECK(infer(s, "rowsum", request(square), {{"Accept-Encoding", "gzip"}}).text().starts_with("{\"model_name\""));
}
