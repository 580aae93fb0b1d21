# The page's files as bytes in a C++ file: cmake -DOUT=files.cpp "-DFILES=page.html page.css ..." -P embed.cmake
separate_arguments(FILES)
set(arrays "")
set(rows "")
foreach(name IN LISTS FILES)
  file(READ "${CMAKE_CURRENT_LIST_DIR}/${name}" bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(MAKE_C_IDENTIFIER "${name}" id)
  string(APPEND arrays "constexpr unsigned char ${id}[] = {${bytes}};\n")
  string(APPEND rows "      {\"${name}\", {reinterpret_cast<const char*>(${id}), sizeof ${id}}},\n")
endforeach()
file(WRITE "${OUT}" "#include \"openapi/page/files.hpp\"

namespace sluice::serving {
namespace {
${arrays}}  // namespace

const std::vector<docs_file>& docs_files() {
  static const std::vector<docs_file> all{
${rows}  };
  return all;
}

}  // namespace sluice::serving
")
