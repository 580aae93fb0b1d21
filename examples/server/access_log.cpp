#include "access_log.hpp"

#include <cerrno>
#include <system_error>

access_log::access_log(const std::string& path) {
  if (path.empty()) return;
  file_.reset(path == "-" ? stdout : std::fopen(path.c_str(), "ae"));
  if (!file_) throw std::system_error(errno, std::generic_category(), path);
  std::setvbuf(file_.get(), nullptr, _IOLBF, 1 << 16);  // a line at a time, whole
}

void access_log::close::operator()(std::FILE* f) const noexcept {
  if (f != stdout) std::fclose(f);
}

void access_log::write(const sluice::access_record& r) const {
  if (file_) std::fputs((r.json() + "\n").c_str(), file_.get());
}
