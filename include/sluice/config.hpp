/// @file
/// Version of the library, and the macros by which one set of definitions serves both of its forms.
///
/// The compiled form (the default) has its definitions in libsluice. With SLUICE_HEADER_ONLY defined in every translation
/// unit, which the target sluice::header_only does, each public header includes its definitions from sluice/impl, and
/// nothing of sluice is linked.
#pragma once

/// Incremented on breaking changes, from 1.0 on.
#define SLUICE_VERSION_MAJOR 0
/// Incremented when something is added; below 1.0 also on breaking changes.
#define SLUICE_VERSION_MINOR 2
/// Incremented on fixes.
#define SLUICE_VERSION_PATCH 0
/// The three of them: "0.2.0".
#define SLUICE_VERSION_STRING "0.2.0"

#if defined(SLUICE_HEADER_ONLY)
// Names of their own, which no dynamic linker merges: a program and a shared library that both include the definitions share
// no state.
#if defined(_WIN32)
#define SLUICE_ABI v0_header_only
#else
#define SLUICE_ABI v0_header_only __attribute__((visibility("hidden")))
#endif
#define SLUICE_FUNC inline
#define SLUICE_API
// A type that is thrown: visible, so that one DSO catches what another throws.
#if defined(_WIN32)
#define SLUICE_SHARED_TYPE
#else
#define SLUICE_SHARED_TYPE __attribute__((visibility("default")))
#endif
#else
/// The inline namespace of every name: the two forms have different ones.
#define SLUICE_ABI v0
/// Before the definition of a function that a public header declares: `inline` in the header-only form.
#define SLUICE_FUNC
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
/// A type that crosses the borders of shared libraries.
#define SLUICE_SHARED_TYPE SLUICE_API
#endif
