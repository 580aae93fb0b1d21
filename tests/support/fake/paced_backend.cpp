// A backend of two devices that compute nothing, each in a known time: `paced:0` is slow and near, `paced:1` fast and far.
// What a device is given it does one after the other; a call returns when its turn is over. Time is made by spinning.
//
//   SLUICE_PACED_SLOWDOWN=X   paced:1 takes X times as long as it says below, from its 2,000th operation on
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>

#include "sluice/backend_api.h"

namespace {

using clock_type = std::chrono::steady_clock;

struct pace {
  double launch, flops, bytes;                // seconds; a second
  double copy, pageable_bytes, pinned_bytes;  // seconds; a second
};

constexpr std::array<pace, 2> paces{{{2e-6, 500e9, 20e9, 0, 1e15, 1e15}, {8e-6, 15e12, 2e12, 6e-6, 8e9, 40e9}}};

struct device {
  std::mutex mutex;
  clock_type::time_point free_at{};
  std::atomic<bool> awake{false};
};

device& at(std::int32_t i) {
  static auto* all = new std::array<device, paces.size()>;
  return (*all)[static_cast<std::size_t>(i)];
}

const pace& pace_of(std::int32_t i) { return paces[static_cast<std::size_t>(i)]; }

// The device's time passes whether or not this thread runs: it sleeps while that is far off.
sluice_status take(std::int32_t i, double seconds) {
  clock_type::time_point end;
  {
    const std::lock_guard lock(at(i).mutex);
    end = std::max(at(i).free_at, clock_type::now()) + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
    at(i).free_at = end;
  }
  constexpr std::chrono::microseconds late{200};
  if (end - clock_type::now() > 2 * late) std::this_thread::sleep_until(end - late);
  while (clock_type::now() < end) std::this_thread::yield();
  return SLUICE_OK;
}

// Pinned memory, so that a copy knows it.
struct pinned_blocks {
  std::mutex mutex;
  std::set<std::pair<const char*, const char*>> blocks;

  bool hold(const void* data) {
    const std::lock_guard lock(mutex);
    const auto* const p = static_cast<const char*>(data);
    return std::any_of(blocks.begin(), blocks.end(), [&](const auto& b) { return b.first <= p && p < b.second; });
  }
};

pinned_blocks& pinned() {
  static auto* p = new pinned_blocks;
  return *p;
}

double count_of(const sluice_array& a) {
  double n = 1;
  for (int i = 0; i < a.rank; ++i) n *= static_cast<double>(a.extents[i]);
  return n;
}

double size_of(std::int32_t dtype) {
  constexpr std::array sizes{8, 4, 2, 2, 8, 4, 1};
  return sizes[static_cast<std::size_t>(dtype)];
}

double bytes_of(const sluice_array& a) { return count_of(a) * size_of(a.dtype); }

sluice_status device_count(std::int32_t* count, sluice_message*) {
  *count = static_cast<std::int32_t>(paces.size());
  return SLUICE_OK;
}

sluice_status device_info(std::int32_t i, sluice_device_info* out, sluice_message*) {
  *out = {};
  std::snprintf(out->description, sizeof out->description, "paced device, %g GFLOP/s", pace_of(i).flops / 1e9);
  out->awake = at(i).awake ? 1 : 0;
  out->healthy = 1;
  return SLUICE_OK;
}

sluice_status wake(std::int32_t i, sluice_message*) {
  at(i).awake = true;
  return SLUICE_OK;
}

sluice_status allocate(std::int32_t, std::int32_t kind, std::size_t bytes, void** data, sluice_message* message) {
  *data = nullptr;
  if (bytes == 0) return SLUICE_OK;
  *data = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (*data == nullptr) {
    std::snprintf(message->text, sizeof message->text, "no %zu bytes are left", bytes);
    return SLUICE_OUT_OF_MEMORY;
  }
  if (kind != SLUICE_MEMORY_PINNED) return SLUICE_OK;
  const std::lock_guard lock(pinned().mutex);
  const auto* const p = static_cast<const char*>(*data);
  pinned().blocks.emplace(p, p + bytes);
  return SLUICE_OK;
}

void deallocate(std::int32_t, std::int32_t kind, void* data, std::size_t bytes) {
  if (kind == SLUICE_MEMORY_PINNED && data != nullptr) {
    const std::lock_guard lock(pinned().mutex);
    const auto* const p = static_cast<const char*>(data);
    pinned().blocks.erase({p, p + bytes});
  }
  std::free(data);
}

sluice_status copy(std::int32_t i, sluice_queue*, const sluice_array* target, const sluice_array* source, sluice_message*) {
  const auto& p = pace_of(i);
  const bool fast = pinned().hold(target->data) || pinned().hold(source->data);
  return take(i, p.copy + bytes_of(*source) / (fast ? p.pinned_bytes : p.pageable_bytes));
}

sluice_status fill(std::int32_t i, sluice_queue*, const sluice_array* target, double, sluice_message*) {
  return take(i, pace_of(i).launch + bytes_of(*target) / pace_of(i).bytes);
}

double slowdown(std::int32_t i) {
  static std::atomic<int> operations{0};
  static const char* const text = std::getenv("SLUICE_PACED_SLOWDOWN");
  return i == 1 && text != nullptr && ++operations > 2000 ? std::strtod(text, nullptr) : 1;
}

// Twice the element's size takes twice the time.
sluice_status matmul(std::int32_t i, sluice_queue*, const sluice_array* a, const sluice_array* b, const sluice_array* out,
                     std::int32_t, sluice_message*) {
  const auto& p = pace_of(i);
  const double flops = 2 * count_of(*out) * static_cast<double>(a->extents[2]) * size_of(a->dtype) / 4;
  const double bytes = bytes_of(*a) + bytes_of(*b) + bytes_of(*out);
  return take(i, slowdown(i) * (p.launch + std::max(flops / p.flops, bytes / p.bytes)));
}

sluice_status rowsum(std::int32_t i, sluice_queue*, const sluice_array* a, const sluice_array* out, sluice_message*) {
  const auto& p = pace_of(i);
  return take(i, slowdown(i) * (p.launch + (bytes_of(*a) + bytes_of(*out)) / p.bytes));
}

sluice_backend make_table() {
  sluice_backend t{};
  t.api_version = SLUICE_BACKEND_API_VERSION;
  t.struct_size = sizeof(sluice_backend);
  t.name = "paced";
  t.device_count = device_count;
  t.device_info = device_info;
  t.device_wake = wake;
  t.allocate = allocate;
  t.deallocate = deallocate;
  t.copy = copy;
  t.fill = fill;
  t.matmul = matmul;
  t.rowsum = rowsum;
  return t;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const sluice_backend* sluice_backend_entry(const sluice_host*) {
  static const sluice_backend table = make_table();
  return &table;
}
