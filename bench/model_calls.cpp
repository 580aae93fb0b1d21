// What a call of sluice::model costs above ONNX Runtime's own: model::run beside the bare C API with the same options and
// with inputs and outputs that were made once, in turns, on the CPU. Results are compared by bits first.
//
//     SLUICE_ONNXRUNTIME=FOLDER model_calls MODEL.onnx [--rounds 15] [--threads 2] [--largest 32]
//
// MODEL takes one input and gives one output, in batches (tests/model/write_resnet18.py writes one). One thread is timed by
// its own clock, which a busy machine does not change; several by the clock of the wall, calls a second of all of them.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <dlfcn.h>

#include "ort_api.hpp"
#include "sluice/model.hpp"
#include "sluice/npy.hpp"

namespace {

namespace ort = sluice::ort;
using sluice::tensor;

void must(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "model_calls: %s\n", what.c_str());
  std::exit(1);
}

double median(std::vector<double> t) {
  std::nth_element(t.begin(), t.begin() + static_cast<std::ptrdiff_t>(t.size() / 2), t.end());
  return t[t.size() / 2];
}

// The engine by its C API alone, as an example of its documentation has it.
class bare_engine {
 public:
  bare_engine(const std::string& library, const std::string& file, const sluice::model& like)
      : input_(like.inputs().front()), output_(like.outputs().front()) {
    void* const module = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    must(module != nullptr, "the engine cannot be opened again");
    auto* const entry = reinterpret_cast<ort::api_base_function*>(::dlsym(module, "OrtGetApiBase"));
    api_ = std::make_unique<ort::api>(entry()->table(ort::api_version));
    ort::environment* environment = nullptr;
    check((*api_)(ort::create_environment, ort::logging::fatal, "bare", &environment));
    ort::session_options* options = nullptr;
    check((*api_)(ort::create_session_options, &options));
    check((*api_)(ort::set_intra_op_threads, options, 1));
    check((*api_)(ort::set_inter_op_threads, options, 1));
    const std::string bytes = read(file);
    check((*api_)(ort::create_session, environment, bytes.data(), bytes.size(), options, &session_));
    check((*api_)(ort::create_cpu_memory_info, ort::allocation::device, ort::memory_type::normal, &memory_));
  }

  // What one thread calls with.
  struct call {
    ort::value* input = nullptr;
    ort::value* output = nullptr;
  };
  call prepare(const tensor& x, tensor& y) const {
    return {wrap(const_cast<void*>(std::as_const(x).data()), x), wrap(y.data(), y)};
  }
  void run(call& with) const {
    const char* const in = input_.name.c_str();
    const char* const out = output_.name.c_str();
    check((*api_)(ort::run, session_, nullptr, &in, &with.input, std::size_t{1}, &out, std::size_t{1}, &with.output));
  }

 private:
  static std::string read(const std::string& file) {
    std::string bytes;
    std::FILE* const f = std::fopen(file.c_str(), "rb");
    must(f != nullptr, file);
    char part[1 << 16];
    for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, f)) > 0;) bytes.append(part, n);
    std::fclose(f);
    return bytes;
  }
  void check(ort::status* s) const { must(s == nullptr, s != nullptr ? (*api_)(ort::message_of, s) : ""); }
  ort::value* wrap(void* data, const tensor& t) const {
    ort::value* v = nullptr;
    const auto type = t.dtype() == sluice::dtype::f16 ? ort::element::f16 : ort::element::f32;
    check((*api_)(ort::create_value, memory_, data, t.bytes(), &*t.shape().begin(), t.shape().size(), type, &v));
    return v;
  }

  std::unique_ptr<ort::api> api_;
  ort::session* session_ = nullptr;
  ort::memory_info* memory_ = nullptr;
  sluice::model_field input_, output_;
};

tensor input_of(const sluice::model& m, std::int64_t rows) {
  const auto& field = m.inputs().front();
  sluice::shape s{std::span(field.extents)};
  s[0] = rows;
  tensor t(s, sluice::dtype::f32);
  auto* p = static_cast<float*>(t.data());
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < t.count(); ++i) {
    state = state * 1664525u + 1013904223u;
    p[i] = static_cast<float>(state >> 8) * 0x1p-23f - 1;
  }
  return t.as(field.dtype);
}

tensor output_of(const sluice::model& m, std::int64_t rows) {
  const auto& field = m.outputs().front();
  sluice::shape s{std::span(field.extents)};
  s[0] = rows;
  return tensor(s, field.dtype);
}

// Seconds of processor time of this thread that each of some calls takes.
double thread_seconds(const std::function<void()>& call, int calls) {
  const auto now = [] {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  };
  const double start = now();
  for (int i = 0; i < calls; ++i) call();
  return (now() - start) / calls;
}

// Seconds of each call where `threads` make them at once, each as its own `call(thread)`.
double wall_seconds(const std::function<void(int)>& call, int threads, int calls) {
  std::vector<std::thread> all;
  std::atomic<bool> go{false};
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&, t] {
      while (!go) std::this_thread::yield();
      for (int i = 0; i < calls; ++i) call(t);
    });
  const auto start = std::chrono::steady_clock::now();
  go = true;
  for (auto& t : all) t.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / (threads * calls);
}

struct sides {
  double bare = 0, ours = 0, difference = 0;  // medians; of the differences of neighbouring rounds
};

sides in_turns(const std::function<double()>& bare, const std::function<double()>& ours, int rounds) {
  std::vector<double> a, b, differences;
  static_cast<void>(bare());
  static_cast<void>(ours());
  for (int i = 0; i < rounds; ++i) {
    if (i % 2 == 0) a.push_back(bare());
    b.push_back(ours());
    if (i % 2 != 0) a.push_back(bare());
    differences.push_back(b.back() - a.back());
  }
  return {median(a), median(b), median(differences)};
}

void print(std::int64_t rows, int threads, const sides& s) {
  std::printf("%6lld %8d %12.3f %12.3f %+10.1f %+8.2f%%\n", static_cast<long long>(rows), threads, s.bare * 1e3,
              s.ours * 1e3, s.difference * 1e6, s.difference / s.bare * 100);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  must(argc >= 2, "usage: model_calls MODEL.onnx [--rounds N] [--threads N] [--largest ROWS]");
  const auto option = [&](const char* name, int otherwise) {
    for (int i = 2; i + 1 < argc; ++i)
      if (std::strcmp(argv[i], name) == 0) return std::atoi(argv[i + 1]);
    return otherwise;
  };
  const int rounds = option("--rounds", 15), threads = option("--threads", 2), largest = option("--largest", 32);
  const auto engine = sluice::find_model_engine();
  must(engine.found, engine.refused);
  const auto m = sluice::model::load(argv[1], {.largest_batch = largest});
  must(m.is_batched() && m.inputs().size() == 1 && m.outputs().size() == 1,
       "the model has not one input and one output in batches");
  const bare_engine bare(engine.path, argv[1], m);
  std::printf("ONNX Runtime %s, %s\n", engine.version.c_str(), argv[1]);
  std::printf("%6s %8s %12s %12s %10s %9s\n", "rows", "threads", "bare ms", "sluice ms", "more us", "more");
  for (std::int64_t rows = 1; rows <= largest; rows *= 2) {
    const tensor x = input_of(m, rows);
    tensor y = output_of(m, rows);
    auto call = bare.prepare(x, y);
    bare.run(call);
    const tensor z = m.run({x}).front();
    must(z.bytes() == y.bytes() && std::memcmp(std::as_const(z).data(), std::as_const(y).data(), y.bytes()) == 0,
         "results differ at " + std::to_string(rows) + " rows");
    const double once = thread_seconds([&] { bare.run(call); }, 1);
    const int calls = std::max(1, static_cast<int>(0.02 / once));
    print(rows, 1,
          in_turns([&] { return thread_seconds([&] { bare.run(call); }, calls); },
                   [&] { return thread_seconds([&] { static_cast<void>(m.run({x})); }, calls); }, rounds));
    if (threads < 2) continue;
    std::vector<tensor> outputs;
    std::vector<bare_engine::call> of_thread;
    for (int t = 0; t < threads; ++t) outputs.push_back(output_of(m, rows));
    for (auto& out : outputs) of_thread.push_back(bare.prepare(x, out));
    print(rows, threads,
          in_turns(
              [&] { return wall_seconds([&](int t) { bare.run(of_thread[static_cast<std::size_t>(t)]); }, threads, calls); },
              [&] { return wall_seconds([&](int) { static_cast<void>(m.run({x})); }, threads, calls); }, rounds));
  }
}
