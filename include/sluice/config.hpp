/// @file
/// Version of the library and the mark of what it exports.
#pragma once

/// Grows when what was promised is taken back.
#define SLUICE_VERSION_MAJOR 0
/// Grows when something is added; below 1.0 also when something is taken back.
#define SLUICE_VERSION_MINOR 1
/// Grows when something is put right.
#define SLUICE_VERSION_PATCH 0
/// The three of them: "0.1.0".
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
/// Before what a shared library exports; nothing in a static one.
#define SLUICE_API
#endif
