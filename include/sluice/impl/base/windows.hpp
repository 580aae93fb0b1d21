// <windows.h> without the macros that break the standard library's names.
#pragma once

#if !defined(WIN32_LEAN_AND_MEAN)
#define WIN32_LEAN_AND_MEAN
#define SLUICE_UNDEFINE_LEAN
#endif
#if !defined(NOMINMAX)
#define NOMINMAX
#define SLUICE_UNDEFINE_NOMINMAX
#endif
#include <windows.h>
#if defined(SLUICE_UNDEFINE_LEAN)
#undef WIN32_LEAN_AND_MEAN
#undef SLUICE_UNDEFINE_LEAN
#endif
#if defined(SLUICE_UNDEFINE_NOMINMAX)
#undef NOMINMAX
#undef SLUICE_UNDEFINE_NOMINMAX
#endif
