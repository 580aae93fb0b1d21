// Version of the library and the mark of what it exports.
#pragma once

#define SLUICE_VERSION_MAJOR 0
#define SLUICE_VERSION_MINOR 1
#define SLUICE_VERSION_PATCH 0
#define SLUICE_VERSION_STRING "0.1.0"

#if defined(SLUICE_SHARED) && defined(_WIN32)
#ifdef SLUICE_BUILDING
#define SLUICE_API __declspec(dllexport)
#else
#define SLUICE_API __declspec(dllimport)
#endif
#elif defined(SLUICE_SHARED)
#define SLUICE_API __attribute__((visibility("default")))
#else
#define SLUICE_API
#endif
