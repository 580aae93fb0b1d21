#include "sluice/npy.hpp"

#include "files.hpp"
#include "sluice/impl/files/inflate.hpp"
#include "testing.hpp"
#include "zip.hpp"

using namespace sluice;
using testing::as_bytes;
using testing::compressed;
using testing::stored;
using testing::zip_of;

namespace {

std::vector<npz_member> members(const std::string& archive) { return npz_members(as_bytes(archive)); }
tensor decode(const std::string& archive, std::string_view name) { return decode_npz(as_bytes(archive), name); }

const tensor a = testing::random({300, 41}, dtype::f32);
const tensor b = testing::random({2, 3, 4}, dtype::i64);

}  // namespace

TEST_CASE("members by name, stored and compressed, with sizes of 32 and 64 bits, from bytes and files") {
  const std::string first = encode_npy(a), second = encode_npy(b);
  for (const bool wide : {false, true}) {
    auto one = stored("a.npy", first), two = compressed("layer/../b.npy", second), three = stored("c", second);
    one.wide = two.wide = wide;
    three.flags = 8;  // sizes follow
    two.flags = 1 << 11;
    const std::string archive = zip_of({one, two, three}, {.wide = wide});
    const auto all = members(archive);
    REQUIRE(all.size() == 3);
    CHECK(all[0].name == "a");
    CHECK(all[1].name == "layer/../b");
    CHECK(all[2].name == "c");
    CHECK(all[0].bytes == std::ssize(first));
    CHECK(all[1].compressed);
    CHECK(testing::same_bits(decode(archive, "a"), a));
    CHECK(testing::same_bits(decode(archive, "layer/../b"), b));
    CHECK(testing::same_bits(decode(archive, "c"), b));
    const testing::folder here;
    testing::write_file(here / "x.npz", archive);
    CHECK(npz_members(here / "x.npz").size() == 3);
    CHECK(testing::same_bits(read_npz(here / "x.npz", "a"), a));
    CHECK(testing::same_bits(read_npz(here / "x.npz", "layer/../b"), b));
    CHECK_REFUSED(read_npz(here / "x.npz", "d"), invalid_argument, "x.npz has no member 'd': it has 'a', 'layer/../b', 'c'");
    // A stored one in place, and any one elsewhere.
    const auto bytes = as_bytes(archive);
    std::string copy(static_cast<std::size_t>(all[1].bytes), '\0');
    unpack_npz(bytes, all[1], std::as_writable_bytes(std::span(copy)));
    CHECK(copy == second);
    auto mine = archive;
    const auto place =
        std::as_writable_bytes(std::span(mine)).subspan(static_cast<std::size_t>(all[0].offset), first.size());
    unpack_npz(as_bytes(mine), all[0], place);
    place[200] ^= std::byte{1};
    CHECK_REFUSED(unpack_npz(as_bytes(mine), all[0], place), malformed, "CRC");
    CHECK_REFUSED(unpack_npz(bytes, all[1], place), invalid_argument, "bytes");
  }
  CHECK(members(zip_of({})).empty());
  CHECK_REFUSED(decode(zip_of({}), "a"), invalid_argument, "it has none");
}

TEST_CASE("members of types and orders of bytes that tensors have not") {
  std::string npy = encode_npy(tensor({70, 5000}, dtype::i32));  // more than is converted at once
  npy.replace(npy.find("<i4"), 3, ">i4");
  for (std::size_t i = 0; i < 350'000; ++i) {
    const auto value = testing::little(i, 4);
    for (std::size_t k = 0; k < 4; ++k) npy[128 + 4 * i + k] = value[3 - k];
  }
  for (const auto& m : {stored("a.npy", npy), compressed("a.npy", npy)}) {
    const tensor t = decode(zip_of({m}), "a");
    REQUIRE(t.shape() == shape{70, 5000});
    const auto* const x = static_cast<const std::int32_t*>(t.data());
    std::int64_t wrong = 0;
    for (std::int32_t i = 0; i < 350'000; ++i) wrong += x[i] != i ? 1 : 0;
    CHECK(wrong == 0);
  }
}

TEST_CASE("archives that are cut, joined or changed anywhere are refused or give the same") {
  const std::string npy = encode_npy(b);
  const std::string archive = zip_of({stored("a.npy", npy), compressed("b.npy", npy)});
  for (std::size_t n = 0; n < archive.size(); ++n) CHECK_REFUSED(members(archive.substr(0, n)), malformed, "[npz]");
  CHECK_REFUSED(members(archive + "x"), malformed, "no end of a zip archive");
  CHECK_REFUSED(members("x" + archive), malformed, "directory");
  // Every byte, by three changes: an error of ours, or the tensor that was there.
  for (std::size_t i = 0; i < archive.size(); ++i)
    for (const int change : {1, 0x80, 0xff}) {
      std::string other = archive;
      other[i] = static_cast<char>(other[i] ^ change);
      for (const char* name : {"a", "b"}) {
        bool right = true;
        try {
          right = testing::same_bits(decode(other, name), b);
        } catch (const error& e) {
          using enum error_code;
          right =
              e.code() == malformed || e.code() == unsupported || e.code() == invalid_argument || e.code() == limit_exceeded;
        }
        CAPTURE(i);
        CAPTURE(change);
        CHECK(right);
      }
    }
}

TEST_CASE("archives that mean two things, or too much, are refused") {
  const std::string npy = encode_npy(b);
  const auto good = stored("a.npy", npy);
  const auto changed = [&](const std::function<void(testing::zip_member&)>& change, bool deflate = false) {
    auto m = deflate ? compressed("a.npy", npy) : good;
    change(m);
    return zip_of({m});
  };
  CHECK_REFUSED(members(zip_of({good, good})), malformed, "'a' is there twice");
  CHECK_REFUSED(members(zip_of({good, stored("a", npy)})), malformed, "'a' is there twice");
  auto again = stored("b.npy", npy);
  again.at = 0;
  again.local_name = "a.npy";
  CHECK_REFUSED(members(zip_of({good, again})), malformed, "'b.npy' has another header at byte 0");
  // A member within another's bytes, as in bombs that overlap.
  const auto inner = zip_of({stored("b.npy", npy)});
  again.at = 35;
  CHECK_REFUSED(members(zip_of({stored("a.npy", inner), again})), malformed, "reach into what begins at 35");
  CHECK_REFUSED(members(changed([](auto& m) { m.flags = 1; })), unsupported, "'a.npy' is encrypted");
  CHECK_REFUSED(members(changed([](auto& m) { m.flags = 1 << 6; })), unsupported, "encrypted");
  CHECK_REFUSED(members(changed([](auto& m) { m.flags = 1 << 5; })), unsupported, "flags 0x0020");
  CHECK_REFUSED(members(changed([](auto& m) { m.method = 12; })), unsupported, "method 12");
  CHECK_REFUSED(members(changed([](auto& m) { m.bytes += 1; })), malformed, "is stored");
  CHECK_REFUSED(members(changed([](auto& m) { m.local_name = "b.npy"; })), malformed, "another header");
  CHECK_REFUSED(members(changed([](auto& m) { m.local_flags = 2; })), malformed, "another header");
  CHECK_REFUSED(members(changed(
                    [](auto& m) {
                      m.bytes = 1'000'000'000'000;
                      m.wide = true;
                    },
                    true)),
                malformed, "claims 1000000000000 bytes", "1032 times");
  CHECK_REFUSED(members(zip_of({good}, {.count = 2})), malformed, "ends early");
  CHECK_REFUSED(members(zip_of({good}, {.count = 0})), malformed, "too many");
  CHECK_REFUSED(members(zip_of({good}, {.begin = 1})), malformed, "does not end");
  CHECK_REFUSED(members(zip_of({good}, {.wide = true, .count = 1LL << 40})), limit_exceeded, "1099511627776 members",
                "4096");
  CHECK_REFUSED(members(zip_of({good}, {.wide = true, .size = 1LL << 40})), limit_exceeded, "1099511627776 bytes");
  CHECK_REFUSED(members(zip_of({good}, {.wide = true, .begin = INT64_MAX})), malformed, "offset");
  CHECK_REFUSED(decode(changed([](auto& m) { m.crc ^= 1; }), "a"), malformed, "'a'", "CRC");
  CHECK_REFUSED(decode(changed([](auto& m) { m.crc ^= 1; }, true), "a"), malformed, "CRC");
  CHECK_REFUSED(decode(changed([](auto& m) { m.data[0] = 7; }, true), "a"), malformed, "does not decompress");
  CHECK_REFUSED(decode(changed([](auto& m) { m.data.pop_back(); }, true), "a"), malformed, "cut short");
  CHECK_REFUSED(decode(changed([](auto& m) { m.data += 'x'; }, true), "a"), malformed, "its compressed bytes are more");
  CHECK_REFUSED(decode(changed([](auto& m) { m.bytes -= 8; }, true), "a"), malformed, "8 fewer");
  CHECK_REFUSED(decode(changed([](auto& m) { m.bytes += 8; }, true), "a"), malformed, "8 more");
  const std::string longer = npy + "12345678";
  CHECK_REFUSED(decode(zip_of({compressed("a.npy", longer)}), "a"), malformed, "8 more");
  CHECK_REFUSED(decode(zip_of({stored("a.npy", "hello")}), "a"), malformed, "magic");
  CHECK_REFUSED(decode(zip_of({stored("a.npy", "")}), "a"), malformed, "0 bytes");
  CHECK_REFUSED(decode_npy(as_bytes(zip_of({good}))), malformed, "read_npz");
}

TEST_CASE("without zlib a compressed member is refused with what to do") {
  const auto none = files::load_zlib("libsluice-has-no-such-zlib.so");
  CHECK((none.init == nullptr));
  const auto read = [](std::span<std::byte>) { return std::size_t{0}; };
  CHECK_REFUSED(files::inflater(read, "the member 'a'", none), unsupported, "'a' is compressed", "no-such-zlib",
                "numpy.savez");
}
