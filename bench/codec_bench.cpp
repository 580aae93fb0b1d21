// Matrices in and out of messages: the service's own decoding and encoding, as service::handle does them, beside simdjson
// and std::from_chars, dragonbox and std::to_chars, and beside memcpy. Answers are compared before any timing.
//
//     SLUICE_THREADS=1 codec_bench --benchmark_repetitions=5 [--run quick]      # a core, as the peers have
//
// "decode" hands a matrix to an endpoint that answers with one number; "encode" asks for a matrix that is there already.
// Both are whole calls, with all that a request costs. Counters: bytes_per_second, of the body; ns, a number.
#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <random>

#include "ceilings.hpp"
#include "sluice/npy.hpp"
#include "sluice/service.hpp"
#if SLUICE_DRAGONBOX
#include <dragonbox/dragonbox_to_chars.h>
#endif

namespace {

using sluice::tensor;

// n x n floats of nine digits, and the message that has them: {"a": [[...], ...]}.
struct matrix {
  tensor values;
  std::string json, npy, v2;
  std::size_t v2_head = 0;

  explicit matrix(std::int64_t n) : values({n, n}) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> unit(0, 1);
    auto* x = static_cast<float*>(values.data());
    for (std::int64_t i = 0; i < n * n; ++i) x[i] = unit(random);
    json = "{\"a\":[";
    char number[32];
    for (std::int64_t i = 0; i < n * n; ++i) {
      if (i % n == 0)
        json += i == 0 ? "[" : "],[";
      else
        json += ',';
      json.append(number, std::to_chars(number, std::end(number), x[i]).ptr);
    }
    json += "]]}";
    npy = sluice::encode_npy(values);
    const std::string size = std::to_string(n), bytes = std::to_string(n * n * 4);
    v2 = R"({"inputs":[{"name":"a","datatype":"FP32","shape":[)" + size + "," + size +
         R"(],"parameters":{"binary_data_size":)" + bytes + R"(}}],"parameters":{"binary_data_output":true}})";
    v2_head = v2.size();
    v2.append(reinterpret_cast<const char*>(x), static_cast<std::size_t>(n * n * 4));
  }
  [[nodiscard]] double count() const { return static_cast<double>(values.count()); }
};

// take: a matrix to its last element. give: the matrix, whatever comes.
struct codec_service : sluice::service {
  explicit codec_service(const tensor& given) {
    const auto estimate = [](std::span<const tensor> in) {
      return sluice::work_of(sluice::rowsum_op(), {in[0]});
    };  // small ones stay in this thread
    const auto take = [](std::span<const tensor> in, const sluice::call_context&) {
      const auto n = in[0].count();
      return std::vector{in[0].reshape({n}).slice(0, n - 1, n).clone()};
    };
    const auto give = [given](std::span<const tensor>, const sluice::call_context&) { return std::vector{given}; };
    const std::vector<sluice::field> in{{.name = "a", .min_rank = 2}}, out{{.name = "result"}};
    add({.name = "take", .inputs = in, .outputs = out, .run = take, .estimate = estimate});
    add({.name = "give", .inputs = in, .outputs = out, .run = give, .estimate = estimate});
  }
};

struct form {
  const char* name;
  std::string type, accept;
};
const form forms[] = {{"JSON", "application/json", "application/json"},
                      {".npy", "application/x-npy", "application/x-npy"},
                      {"v2 binary", "application/octet-stream", ""}};

sluice::response ask(sluice::service& s, const form& f, const char* endpoint, std::string_view body, std::size_t head) {
  const std::string length = std::to_string(head);
  return s.handle({.method = "POST",
                   .path = head == 0 ? "/v1/" + std::string(endpoint) : "/v2/models/" + std::string(endpoint) + "/infer",
                   .header = [&](std::string_view name) -> std::string_view {
                     if (name == "Content-Type") return f.type;
                     if (name == "Accept") return f.accept;
                     if (name == "Inference-Header-Content-Length" && head > 0) return length;
                     return {};
                   },
                   .body = body});
}

const std::string& body_of(const matrix& m, const form& f) {
  return f.name == forms[0].name ? m.json : f.name == forms[1].name ? m.npy : m.v2;
}
std::size_t head_of(const matrix& m, const form& f) { return f.name == forms[2].name ? m.v2_head : 0; }

void timed(benchmark::State& state, double numbers, std::size_t bytes, double ceiling, const std::function<void()>& call) {
  measure(state, {.bytes = static_cast<double>(bytes), .ceiling = ceiling}, call);
  state.counters["ns"] = static_cast<double>(bytes) / state.counters["bytes_per_second"] * 1e9 / numbers;
}

// Bytes a second that one thread copies, from memory as long as the body.
double copy_rate(std::size_t bytes) {
  std::string from(bytes, 'x'), to(bytes, ' ');
  return ceilings::copy_rate(to.data(), from.data(), static_cast<std::int64_t>(bytes), false);
}

void decode(benchmark::State& state, std::int64_t n, const form& f) {
  const matrix m(n);
  codec_service s(m.values);
  const std::string& body = body_of(m, f);
  const auto head = head_of(m, f);
  const form answer_in_json{f.name, f.type, "application/json"};
  const auto answer = ask(s, head > 0 ? f : answer_in_json, "take", body, head);
  const float last = m.values.reshape({n * n}).slice(0, n * n - 1, n * n).item<float>();
  char text[32];
  const std::string wanted(text, std::to_chars(text, std::end(text), last).ptr);
  const std::string raw(reinterpret_cast<const char*>(&last), sizeof last);
  if (answer.status != 200 || answer.text().find(head > 0 ? raw : wanted) == std::string::npos)
    return state.SkipWithError(("wrong answer: " + answer.text().substr(0, 200)).c_str());
  timed(state, m.count(), body.size(), f.name == forms[0].name ? 0 : copy_rate(body.size()),
        [&] { benchmark::DoNotOptimize(ask(s, head > 0 ? f : answer_in_json, "take", body, head)); });
}

void encode(benchmark::State& state, std::int64_t n, const form& f) {
  const matrix m(n), small(1);
  codec_service s(m.values);
  const std::string& body = body_of(small, f);
  const auto head = head_of(small, f);
  const std::string text = ask(s, f, "give", body, head).text();
  const bool json = f.name == forms[0].name;
  const std::string wanted = json ? m.json.substr(5, m.json.size() - 6)  // [[...]]
                                  : std::string(static_cast<const char*>(m.values.data()), m.values.bytes());
  if (text.find(wanted) == std::string::npos) return state.SkipWithError(("wrong answer: " + text.substr(0, 200)).c_str());
  timed(state, m.count(), text.size(), 0, [&] { benchmark::DoNotOptimize(ask(s, f, "give", body, head)); });
}

// What one would write: simdjson's on-demand parser, into a vector.
void by_simdjson(benchmark::State& state, std::int64_t n) {
  const matrix m(n);
  simdjson::ondemand::parser parser;
  const simdjson::padded_string text(m.json);
  std::vector<float> a;
  const auto read = [&] {
    a.clear();
    auto document = parser.iterate(text);
    for (auto row : document["a"].get_array())
      for (auto x : row.get_array()) a.push_back(static_cast<float>(double(x)));
  };
  read();
  if (std::memcmp(a.data(), m.values.data(), m.values.bytes()) != 0) return state.SkipWithError("wrong answer");
  timed(state, m.count(), m.json.size(), 0, read);
}

void by_from_chars(benchmark::State& state, std::int64_t n) {
  const matrix m(n);
  std::vector<float> a(static_cast<std::size_t>(n * n));
  const auto read = [&] {
    const char *p = m.json.data(), *end = p + m.json.size();
    for (float& x : a) {
      while (*p != '-' && (*p < '0' || *p > '9')) ++p;
      p = std::from_chars(p, end, x).ptr;
    }
  };
  read();
  if (std::memcmp(a.data(), m.values.data(), m.values.bytes()) != 0) return state.SkipWithError("wrong answer");
  timed(state, m.count(), m.json.size(), 0, read);
}

// Numbers with a comma behind each, by a function that writes one.
template <class Print>
void by_printing(benchmark::State& state, std::int64_t n, Print print) {
  const matrix m(n);
  const auto* x = static_cast<const float*>(m.values.data());
  std::string out(static_cast<std::size_t>(n * n) * 24, ' ');
  char* end = nullptr;
  const auto write = [&] {
    char* p = out.data();
    for (std::int64_t i = 0; i < n * n; ++i) {
      p = print(x[i], p);
      *p++ = ',';
    }
    end = p;
  };
  write();
  timed(state, m.count(), static_cast<std::size_t>(end - out.data()), 0, write);
}

void register_all() {
  for (const std::int64_t n : {by_run(4, 16, 16), by_run(8, 256, 256), by_run(16, 1024, 1024)}) {
    const std::string size = std::to_string(n) + "x" + std::to_string(n);
    for (const form& f : forms) {
      add("decode " + std::string(f.name), "sluice", "cpu", "f32", size, [=](benchmark::State& s) { decode(s, n, f); });
      add("encode " + std::string(f.name), "sluice", "cpu", "f32", size, [=](benchmark::State& s) { encode(s, n, f); });
      if (f.name != forms[0].name)
        for (const char* way : {"decode ", "encode "})
          add(std::string(way) + f.name, "memcpy", "cpu", "f32", size, [=](benchmark::State& state) {
            const auto bytes = static_cast<std::size_t>(n * n * 4);
            for (auto _ : state) state.SetIterationTime(static_cast<double>(bytes) / copy_rate(bytes));
            show_rate(state, "bytes_per_second", copy_rate(bytes));
          });
    }
    add("decode JSON", "simdjson", "cpu", "f32", size, [=](benchmark::State& s) { by_simdjson(s, n); });
    add("decode JSON", "std::from_chars", "cpu", "f32", size, [=](benchmark::State& s) { by_from_chars(s, n); });
    add("encode JSON", "std::to_chars", "cpu", "f32", size,
        [=](benchmark::State& s) { by_printing(s, n, [](float x, char* p) { return std::to_chars(p, p + 24, x).ptr; }); });
#if SLUICE_DRAGONBOX
    add("encode JSON", "dragonbox", "cpu", "f32", size,
        [=](benchmark::State& s) { by_printing(s, n, [](float x, char* p) { return jkj::dragonbox::to_chars_n(x, p); }); });
#endif
  }
}

}  // namespace

int main(int argc, char** argv) { return run_benchmarks(argc, argv, register_all); }
