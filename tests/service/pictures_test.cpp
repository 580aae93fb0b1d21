// Image files in and out of /v1/canny: forms of bodies and answers, options, and what bad files get.
#include "pictures_testing.hpp"

#include <fmt/format.h>

using namespace sluice;
using namespace testing;

namespace {

response canny_of(service& s, std::string_view body, headers with = jpeg_type, std::string query = {}) {
  return ask(s, "/v1/canny", std::move(query), body, std::move(with));
}

tensor pixels(const response& r) {
  REQUIRE_MESSAGE(r.status == 200, r.text());
  return picture_of(r.text());
}

const std::string jpeg = jpeg_of(made_picture());
const std::string png = png_of(made_picture());

}  // namespace

TEST_CASE("a picture goes in, and its edges come out as PNG of one bit unless Accept asks for another form") {
  service s;
  const tensor wanted = edges_in(jpeg);
  const auto r = canny_of(s, jpeg);
  CHECK(r.header("Content-Type") == "image/png");
  CHECK(r.header("X-Sluice-Device") == "cpu");
  CHECK(r.text()[24] == 1);  // bits a sample, by IHDR
  CHECK(same_pixels(pixels(r), wanted));
  CHECK(same_pixels(pixels(canny_of(s, png, png_type)), edges_in(png)));
  for (const char* any : {"*/*", "image/*", "image/avif,image/*;q=0.8,*/*;q=0.5", "image/jpeg;q=0.5, image/png"})
    CHECK(canny_of(s, jpeg, accepting(jpeg_type, any)).header("Content-Type") == "image/png");
  const auto as_jpeg = canny_of(s, png, accepting(png_type, "image/jpeg"));
  CHECK(as_jpeg.header("Content-Type") == "image/jpeg");
  CHECK(as_jpeg.text() == file_of(edges_in(png), image::format::jpeg));
  const auto npy = canny_of(s, jpeg, accepting(jpeg_type, "application/x-npy"));
  REQUIRE(npy.status == 200);
  const std::string file = npy.text();
  CHECK(decode_npy(std::as_bytes(std::span(file))).shape() == shape{96, 128});
  CHECK(same_pixels(decode_npy(std::as_bytes(std::span(file))), wanted));
  const auto small = png_of(made_picture(3, 4));
  CHECK(result(canny_of(s, small, accepting(png_type, "application/json"))) == result(post(s, "canny", [&] {
          const tensor grey = picture_of(small);
          return cat("{\"image\":",
                     list(3,
                          [&](int y) {
                            return list(4, [&](int x) { return std::to_string(grey[y][x][0].item<std::uint8_t>()); });
                          }),
                     "}");
        }())));
  check_problem(canny_of(s, jpeg, accepting(jpeg_type, "image/webp")), 406,
                "application/json or application/x-npy or image/png or image/jpeg");
}

TEST_CASE("what a file is called does not matter, and the first of the bytes decide") {
  service s;
  CHECK(same_pixels(pixels(canny_of(s, png, jpeg_type)), edges_in(png)));
  CHECK(same_pixels(pixels(canny_of(s, jpeg, {{"Content-Type", "image/jpg"}})), edges_in(jpeg)));
  CHECK(same_pixels(pixels(canny_of(s, jpeg + "bytes that a camera appends", jpeg_type)), edges_in(jpeg)));
}

TEST_CASE("thresholds, the norm and the channels are options of the query") {
  service s;
  CHECK(same_pixels(pixels(canny_of(s, jpeg, jpeg_type, "low=20&high=60&norm=l2")), edges_in(jpeg, 20, 60, edge_norm::l2)));
  CHECK(same_pixels(pixels(canny_of(s, jpeg, jpeg_type, "high=1e2&low=300")), edges_in(jpeg, 300, 100)));
  CHECK(same_pixels(pixels(canny_of(s, jpeg, jpeg_type, "channels=3")), edges_in(jpeg, 100, 200, edge_norm::l1, 3)));
  CHECK(!same_pixels(edges_in(jpeg), edges_in(jpeg, 100, 200, edge_norm::l1, 3)));
  check_problem(canny_of(s, jpeg, jpeg_type, "low=some"), 400, R"(low is \"some\": it must be a number)");
  check_problem(canny_of(s, jpeg, jpeg_type, "low="), 400, "it must be a number");
  check_problem(canny_of(s, jpeg, jpeg_type, "low=nan"), 422, "it must be a finite number");
  check_problem(canny_of(s, jpeg, jpeg_type, "high=1e999"), 422, "it must be a finite number");
  check_problem(canny_of(s, jpeg, jpeg_type, "norm=l3"), 400, "it must be l1 or l2");
  check_problem(canny_of(s, jpeg, jpeg_type, "channels=4"), 400, "it must be 1 or 3");
  check_problem(canny_of(s, jpeg, jpeg_type, "precision=fast"), 422, "gives no choice");
}

TEST_CASE("a row whose picture has 3 channels by its extents gets files in them, and has no such parameter") {
  service s;
  const auto add = [&](std::string name, std::int64_t channels) {
    s.add({.name = std::move(name),
           .inputs = {{.name = "image",
                       .dtypes = {dtype::u8},
                       .min_rank = 3,
                       .max_rank = 3,
                       .kind = field_kind::picture,
                       .extents = {-1, -1, channels}}},
           .outputs = {{.name = "result", .dtypes = {dtype::u8}}},
           .run = [](std::span<const tensor> in, const call_context&) { return std::vector{in[0]}; }});
  };
  add("colours", 3);
  add("greys", 1);
  add("either", -1);
  const auto pixels_of = [&](const char* name, std::string query) {
    const auto r = ask(s, cat("/v1/", name), std::move(query), jpeg, accepting(jpeg_type, "application/x-npy"));
    REQUIRE_MESSAGE(r.status == 200, r.text());
    const std::string file = r.text();
    return decode_npy(std::as_bytes(std::span(file)));
  };
  for (const char* query : {"", "channels=1", "channels=3"}) {
    CHECK(same_pixels(pixels_of("colours", query), picture_of(jpeg, 3)));
    CHECK(same_pixels(pixels_of("greys", query), picture_of(jpeg, 1)));
  }
  CHECK(same_pixels(pixels_of("either", ""), picture_of(jpeg, 1)));
  CHECK(same_pixels(pixels_of("either", "channels=3"), picture_of(jpeg, 3)));
  check_problem(post(s, "colours", R"({"image":[[[1],[2]]]})"), 422, "image is (1, 2, 1)");
  const auto documents = send(s, "GET", "/openapi.json").text();
  const auto route = [&](std::string name) {
    const auto at = documents.find(cat("\"/v1/", name, "\":"));
    return documents.substr(at, documents.find("\"responses\"", at) - at);
  };
  CHECK(route("colours").find("channels\"") == std::string::npos);
  CHECK(route("either").find("channels\"") != std::string::npos);
}

TEST_CASE("a form has the picture as a part, with its type or without, and the options before or behind it") {
  service s;
  const auto form = [&](std::string_view parts) { return ask(s, "/v1/canny", "", cat(parts, "--cut--"), multipart_type); };
  for (const char* type : {"image/jpeg", "image/png", "", "application/octet-stream"}) {
    CAPTURE(type);
    const auto r = form(picture_part("image", jpeg, type));
    CHECK(r.header("Content-Type") == "image/png");
    CHECK(same_pixels(pixels(r), edges_in(jpeg)));
  }
  const auto options = cat(picture_part("low", "20", ""), picture_part("channels", "3", ""));
  const tensor wanted = edges_in(jpeg, 20, 200, edge_norm::l1, 3);
  CHECK(same_pixels(pixels(form(options + picture_part("image", jpeg, ""))), wanted));
  CHECK(same_pixels(pixels(form(picture_part("image", jpeg, "") + options)), wanted));
  const auto grey = encode_npy(picture_of(jpeg).reshape({96, 128}));
  CHECK(same_pixels(pixels(form(picture_part("image", grey, "application/x-npy"))), edges_in(jpeg)));
  CHECK(same_pixels(pixels(form(picture_part("image", grey, ""))), edges_in(jpeg)));
  check_problem(form(picture_part("image", jpeg, "image/webp")), 415, "application/x-npy, image/png or image/jpeg is taken");
  check_problem(form(picture_part("image", jpeg, "") + picture_part("image", jpeg, "")), 422, "there twice");
  check_problem(form(options + options), 422, "there twice");
  check_problem(form(options), 422, "image");
  check_problem(form(picture_part("image", jpeg.substr(0, 700), "image/jpeg")), 422, "the part \\\"image\\\" of 700 bytes");
}

TEST_CASE("JSON has the picture in base64, or as a data URL, and is answered likewise") {
  service s;
  const auto json = [&](std::string_view text, std::string_view more = "", headers with = {}) {
    return post(s, "canny", cat(R"({"image":")", text, "\"", more, "}"), std::move(with));
  };
  const auto r = json(base64_of(jpeg));
  REQUIRE_MESSAGE(r.status == 200, r.text());
  CHECK(r.header("Content-Type") == "application/json");
  const auto text = r.text();
  CHECK(text.find(R"("media_type":"image/png","shape":[96,128],"dtype":"u8","device":"cpu"})") != text.npos);
  const auto file = canny_of(s, jpeg).text();
  CHECK(text.starts_with(cat(R"({"result":")", base64_of(file), "\",")));
  CHECK(json(cat("data:image/jpeg;base64,", base64_of(jpeg))).text() == text);
  CHECK(json(base64_of(jpeg), R"(,"norm":"l2","low":20,"high":60.0)", {{"Accept", "image/png"}}).text() ==
        canny_of(s, jpeg, jpeg_type, "low=20&high=60&norm=l2").text());
  CHECK(json(base64_of(jpeg), R"(,"channels":3)", {{"Accept", "image/*"}}).text() ==
        canny_of(s, jpeg, jpeg_type, "channels=3").text());
  std::string escaped;
  for (const char c : base64_of(jpeg)) escaped += c == '/' ? std::string("\\/") : std::string(1, c);
  CHECK(json(escaped).text() == text);
  check_problem(json("abc"), 400, "image has 3 characters: no multiple of 4");
  check_problem(json("ab*d"), 400, "character 2 is \\\"*\\\"");
  check_problem(json("a==="), 400, "character 1 is \\\"=\\\"");
  check_problem(json(base64_of("plain text")), 415, "image of 10 bytes");
  check_problem(json(""), 415, "image of 0 bytes");
  CHECK(json(base64_of(jpeg), R"(,"dtype":"u8")").text() == text);
  check_problem(json(base64_of(jpeg), R"(,"dtype":"f32")"), 422, "image takes u8");
  check_problem(json(base64_of(jpeg), R"(,"low":[1])"), 422, "not a string, and not a number");
  check_problem(json(base64_of(jpeg), R"(,"low":1,"low":1)"), 422, "there twice");
  check_problem(ask(s, "/v1/canny", "low=1", cat(R"({"low":2,"image":")", base64_of(jpeg), "\"}")), 400,
                "asks for 1 as well");
  check_problem(post(s, "rowsum", R"({"a":"AAAA"})"), 422, "a");  // not a picture
}

TEST_CASE("numbers are pictures too") {
  service s;
  CHECK(result(post(s, "canny", R"({"image":[[0,0,200,200],[0,0,200,200],[0,0,200,200]]})")) ==
        "[[0,255,0,0],[0,255,0,0],[0,255,0,0]]");
  CHECK(post(s, "canny", encode_npy(picture_of(jpeg)), accepting(npy_type, "image/png")).text() == canny_of(s, jpeg).text());
  CHECK(post(s, "canny", encode_npy(picture_of(jpeg)), npy_type).header("Content-Type") == "application/x-npy");
  const auto batch = encode_npy(tensor::full({2, 5, 6, 1}, 7, dtype::u8));
  CHECK(post(s, "canny", batch, npy_type).status == 200);
  check_problem(post(s, "canny", batch, accepting(npy_type, "image/png")), 406, "u8 (2, 5, 6): image/png holds one picture");
  check_problem(post(s, "canny", R"({"image":[1,2]})"), 422, "rank");
}

TEST_CASE("a bad file gets a 4xx with the numbers in it") {
  service s;
  const auto noise = [] {
    tensor t({200, 300, 3}, dtype::u8);
    auto* at = static_cast<std::uint8_t*>(t.data());
    for (std::uint32_t i = 0, x = 1; i < 180'000; ++i)
      at[i] = static_cast<std::uint8_t>((x = x * 1664525u + 1013904223u) >> 24);
    return t;
  }();
  struct row {
    const char* what;
    std::string file;
    int status;
    const char* code;
    std::string words;
  };
  const std::string large = jpeg_of(noise), large_png = png_of(noise);
  REQUIRE(large.size() > 700);
  std::string dnl = jpeg_claiming(jpeg, 0, 128);
  const std::vector<row> table{
      {"cut after 700 bytes", large.substr(0, 700), 422, "truncated", "the body of 700 bytes"},
      {"a JPEG that claims 20000x20000", jpeg_claiming(jpeg, 20'000, 20'000), 413, "limit_exceeded", "16777216"},
      {"a PNG that claims 20000x20000", png_claiming(large_png, 20'000, 20'000), 413, "limit_exceeded", "16777216"},
      {"a short JPEG that claims 65500x65500", jpeg_claiming(jpeg_of(made_picture(1, 1, 1)), 65'500, 65'500), 413,
       "limit_exceeded", "65500"},
      {"height 0", dnl, 415, "unsupported_media_type", "of"},
      {"text", "<html>not a picture</html>", 415, "unsupported_media_type", "the body of 26 bytes"},
      {"nothing", "", 415, "unsupported_media_type", "the body of 0 bytes"},
      {"a wrong checksum of zlib's", png_with_wrong_pixels(png), 422, "corrupt", "the body of"},
      {"a PNG without its end", large_png.substr(0, large_png.size() / 2), 422, "truncated", "the body of"},
  };
  for (const auto& r : table) {
    CAPTURE(r.what);
    const auto answer = canny_of(s, r.file);
    check_problem(answer, r.status, r.words);
    CHECK(answer.text().find(cat("\"code\":\"", r.code, "\"")) != std::string::npos);
  }
  check_problem(canny_of(s, jpeg, {{"Content-Type", "image/webp"}}), 415, "image/png");
  check_problem(ask(s, "/v1/rowsum", "", jpeg, jpeg_type), 415, "application/json");  // no picture is wanted there
}

TEST_CASE("sizes are held against the service's limits before a pixel is decoded") {
  service_options o;
  o.limits.pixels = 96 * 128 - 1;
  service s(o);
  check_problem(canny_of(s, jpeg), 413, "12287");
  CHECK(canny_of(s, jpeg_of(made_picture(96, 127))).status == 200);
  o.limits.pixels = 1 << 20;
  o.limits.elements = 1000;
  service small_results(o);
  check_problem(canny_of(small_results, jpeg), 413, "1000 elements");
  o = {};
  o.limits.body_bytes = 1000;
  service small_bodies(o);
  check_problem(canny_of(small_bodies, jpeg), 413, "1000");
  o = {};
  o.limits.pixels = 0;
  CHECK_THROWS_AS(service{o}, error);
}

TEST_CASE("a file is decoded by an admitted worker, and by no other") {
  service_options o;
  o.compute_workers = 1;
  o.queue_length = 0;
  service s(o);
  gate g;
  s.add({.name = "wait",
         .inputs = {{.name = "a"}},
         .outputs = {{.name = "result"}},
         .run = [&](std::span<const tensor> in, const call_context&) { return g.pass(), std::vector{in[0]}; }});
  std::thread busy([&] { CHECK(post(s, "wait", R"({"a":[1]})").status == 200); });
  REQUIRE(eventually([&] { return g.entered == 1; }));
  // A corrupt file, however short, is not looked at while there is no worker for it.
  check_problem(canny_of(s, "x"), 429, "1 requests are being computed");
  check_problem(ask(s, "/v1/canny", "", cat(picture_part("image", "x", "image/png"), "--cut--"), multipart_type), 429, "1");
  check_problem(post(s, "canny", R"({"image":"AAAA"})"), 429, "1");
  g.open();
  busy.join();
  check_problem(canny_of(s, "x"), 415, "the body of 1 bytes");
  check_problem(canny_of(s, jpeg, {{"Content-Type", "image/jpeg"}, {"X-Request-Timeout", "0"}}), 504, "canny");
}

TEST_CASE("of good and bad files that wait together, the bad ones alone fail") {
  service_options o;
  o.compute_workers = 2;
  service s(o);
  const auto wanted = canny_of(s, jpeg).text();
  std::vector<std::thread> clients;
  std::atomic<int> right{0};
  for (int i = 0; i < 12; ++i)
    clients.emplace_back([&, i] {
      const auto r = canny_of(s, i % 3 == 0 ? jpeg.substr(0, jpeg.size() / 2) : jpeg);
      right += i % 3 == 0 ? (r.status == 422 ? 1 : 0) : (r.status == 200 && r.text() == wanted ? 1 : 0);
    });
  for (auto& c : clients) c.join();
  CHECK(right == 12);
}

TEST_CASE("memory of answers is given back to the size of the file") {
  service_options o;
  o.limits.result_bytes = 1 << 20;
  o.limits.all_answers_bytes = 2 << 20;
  service s(o);
  const auto file = png_of(made_picture(500, 600, 1));
  std::vector<response> held;  // none is sent: each keeps what it holds
  for (int i = 0; i < 20; ++i) {
    held.push_back(canny_of(s, file, png_type));
    REQUIRE_MESSAGE(held.back().status == 200, held.back().text());
  }
}

TEST_CASE("the document, the metrics and the catalogue have it as any other endpoint") {
  service s;
  CHECK(s.not_offered().empty());
  CHECK(canny_of(s, jpeg).status == 200);
  const auto document = send(s, "GET", "/openapi.json").text();
  const auto call = document.substr(document.find("\"/v1/canny\""), 6000);
  for (const char* words : {R"("name":"low")", R"("default":100)", R"("enum":["l1","l2"])", R"("enum":[1,3])", "image/jpeg",
                            "image/png", "multipart/form-data", "A picture of at most 16777216 pixels"})
    CHECK_MESSAGE(call.find(words) != call.npos, words);
  CHECK(call.find("image/png") < call.find("application/json"));
  const auto placed = send(s, "POST", "/v1/placement", R"({"operation":"canny","sizes":[512]})").text();
  CHECK_MESSAGE(placed.starts_with(R"({"operation":"canny","dtype":"u8","points":[{"size":512)"), placed);
  const auto metrics = send(s, "GET", "/metrics").text();
  CHECK(metrics.find("canny") != metrics.npos);
}

TEST_CASE("the codec of base64") {
  service s;
  for (std::size_t size = 0; size < 7; ++size) {
    std::string file = png;
    file.append(size, '\xfb');  // bytes behind the end of the image are ignored
    const auto r = post(s, "canny", cat(R"({"image":")", base64_of(file), "\"}"), {{"Accept", "image/png"}});
    CHECK(same_pixels(pixels(r), edges_in(png)));
  }
}
