#include <cstdio>
#include <cstdlib>

#include "plugin.hpp"
#include "sluice/sluice.hpp"

#include "sluice/impl/core/pool.hpp"

const void* pool_elsewhere();
std::int64_t count_elsewhere(const sluice::tensor& t);

namespace {

void require(bool held, const char* what) {
  if (held) return;
  std::printf("%s: no\n", what);
  std::exit(1);
}

std::uint64_t allocations() { return sluice::memory_statistics("cpu").allocations; }

// What `f` throws: 'o' this program's sluice::error, 'f' an error of the other form, '-' nothing.
template <class F>
char thrown(F&& f) {
  try {
    f();
  } catch (const sluice::error& e) {
    require(e.code() == sluice::error_code::invalid_argument, "the code is kept");
    return 'o';
  } catch (const std::runtime_error&) {
    return 'f';
  }
  return '-';
}

}  // namespace

int main() {
  const void* here = &sluice::core::the_pool();
  require(pool_elsewhere() == here, "the units of one program share their state");
  require(of_headers::pool() != here && of_library::pool() != here && of_headers::pool() != of_library::pool(),
          "the program and its libraries share none");
  const auto t = sluice::tensor::of<double>({{1, 2}, {3, 4}});
  require(count_elsewhere(t) == 4, "a tensor passes from one unit to another");
  const auto before = allocations();
  for (const auto product : {of_headers::product, of_library::product}) {
    const auto c = sluice::from_dlpack(product());
    const auto v = c.view<float, 2>();
    require(v(0, 0) == 4 && v(0, 1) == 5 && v(1, 0) == 10 && v(1, 1) == 11, "a tensor comes from a library");
  }
  require(allocations() == before, "a library allocates from its own pool");
  require(of_headers::total(sluice::to_dlpack(t)) == 10 && of_library::total(sluice::to_dlpack(t)) == 10,
          "a tensor goes to a library");
  require(of_headers::allocations() > 0 && of_library::allocations() > 0, "the libraries count their own");
  require(thrown(of_headers::fail) == 'o', "an error of headers is caught across libraries");
  require(thrown(of_library::fail) == 'f', "an error of the compiled form is a std::runtime_error");
  std::printf("two forms, three pools: as documented\n");
}
