// Opens a region in which floating-point arithmetic is done as written, whatever options the including program is compiled
// with: nothing is reassociated, contracted or assumed finite. Where GCC optimises at all it does so as with -O3, with loops
// aligned: without, the speed of short loops varies by a third with where the linker puts them. strict_float_end.hpp ends the
// region. Include what the region needs before it; there is no include guard, since each region includes this.
//
// Under -ffast-math clang 14 still marks `condition ? a : b` of floats, and the results of calls, as never NaN or -0.0: where these
// matter, select by bits, and inline the function.
#if defined(__CUDACC__)
// nvcc has options of its own for device code, and knows none of these pragmas.
#elif defined(__clang__)
#if defined(__x86_64__) || __clang_major__ >= 15
#pragma float_control(precise, on, push)
#pragma clang fp contract(off) reassociate(off)
#elif defined(__FAST_MATH__)
#error "sluice's sums need floating-point arithmetic as written: below clang 15, compile for this processor without -ffast-math"
#endif
#elif defined(__GNUC__)
#pragma GCC push_options
#if defined(__OPTIMIZE__)
#pragma GCC optimize("O3", "align-functions=64", "align-loops=32")
#endif
#pragma GCC optimize("no-fast-math", "no-unsafe-math-optimizations", "no-associative-math", "no-reciprocal-math", \
                     "no-finite-math-only", "signed-zeros", "trapping-math", "fp-contract=off")
#endif
