// Tensors to and from the structures that DLPack 0.8 and 1.0 fix, written out here once more: its layout is the contract.
#include "sluice/dlpack.hpp"

#include <cstddef>
#include <limits>

#include "testing.hpp"

struct DLDevice {
  std::int32_t device_type;
  std::int32_t device_id;
};
struct DLDataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  std::int32_t ndim;
  DLDataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor* self);
};
struct DLPackVersion {
  std::uint32_t major;
  std::uint32_t minor;
};
struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned* self);
  std::uint64_t flags;
  DLTensor dl_tensor;
};
static_assert(sizeof(void*) != 8 ||
              (offsetof(DLManagedTensorVersioned, flags) == 24 && sizeof(DLManagedTensorVersioned) == 80));
static_assert(sizeof(void*) != 8 || (sizeof(DLTensor) == 48 && offsetof(DLManagedTensor, deleter) == 56));

using namespace testing;

namespace {

// Somebody else's tensor, which counts how often it is given back.
struct foreign {
  std::vector<float> data = std::vector<float>(24, 1.5f);
  std::int64_t extents[9] = {2, 3, 4, 1, 1, 1, 1, 1, 1};
  std::int64_t steps[9] = {12, 4, 1, 1, 1, 1, 1, 1, 1};
  int given_back = 0;
  DLManagedTensor managed{{data.data(), {1, 0}, 3, {2, 32, 1}, extents, steps, 0}, this, [](DLManagedTensor* self) {
                            ++static_cast<foreign*>(self->manager_ctx)->given_back;
                          }};
  DLManagedTensorVersioned versioned{
      {1, 0},
      this,
      [](DLManagedTensorVersioned* self) { ++static_cast<foreign*>(self->manager_ctx)->given_back; },
      0,
      managed.dl_tensor};
};

}  // namespace

TEST_CASE("an exported tensor shares its memory, and keeps it") {
  struct {
    dtype type;
    int code;
    int bits;
  } const codes[] = {{dtype::f64, 2, 64}, {dtype::f32, 2, 32}, {dtype::f16, 2, 16}, {dtype::bf16, 4, 16},
                     {dtype::i64, 0, 64}, {dtype::i32, 0, 32}, {dtype::u8, 1, 8}};
  for (const auto& c : codes) {
    const dtype type = c.type;
    INFO(text(type));
    DLManagedTensor* m = nullptr;
    {
      const tensor t = tensor::full({4, 6}, 1, type);
      m = sluice::to_dlpack(t.slice(1, 1, 6, 2).transpose());
      CHECK(m->dl_tensor.data == static_cast<const char*>(t.data()) + sluice::size_of(type));
    }
    const DLTensor& d = m->dl_tensor;
    CHECK(d.device.device_type == 1);
    CHECK(d.device.device_id == 0);
    CHECK(d.ndim == 2);
    CHECK(d.dtype.code == c.code);
    CHECK(d.dtype.bits == c.bits);
    CHECK(d.dtype.lanes == 1);
    CHECK(d.shape[0] == 3);
    CHECK(d.shape[1] == 4);
    CHECK(d.strides[0] == 2);
    CHECK(d.strides[1] == 6);
    CHECK(d.byte_offset == 0);
    CHECK(reference::get(code_of(type), static_cast<char*>(d.data) + 2 * sluice::size_of(type)) == 1);
    m->deleter(m);
  }
}

TEST_CASE("there and back is the same memory") {
  const tensor t = random({3, 5}, dtype::i32, 2);
  const tensor u = sluice::from_dlpack(sluice::to_dlpack(t.transpose()));
  CHECK(u.data() == t.data());
  CHECK(same_bits(u, t.transpose()));
  CHECK(sluice::from_dlpack(sluice::to_dlpack(tensor::full({}, 4))).item<float>() == 4);
  CHECK(sluice::from_dlpack(sluice::to_dlpack(tensor({0, 3}))).shape() == shape{0, 3});
}

TEST_CASE("an imported tensor is given back once, when the last look at it goes") {
  foreign f;
  {
    const tensor t = sluice::from_dlpack(&f.managed);
    CHECK(t.shape() == shape{2, 3, 4});
    CHECK(t.data() == f.data.data());
    const tensor part = t[1].slice(0, 2, 3);
    static_cast<void>(t.clone());
    CHECK(f.given_back == 0);
  }
  CHECK(f.given_back == 1);
}

TEST_CASE("strides may be absent, an offset given, a deleter null, memory the host's pinned") {
  foreign f;
  f.managed.dl_tensor.strides = nullptr;
  CHECK(sluice::from_dlpack(&f.managed).strides() == sluice::strides{12, 4, 1});
  f.managed.dl_tensor.byte_offset = 8;
  f.extents[0] = 1;
  CHECK(sluice::from_dlpack(&f.managed).data() == f.data.data() + 2);
  f.managed.dl_tensor.device.device_type = 3;
  CHECK(sluice::from_dlpack(&f.managed).device() == sluice::device::cpu);
  CHECK(f.given_back == 3);
  f.managed.deleter = nullptr;
  CHECK(sluice::from_dlpack(&f.managed).count() == 12);
}

TEST_CASE("what cannot be taken is refused with the numbers, and stays the caller's") {
  const auto refusal = [](auto change, error_code code, std::initializer_list<std::string_view> words) {
    foreign f;
    change(f);
    const std::string wrong = refused([&] { static_cast<void>(sluice::from_dlpack(&f.managed)); }, code, words);
    CHECK(f.given_back == 0);
    return wrong;
  };
  const auto invalid = error_code::invalid_argument;
  const auto unsupported = error_code::unsupported;
  CHECK_REFUSED(sluice::from_dlpack(static_cast<DLManagedTensor*>(nullptr)), invalid_argument, "null");
  CHECK(refusal([](foreign& f) { f.managed.dl_tensor.device.device_type = 2; }, unsupported, {"device type 2"}) == "");
  CHECK(refusal([](foreign& f) { f.managed.dl_tensor.ndim = 9; }, invalid, {"9 dimensions", "0 to 8"}) == "");
  CHECK(refusal([](foreign& f) { f.managed.dl_tensor.ndim = -1; }, invalid, {"-1 dimensions"}) == "");
  CHECK(refusal([](foreign& f) { f.managed.dl_tensor.shape = nullptr; }, invalid, {"shape is null"}) == "");
  CHECK(refusal([](foreign& f) { f.managed.dl_tensor.data = nullptr; }, invalid, {"(2, 3, 4)", "null"}) == "");
  CHECK(refusal(
            [](foreign& f) {
              f.managed.dl_tensor.dtype = {2, 8, 1};
            },
            unsupported, {"code 2", "8 bits", "1 lanes"}) == "");
  CHECK(refusal([](foreign& f) { f.managed.dl_tensor.dtype = {2, 32, 4}; }, unsupported, {"4 lanes"}) == "");
  CHECK(refusal([](foreign& f) { f.managed.dl_tensor.byte_offset = 2; }, invalid, {"f32", "4 bytes"}) == "");
  CHECK(refusal([](foreign& f) { f.steps[1] = -4; }, invalid, {"(12, -4, 1)"}) == "");
  CHECK(refusal([](foreign& f) { f.extents[0] = -2; }, invalid, {"(-2, 3, 4)"}) == "");
  CHECK(refusal([](foreign& f) { f.extents[0] = f.extents[1] = std::int64_t{1} << 40; }, invalid, {"63 bits"}) == "");
  for (const std::uint64_t offset :
       {std::uint64_t{1} << 63, ~std::uint64_t{3}, (std::uint64_t{1} << 63) - 4, ~std::uint64_t{0} - 95}) {
    INFO(offset);
    foreign f;
    f.managed.dl_tensor.byte_offset = offset;
    const std::string wrong = refused([&] { static_cast<void>(sluice::from_dlpack(&f.managed)); }, invalid, {"byte offset"});
    CHECK(wrong == "");
    f.versioned.dl_tensor.byte_offset = ~std::uint64_t{3};
    CHECK_REFUSED(sluice::from_dlpack(&f.versioned), invalid_argument, "byte offset");
  }
}

TEST_CASE("strides that are never taken may be anything") {
  const std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
  for (const std::int64_t step : {std::int64_t{-1}, std::int64_t{-12}, lowest, std::numeric_limits<std::int64_t>::max()}) {
    INFO(step);
    foreign one;
    one.extents[1] = 1;
    one.steps[1] = step;
    const tensor t = sluice::from_dlpack(&one.managed);
    CHECK(t.shape() == shape{2, 1, 4});
    CHECK(t.clone()[1][0][3].item<float>() == 1.5f);
    for (int i = 0; i < 3; ++i) {
      foreign none;
      none.extents[i] = 0;
      for (auto& s : none.steps) s = step;
      if (i == 1) none.managed.dl_tensor.byte_offset = ~std::uint64_t{3};  // of nothing
      if (i == 2) none.managed.dl_tensor.data = nullptr;
      CHECK(sluice::from_dlpack(&none.managed).count() == 0);
    }
  }
}

TEST_CASE("DLPack 1.x: there and back is the same memory, writable") {
  const tensor t = random({3, 5}, dtype::f16, 2);
  DLManagedTensorVersioned* m = sluice::to_dlpack_versioned(t.transpose());
  CHECK(m->version.major == 1);
  CHECK(m->flags == 0);
  CHECK(m->dl_tensor.data == t.data());
  CHECK(m->dl_tensor.ndim == 2);
  CHECK(m->dl_tensor.shape[0] == 5);
  const tensor u = sluice::from_dlpack(m);
  CHECK(u.data() == t.data());
  CHECK(same_bits(u, t.transpose()));
  foreign f;
  f.versioned.version.minor = 7;
  f.versioned.flags = 2;  // a copy that was made for us
  {
    const tensor taken = sluice::from_dlpack(&f.versioned);
    CHECK(taken.data() == f.data.data());
    CHECK(f.given_back == 0);
  }
  CHECK(f.given_back == 1);
}

TEST_CASE("DLPack 1.x: what is read-only is copied, another version is refused") {
  foreign f;
  f.versioned.flags = 1;
  f.steps[0] = 0;
  tensor t = sluice::from_dlpack(&f.versioned);
  CHECK(f.given_back == 1);
  CHECK(t.data() != f.data.data());
  CHECK(t.shape() == shape{2, 3, 4});
  t.assign(tensor::zeros(t.shape()));
  CHECK(f.data[0] == 1.5f);
  foreign other;
  other.versioned.version = {2, 0};
  other.versioned.dl_tensor.ndim = 77;  // whatever the layout is there
  CHECK_REFUSED(sluice::from_dlpack(&other.versioned), unsupported, "DLPack 2.0", "version 1");
  other.versioned.version = {0, 8};
  CHECK_REFUSED(sluice::from_dlpack(&other.versioned), unsupported, "DLPack 0.8");
  other.versioned.version = {1, 0};
  CHECK_REFUSED(sluice::from_dlpack(&other.versioned), invalid_argument, "77 dimensions");
  other.versioned.flags = 1;
  CHECK_REFUSED(sluice::from_dlpack(&other.versioned), invalid_argument, "77 dimensions");
  CHECK(other.given_back == 0);
  CHECK_REFUSED(sluice::from_dlpack(static_cast<DLManagedTensorVersioned*>(nullptr)), invalid_argument, "null");
}
