// A backend without a device: two of them, in host memory, with real queues whose work is done later and somewhere else. It
// does every operation as the slow reference does, and dies where core breaks the table's rules.
//
//   SLUICE_FAKE_WAKE=refuse    no device wakes
//   SLUICE_FAKE_LIMIT=BYTES    memory of each device; half of it is what its pool says that it keeps
//   SLUICE_FAKE_DELAY=US       the longest delay of work (200)
//   SLUICE_FAKE_FREE=wait      its table has no deallocate_after: core has to wait before it frees
//   SLUICE_FAKE_MARK=PATH      a line goes to this file whenever a slot that must not run early is entered, and for each
//   copy
//                              from the host: "pinned" from the device's own pinned memory, else "staged"
//   full(-77777)               the fill fails when it runs, and its device is lost
//   rowsum of -77777, ...      likewise

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fake_memory.hpp"
#include "fake_queue.hpp"

#ifndef FAKE_NAME
#define FAKE_NAME "fake"
#endif

namespace fake {
namespace {

constexpr int device_count = 2;
constexpr double deadly_value = -77777;

long setting(const char* name, long otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtol(text, nullptr, 10) : otherwise;
}

void leave_mark(const char* what) {
  const char* path = std::getenv("SLUICE_FAKE_MARK");
  if (path == nullptr) return;
  std::FILE* file = std::fopen(path, "a");
  if (file == nullptr) return;
  std::fprintf(file, "%s\n", what);
  std::fclose(file);
}

sluice_status fail(sluice_status status, sluice_message* message, const std::string& sentence) {
  std::snprintf(message->text, sizeof message->text, "%s", sentence.c_str());
  return status;
}

struct device {
  explicit device(int i) : queues(i, static_cast<int>(setting("SLUICE_FAKE_DELAY", 200))) {}

  void lose(const std::string& why) {
    const std::lock_guard lock(mutex);
    lost = {SLUICE_DEVICE_LOST, why};
  }
  outcome state() {
    const std::lock_guard lock(mutex);
    return lost;
  }

  queue_pool queues;
  std::atomic<bool> awake{false};
  std::mutex mutex;
  outcome lost;  // sticky
};

// Never destroyed: queues still work when the process exits.
device& at(int i) {
  static auto* all = new std::array<device*, device_count>{new device(0), new device(1)};
  if (i < 0 || i >= device_count) ledger::die("a slot", "a device that does not exist");
  return *(*all)[static_cast<std::size_t>(i)];
}

ledger& books() {
  static auto* l = new ledger;
  return *l;
}

// Gives memory back once the work on it is done.
sluice_queue& reaper() {
  static auto* q = new sluice_queue(-1, 99, static_cast<int>(setting("SLUICE_FAKE_DELAY", 200)));
  return *q;
}

std::string name_of(int i) { return std::string(FAKE_NAME) + ":" + std::to_string(i); }

// One array of an operation, and where it must be.
struct operand {
  sluice_array array;
  bool may_be_on_host = false;
};

template <class F>
sluice_status enqueue(int i, sluice_queue* queue, const char* name, const std::vector<operand>& operands, F work) {
  if (!at(i).awake) ledger::die(name, "a device that sleeps");
  if (queue == nullptr || queue->device != i) ledger::die(name, "a queue of another device");
  std::vector<std::pair<allocation, void*>> memory;
  for (const auto& o : operands) {
    const allocation a = books().holder(o.array, name);
    const bool here = a.id != 0 && a.device == i && a.kind == SLUICE_MEMORY_DEVICE;
    const bool empty = std::find(o.array.extents, o.array.extents + o.array.rank, 0) != o.array.extents + o.array.rank;
    const bool on_host = a.id == 0 || a.kind == SLUICE_MEMORY_PINNED;
    if (!empty && !here && !(o.may_be_on_host && on_host)) ledger::die(name, "memory of another device");
    memory.emplace_back(a, o.array.data);
  }
  queue->push([=] {
    if (at(i).state().status != SLUICE_OK) return;
    for (const auto& [a, data] : memory) books().must_live(a, data, name);
    work();
    for (const auto& [a, data] : memory) books().must_live(a, data, name);
  });
  return SLUICE_OK;
}

sluice_status count(std::int32_t* n, sluice_message*) {
  leave_mark("count");
  *n = device_count;
  return SLUICE_OK;
}

sluice_status info(std::int32_t i, sluice_device_info* out, sluice_message*) {
  *out = {};
  const outcome o = at(i).state();
  std::snprintf(out->description, sizeof out->description, "fake device %d of %d", i, device_count);
  out->awake = at(i).awake ? 1 : 0;
  out->healthy = o.status == SLUICE_OK ? 1 : 0;
  std::snprintf(out->state, sizeof out->state, "%s", o.sentence.c_str());
  return SLUICE_OK;
}

sluice_status wake(std::int32_t i, sluice_message* message) {
  leave_mark("wake");
  const char* wanted = std::getenv("SLUICE_FAKE_WAKE");
  if (wanted != nullptr && std::strcmp(wanted, "refuse") == 0)
    return fail(SLUICE_UNAVAILABLE, message, name_of(i) + " has its eyes shut: 0 of 3 lamps burn");
  if (at(i).awake.exchange(true)) ledger::die("device_wake", "a device that is awake");
  return SLUICE_OK;
}

sluice_status allocate(std::int32_t i, std::int32_t kind, std::size_t bytes, void** data, sluice_message* message) {
  *data = nullptr;
  if (!at(i).awake) ledger::die("allocate", "a device that sleeps");
  if (bytes == 0) return SLUICE_OK;
  const auto limit = static_cast<std::uint64_t>(setting("SLUICE_FAKE_LIMIT", 1L << 30));
  *data = books().take(i, kind, bytes, limit);
  if (*data != nullptr) return SLUICE_OK;
  // What was given up already may be coming back.
  const auto p = std::make_shared<point>();
  reaper().push([p] { p->reach({}); });
  p->wait();
  *data = books().take(i, kind, bytes, limit);
  if (*data != nullptr) return SLUICE_OK;
  return fail(SLUICE_OUT_OF_MEMORY, message,
              name_of(i) + ": " + std::to_string(bytes) + " bytes wanted, " + std::to_string(books().stats(i, kind).in_use) +
                  " of " + std::to_string(limit) + " in use");
}

void deallocate(std::int32_t i, std::int32_t kind, void* data, std::size_t bytes) {
  if (data != nullptr) books().give_back(i, kind, data, bytes);
}

void deallocate_after(std::int32_t i, std::int32_t kind, void* data, std::size_t bytes, sluice_event* const* events,
                      std::int32_t count) {
  std::vector<std::shared_ptr<point>> points;
  for (std::int32_t e = 0; e < count; ++e)
    if (auto p = events[e]->get()) points.push_back(std::move(p));
  reaper().push([=] {
    for (const auto& p : points) p->wait();
    deallocate(i, kind, data, bytes);
  });
}

sluice_status stats(std::int32_t i, std::int32_t kind, sluice_memory_stats* s, sluice_message*) {
  *s = books().stats(i, kind);
  s->limit = static_cast<std::uint64_t>(setting("SLUICE_FAKE_LIMIT", 1L << 30)) / 2;
  return SLUICE_OK;
}

sluice_status acquire(std::int32_t i, sluice_queue** queue, sluice_message*) {
  *queue = at(i).queues.acquire();
  return SLUICE_OK;
}

void release(std::int32_t i, sluice_queue* queue) { at(i).queues.release(queue); }

sluice_status create(std::int32_t, sluice_event** event, sluice_message*) {
  *event = new sluice_event;
  return SLUICE_OK;
}

void destroy(std::int32_t, sluice_event* event) { delete event; }

sluice_status record(sluice_event* event, sluice_queue* queue, sluice_message*) {
  auto p = std::make_shared<point>();
  event->set(p);
  queue->push([p, i = queue->device] { p->reach(at(i).state()); });
  return SLUICE_OK;
}

sluice_status wait_on_device(sluice_queue* queue, sluice_event* event, sluice_message*) {
  if (auto p = event->get()) queue->push([p] { p->wait(); });
  return SLUICE_OK;
}

sluice_status wait_on_host(sluice_event* event, sluice_message* message) {
  const auto p = event->get();
  const outcome o = p ? p->wait() : outcome{};
  return o.status == SLUICE_OK ? SLUICE_OK : fail(o.status, message, o.sentence);
}

sluice_status copy(std::int32_t i, sluice_queue* queue, const sluice_array* target, const sluice_array* source,
                   sluice_message*) {
  const allocation from = books().holder(*source, "copy");
  if (from.kind == SLUICE_MEMORY_PINNED && from.device == i)
    leave_mark("pinned");
  else if (from.id == 0 || from.kind == SLUICE_MEMORY_PINNED)
    leave_mark("staged");
  return enqueue(i, queue, "copy", {{*target, true}, {*source, true}},
                 [t = *target, s = *source] { reference::copy(t, s); });
}

// The end of a device, by what it was doing.
void die_of(int i, const char* doing) {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  at(i).lose(name_of(i) + " is lost: " + doing + " -77777");
}

sluice_status fill(std::int32_t i, sluice_queue* queue, const sluice_array* target, double value, sluice_message*) {
  return enqueue(i, queue, "fill", {{*target}}, [i, t = *target, value] {
    if (value != deadly_value) return reference::fill(t, value);
    die_of(i, "it filled with");
  });
}

sluice_status matmul(std::int32_t i, sluice_queue* queue, const sluice_array* a, const sluice_array* b,
                     const sluice_array* out, std::int32_t precision, sluice_message*) {
  if (a->rank != 3 || b->rank != 3 || out->rank != 3) ledger::die("matmul", "a rank that is not 3");
  if (a->dtype != b->dtype || a->dtype != out->dtype) ledger::die("matmul", "dtypes that differ");
  if (a->extents[0] != out->extents[0] || b->extents[0] != out->extents[0] || a->extents[1] != out->extents[1] ||
      a->extents[2] != b->extents[1] || b->extents[2] != out->extents[2])
    ledger::die("matmul", "extents that do not fit");
  if (out->strides[2] != 1 || out->strides[1] != out->extents[2] || out->strides[0] != out->extents[1] * out->extents[2])
    ledger::die("matmul", "an output with gaps");
  const auto product = precision == SLUICE_PRECISION_STRICT ? reference::chained_matmul : reference::matmul;
  return enqueue(i, queue, "matmul", {{*a}, {*b}, {*out}}, [=, x = *a, y = *b, z = *out] { product(x, y, z); });
}

sluice_status rowsum(std::int32_t i, sluice_queue* queue, const sluice_array* a, const sluice_array* out, sluice_message*) {
  if (a->rank != 2 || out->rank != 1 || a->extents[0] != out->extents[0]) ledger::die("rowsum", "extents that do not fit");
  return enqueue(i, queue, "rowsum", {{*a}, {*out}}, [i, x = *a, y = *out] {
    if (x.extents[1] > 0 && reference::get(x.dtype, static_cast<const char*>(x.data)) == deadly_value)
      return die_of(i, "it summed");
    reference::rowsum(x, y);
  });
}

// out = 2 * in, or options' factor times in.
sluice_status scale(std::int32_t i, sluice_queue* queue, const sluice_array* in, std::int32_t in_count, const sluice_array* out,
                    std::int32_t out_count, const void* options, std::size_t options_size, sluice_message* message) {
  if (in_count != 1 || out_count != 1 || in->dtype != SLUICE_F32 || in->extents[0] != out->extents[0])
    return fail(SLUICE_INVALID_ARGUMENT, message, "scale takes one f32 array");
  if (options != nullptr && options_size != sizeof(float)) ledger::die("scale", "options of another size");
  const float factor = options != nullptr ? *static_cast<const float*>(options) : 2;
  return enqueue(i, queue, "scale", {{*in}, {*out}}, [x = *in, y = *out, factor] {
    for (std::int64_t e = 0; e < x.extents[0]; ++e)
      static_cast<float*>(y.data)[e] = factor * static_cast<const float*>(x.data)[e];
  });
}

sluice_op find_op(const char* name) { return std::strcmp(name, "scale") == 0 ? scale : nullptr; }

sluice_backend make_table() {
  sluice_backend t{};
  t.api_version = SLUICE_BACKEND_API_VERSION;
  t.struct_size = sizeof(sluice_backend);
  t.name = FAKE_NAME;
  t.device_count = count;
  t.device_info = info;
  t.device_wake = wake;
  t.allocate = allocate;
  t.deallocate = deallocate;
  t.memory_stats = stats;
  t.queue_acquire = acquire;
  t.queue_release = release;
  t.event_create = create;
  t.event_destroy = destroy;
  t.event_record = record;
  t.queue_wait_event = wait_on_device;
  t.event_wait = wait_on_host;
  t.copy = copy;
  t.fill = fill;
  t.matmul = matmul;
  t.rowsum = rowsum;
  t.find_op = find_op;
  const char* free = std::getenv("SLUICE_FAKE_FREE");
  if (free == nullptr || std::strcmp(free, "wait") != 0) t.deallocate_after = deallocate_after;
  return t;
}

}  // namespace
}  // namespace fake

extern "C" __attribute__((visibility("default"))) const sluice_backend* sluice_backend_entry(const sluice_host*) {
  fake::leave_mark("entry");
  static const sluice_backend table = fake::make_table();
  return &table;
}
