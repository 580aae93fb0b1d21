// Ends the region that strict_float_begin.hpp opened.
#if defined(__CUDACC__)
#elif defined(__clang__)
#if defined(__x86_64__) || __clang_major__ >= 15
#pragma float_control(pop)
#endif
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
