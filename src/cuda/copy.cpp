// The slots that copy and fill. What the host's memory needs is in staging.cpp, what the device's does in transform.cu.
#include "memory.hpp"
#include "staging.hpp"

namespace sluice::cuda {
namespace {

// All memory of a device that core hands over is of its pool: to ask the driver would take 0.5 us.
bool on_device(const device& d, const sluice_array& a) { return d.memory->has(a.data); }

// Elements from the first to the last that strides reach.
std::int64_t span_of(const sluice_array& a) {
  std::int64_t last = 0;
  for (int i = 0; i < a.rank; ++i) last += (a.extents[i] - 1) * a.strides[i];
  return last + 1;
}

sluice_array flat(const sluice_array& a, std::int64_t count) { return {a.data, a.dtype, 1, {count}, {1}}; }

sluice_array moved(const sluice_array& a, void* data) {
  sluice_array m = a;
  m.data = data;
  return m;
}

// Arrays that do not lie in the order of the other side, such as transposed ones, travel as they lie, and the device puts
// them in order; gaps that would take more of the bus than the elements stay behind.
sluice_status upload(device& d, sluice_queue& q, const sluice_array& target, const sluice_array& source,
                     sluice_message* message) {
  const paired lies = pair(source, source);
  if (target.dtype == source.dtype && pair(target, target).target_contiguous() &&
      (lies.target_contiguous() || lies.target[lies.rank - 1] == 1))
    return host_copy(d, q, source, target.data).upload(message);
  const std::int64_t count = count_of(source);
  const std::int64_t span = span_of(source);
  const bool as_it_lies = span <= 2 * count;
  const sluice_array sent = as_it_lies ? flat(source, span) : source;
  scratch raw(d, *d.memory, &q);
  const auto s = raw.allocate(static_cast<std::size_t>(count_of(sent)) * element_size(source.dtype), message);
  if (s != SLUICE_OK) return s;
  if (const auto t = host_copy(d, q, sent, raw.data()).upload(message); t != SLUICE_OK) return t;
  const sluice_array there = as_it_lies ? moved(source, raw.data()) : packed(source, source.dtype, raw.data());
  return d.check(transform(q, target, there), "spreading a copy", message);
}

sluice_status download(device& d, sluice_queue& q, const sluice_array& target, const sluice_array& source,
                       sluice_message* message) {
  if (target.dtype == source.dtype && pair(source, source).target_contiguous() && pair(target, target).target_contiguous())
    return host_copy(d, q, target, source.data).download(message);
  const std::int64_t count = count_of(target);
  const bool as_it_lies = span_of(target) == count;
  scratch ready(d, *d.memory, &q);
  const auto s = ready.allocate(static_cast<std::size_t>(count) * element_size(target.dtype), message);
  if (s != SLUICE_OK) return s;
  const sluice_array there = as_it_lies ? moved(target, ready.data()) : packed(target, target.dtype, ready.data());
  if (const auto t = d.check(transform(q, there, source), "gathering a copy", message); t != SLUICE_OK) return t;
  return host_copy(d, q, as_it_lies ? flat(target, count) : target, ready.data()).download(message);
}

}  // namespace

sluice_status cuda_copy(std::int32_t index, sluice_queue* queue, const sluice_array* target, const sluice_array* source,
                        sluice_message* message) {
  device& d = device_at(index);
  const device_scope scope(d, message);
  if (scope.refused()) return scope.status();
  const std::int64_t count = count_of(*target);
  if (count == 0) return SLUICE_OK;
  if (!on_device(d, *source)) return upload(d, *queue, *target, *source, message);
  if (!on_device(d, *target)) return download(d, *queue, *target, *source, message);
  const paired p = pair(*target, *source);
  if (target->dtype != source->dtype || !p.target_contiguous() || !p.source_contiguous())
    return d.check(transform(*queue, *target, *source), "copying on the device", message);
  const auto bytes = static_cast<std::size_t>(count) * element_size(target->dtype);
  queue->add_work(4e-6 + static_cast<double>(bytes) * 1e-12);
  return d.check(cudaMemcpyAsync(target->data, source->data, bytes, cudaMemcpyDeviceToDevice, queue->stream),
                 "copying on the device", message);
}

sluice_status cuda_fill(std::int32_t index, sluice_queue* queue, const sluice_array* target, double value,
                        sluice_message* message) {
  device& d = device_at(index);
  const device_scope scope(d, message);
  if (scope.refused()) return scope.status();
  return d.check(fill(*queue, *target, value), "filling", message);
}

}  // namespace sluice::cuda
