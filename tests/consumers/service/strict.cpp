#if defined(__cpp_exceptions) || defined(__cpp_rtti) || defined(SLUICE_SHARED) || defined(CPPHTTPLIB_ZLIB_SUPPORT)
#error "something of sluice's came to a target that does not link it"
#endif
#if __has_include("sluice/sluice.hpp")
#error "the include folder of sluice came to a target that does not link it"
#endif

int twice(int n) { return 2 * n; }
