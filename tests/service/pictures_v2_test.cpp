// Image files under /v2: BYTES of one element in, and out where `accept` asks for them.
#include "pictures_testing.hpp"
#include "v2_testing.hpp"

#include <cstring>

using namespace sluice;
using namespace testing;

namespace {

const std::string jpeg = jpeg_of(made_picture());

// An element of BYTES in binary.
std::string element(std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::string all(reinterpret_cast<const char*>(&size), sizeof size);
  return all += bytes;
}

response infer_file(service& s, std::string_view file, std::string_view more = "", std::string model = "canny",
                    std::string_view shape = "[1]") {
  const auto data = element(file);
  return infer_binary(s, std::move(model), testing::request(binary_input("image", "BYTES", shape, data.size()), more), data);
}

constexpr std::string_view binary_out = R"(,"parameters":{"binary_data_output":true})";
constexpr std::string_view png_out = R"(,"parameters":{"binary_data_output":true,"accept":"image/png"})";

tensor pixels_of(std::string_view bytes, const shape& extents) {
  tensor t(extents, dtype::u8);
  REQUIRE(bytes.size() == t.bytes());
  std::memcpy(t.data(), bytes.data(), bytes.size());
  return t;
}

}  // namespace

TEST_CASE("a file goes in as BYTES, and the edges come out as UINT8, or as BYTES where a file is asked for") {
  service s;
  const auto r = infer_file(s, jpeg, binary_out);
  CHECK(r.text().find(R"("datatype":"UINT8","shape":[96,128],"parameters":{"binary_data_size":12288})") !=
        std::string::npos);
  CHECK(same_pixels(pixels_of(binary_of(r), {96, 128}), edges_in(jpeg)));
  const auto file = infer_file(s, jpeg, png_out);
  const auto data = binary_of(file);
  CHECK(file.text().find(R"("datatype":"BYTES","shape":[1])") != std::string::npos);
  CHECK(data == element(ask(s, "/v1/canny", "", jpeg, jpeg_type).text()));
  const auto of_output = R"(,"outputs":[{"name":"result","parameters":{"binary_data":true,"accept":"image/jpeg"}}])";
  CHECK(binary_of(infer_file(s, jpeg, of_output)) == element(file_of(edges_in(jpeg), image::format::jpeg)));
  for (const std::string_view shape : {"[1,1]", "[]"}) CHECK(infer_file(s, jpeg, binary_out, "canny", shape).status == 200);
}

TEST_CASE("options are parameters of the request") {
  service s;
  const auto options = R"(,"parameters":{"low":20,"high":"60","norm":"l2","channels":3,"binary_data_output":true})";
  CHECK(
      same_pixels(pixels_of(binary_of(infer_file(s, jpeg, options)), {96, 128}), edges_in(jpeg, 20, 60, edge_norm::l2, 3)));
}

TEST_CASE("JSON has files in base64, both ways") {
  service s;
  const auto asked = [&](std::string_view data, std::string_view more = "") {
    return infer(s, "canny", testing::request(input("image", "BYTES", "[1]", cat("\"data\":", data)), more));
  };
  const auto text = cat("[\"", base64_of(jpeg), "\"]");
  CHECK(asked(text).text().find(R"("datatype":"UINT8","shape":[96,128],"data":[)") != std::string::npos);
  const auto wanted = base64_of(ask(s, "/v1/canny", "", jpeg, jpeg_type).text());
  CHECK(asked(text, R"(,"parameters":{"accept":"image/png"})").text().find(cat("\"data\":[\"", wanted, "\"]")) !=
        std::string::npos);
  check_error(asked("[]"), 400, "image.data is empty");
  check_error(asked("[1]"), 400, "image.data[0] is 1: one string is needed");
  check_error(asked(cat(text.substr(0, text.size() - 1), ",\"AAAA\"]")), 400, "image.data[1]");
  check_error(asked(R"(["abc"])"), 400, "no multiple of 4");
}

TEST_CASE("a raw body is the file, and arrays are taken as before") {
  service s;
  const auto raw = infer(s, "canny", jpeg, {{length_header, "0"}, {"Content-Type", "application/octet-stream"}});
  CHECK(same_pixels(pixels_of(binary_of(raw), {96, 128}), edges_in(jpeg)));
  const auto array = input("image", "UINT8", "[2,4]", R"("data":[0,0,200,200,0,0,200,200])");
  for (const char* model : {"canny", "canny_uint8"})
    CHECK(infer(s, model, testing::request(array)).text().find(R"("data":[0,255,0,0,0,255,0,0])") != std::string::npos);
  CHECK(
      send(s, "GET", "/v2/models/canny")
          .text()
          .find(
              R"("inputs":[{"name":"image","datatype":"BYTES","shape":[1]}],"outputs":[{"name":"result","datatype":"UINT8","shape":[-1,-1]}])") !=
      std::string::npos);
  CHECK(send(s, "GET", "/v2/models/canny_uint8").text().find(R"({"name":"image","datatype":"UINT8","shape":[-1,-1]})") !=
        std::string::npos);
  CHECK(send(s, "GET", "/v2/models/canny/config").text().find(R"("data_type":"TYPE_STRING")") != std::string::npos);
  CHECK(send(s, "GET", "/v2/models").text().find(R"("name":"canny_uint8")") != std::string::npos);
}

TEST_CASE("what is refused says why") {
  service s;
  check_error(infer_file(s, jpeg.substr(0, 700)), 400, "image of 700 bytes");
  check_error(infer_file(s, "text"), 415, "image of 4 bytes");
  check_error(infer_file(s, jpeg_claiming(jpeg, 20'000, 20'000)), 413, "16777216");
  check_error(infer_file(s, jpeg, "", "canny", "[2]"), 400, "has 2 elements of BYTES by its shape (2): one is taken");
  check_error(infer_file(s, jpeg, "", "canny_uint8"), 400, R"(is of \"BYTES\": canny_uint8 takes UINT8)");
  check_error(infer_file(s, jpeg, R"(,"parameters":{"accept":"image/webp"})"), 400, "or BYTES of image/png or image/jpeg");
  check_error(infer_file(s, jpeg, R"(,"parameters":{"low":"much"})"), 400, "it must be a number");
  auto data = element(jpeg);
  data[0] = static_cast<char>(data[0] + 1);
  check_error(infer_binary(s, "canny", testing::request(binary_input("image", "BYTES", "[1]", data.size())), data), 400,
              "takes 4 bytes for its length");
  check_error(infer_binary(s, "canny", testing::request(binary_input("image", "BYTES", "[1]", 2)), "ab"), 400, "4 bytes");
  check_error(infer_binary(s, "canny", testing::request(binary_input("image", "BYTES", "[1]", 0)), ""), 400, "4 bytes");
  const auto once = binary_input("image", "BYTES", "[1]", element("x").size());
  check_error(infer_binary(s, "canny", testing::request(cat(once, ",", once)), element("x") + element("x")), 400,
              "there twice");
  const auto late = cat(R"({"data":[")", base64_of(jpeg), R"("],"name":"image","datatype":"BYTES","shape":[1]})");
  CHECK(infer(s, "canny", testing::request(late)).status == 200);
  check_error(infer(s, "canny", testing::request(cat(late, ",", late))), 400, "there twice");
  check_error(infer(s, "rowsum", testing::request(input("a", "BYTES", "[1]", R"("data":["AAAA"])"))), 400, "BYTES");
}
