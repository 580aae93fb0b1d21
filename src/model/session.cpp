// Opening a session: its options, and what the engine's refusals mean.
#include <fmt/format.h>

#include "runner.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

namespace {

bool says(const std::string& text, std::string_view words) { return text.find(words) != std::string::npos; }

// The engine has no code of its own for some of these, so its words decide; other words leave the file malformed.
error_code code_of_load(const failure& what) {
  const auto& text = what.text;
  if (says(text, "Failed to allocate memory") || says(text, "out of memory") || says(text, "bad_alloc"))
    return error_code::out_of_memory;
  if (what.kind == error_kind::not_implemented || what.kind == error_kind::provider_failed ||
      says(text, "is not a registered function/op") || says(text, "Unsupported model IR version") ||
      says(text, "No Op registered for") || says(text, "fallback to CPU EP has been explicitly disabled") ||
      says(text, "under development and support for this is limited") || says(text, "No opset import for domain"))
    return error_code::unsupported;
  if (says(text, "CUDA failure") || says(text, "CUDA error") || says(text, "CUDNN failure")) return error_code::unavailable;
  if (what.kind == error_kind::no_such_file) return error_code::io;
  return error_code::malformed;
}

}  // namespace

opener::opener(const std::filesystem::path& path, onnx_file file)
    : used_(find_engine()), file_(std::move(file)), name_("[model] " + path.string()) {
  std::filesystem::path end;
  int count = 0;
  for (auto it = path.end(); it != path.begin() && count < 3; ++count) end = end.empty() ? *--it : *--it / end;
  called_ = "[model] " + end.relative_path().string();
}

session_handle opener::open(const cuda_options* cuda) const {
  session_options_handle options;
  used_(create_session_options, options.out());
  used_(set_execution, options.get(), execution::sequential);
  used_(set_session_severity, options.get(), static_cast<int>(logging::fatal));
  // No threads: a batch runs in the thread that calls.
  used_(set_intra_op_threads, options.get(), 1);
  used_(set_inter_op_threads, options.get(), 1);
  const auto set = [&](const char* key, const char* value) { used_(set_session_option, options.get(), key, value); };
  set("session.intra_op.allow_spinning", "0");
  set("session.inter_op.allow_spinning", "0");
  set("session.load_model_format", "ONNX");  // not the engine's own format, which it does not check
  if (file_.has_external_data) set("session.model_external_initializers_file_folder_path", file_.folder.string().c_str());
  if (cuda != nullptr) {
    set("session.disable_cpu_ep_fallback", "1");
    if (const auto failed = used_.attempt(append_cuda, options.get(), cuda))
      throw error(error_code::unavailable, fmt::format("{}: no CUDA provider: {}", name_, failed->text));
  }
  session_handle made;
  if (const auto failed =
          used_.attempt(create_session, used_.shared(), file_.bytes.data(), file_.bytes.size(), options.get(), made.out()))
    throw error(code_of_load(*failed), fmt::format("{}: {}", name_, failed->text));
  return made;
}

void throw_run_failure(const std::string& name, const failure& what) {
  error_code code = error_code::invalid_argument;  // of a shape or a value, such as an index: an input decides these
  if (says(what.text, "Failed to allocate memory") || says(what.text, "out of memory") || says(what.text, "bad_alloc"))
    code = error_code::out_of_memory;
  else if (says(what.text, "CUDA") || says(what.text, "CUDNN") || says(what.text, "CUBLAS"))
    code = error_code::internal;
  throw error(code, fmt::format("{}: {}", name, what.text));
}

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice
