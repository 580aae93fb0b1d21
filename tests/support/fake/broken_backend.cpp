// A backend that does nothing, with one thing wrong: BROKEN says which. Each kind is a module of its own for the loader's
// tests.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "sluice/backend_api.h"

#ifdef BROKEN_NEEDS_LIBRARY
extern "C" int sluice_test_absent();  // of a library that is not there at run time
#endif

namespace {

constexpr std::string_view broken = BROKEN;

sluice_status count(std::int32_t* n, sluice_message* message) {
  *n = broken == "empty" ? 0 : broken == "negative" ? -3 : 1;
  if (broken == "empty") std::snprintf(message->text, sizeof message->text, "driver 535 is older than runtime 13.0");
  if (broken != "failing") return SLUICE_OK;
  std::snprintf(message->text, sizeof message->text, "error 999 while counting");
  return SLUICE_INTERNAL;
}

sluice_status info(std::int32_t, sluice_device_info* out, sluice_message* message) {
  if (broken == "mute") {
    std::snprintf(message->text, sizeof message->text, "it does not answer");
    return SLUICE_INTERNAL;
  }
  *out = {};
  std::snprintf(out->description, sizeof out->description, "a device that is %s", BROKEN);
  out->awake = out->healthy = 1;
  return SLUICE_OK;
}

sluice_status allocate(std::int32_t, std::int32_t, std::size_t bytes, void** data, sluice_message*) {
  if (broken == "odd") return static_cast<sluice_status>(7);
  *data = bytes > 0 ? std::malloc(bytes) : nullptr;
  return SLUICE_OK;
}

void deallocate(std::int32_t, std::int32_t, void* data, std::size_t) { std::free(data); }

sluice_status copy(std::int32_t, sluice_queue*, const sluice_array*, const sluice_array*, sluice_message*) {
  return SLUICE_OK;
}

sluice_status never(std::int32_t, sluice_queue*, const sluice_array*, double, sluice_message*) { std::abort(); }

sluice_status acquire(std::int32_t, sluice_queue**, sluice_message*) { return SLUICE_OK; }
void release(std::int32_t, sluice_queue*) {}

sluice_backend make_table() {
  sluice_backend t{};
  t.api_version = broken == "older" ? 0u : broken == "newer" ? 2u : SLUICE_BACKEND_API_VERSION;
  t.struct_size = sizeof(sluice_backend);
  t.name = broken == "second" ? "cpu" : broken == "misnamed" ? "Not A Name" : broken == "nameless" ? nullptr : BROKEN;
  if (broken == "longname") t.name = "abcdefghijklmnop";
  t.device_count = count;
  t.device_info = info;
  t.allocate = allocate;
  t.deallocate = deallocate;
  t.copy = copy;
  t.fill = never;
  if (broken == "short") t.struct_size = offsetof(sluice_backend, fill);
  if (broken == "cut") t.struct_size = offsetof(sluice_backend, fill) + 5;  // amid a slot
  if (broken == "tiny") t.struct_size = offsetof(sluice_backend, device_count) + 1;
  if (broken == "shorter") t.struct_size = offsetof(sluice_backend, copy);
  if (broken == "slotless") t.allocate = nullptr;
  if (broken == "eventless") {
    t.queue_acquire = acquire;
    t.queue_release = release;
  }
  return t;
}

}  // namespace

#ifdef BROKEN_HAS_NO_ENTRY
#define sluice_backend_entry sluice_backend_of_another_name
#endif

extern "C" __attribute__((visibility("default"))) const sluice_backend* sluice_backend_entry(const sluice_host* host) {
#ifdef BROKEN_NEEDS_LIBRARY
  if (sluice_test_absent() != 0) return nullptr;
#endif
  if (broken == "null" || host == nullptr || host->struct_size < sizeof(sluice_host)) return nullptr;
  static const sluice_backend table = make_table();
  return &table;
}
