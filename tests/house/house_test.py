"""The direction of includes, as docs/architecture.md draws it. Usage: house_test.py ROOT

- A public header includes only public headers above it in PUBLIC, and no header of a dependency; its own definitions
  (sluice/impl) only at its end, under SLUICE_HEADER_ONLY.
- A room of include/sluice/impl includes the rooms before it in ROOMS; base includes itself alone, and has no state.
- A backend (impl/cpu, src/cuda) includes backend_api.h, config.hpp, base and its own room.
- The codecs of src/image include those of their libraries; src/model includes base, and fmt.
- An adapter includes what ADAPTERS says.
- No circle.

It first checks that it finds a planted violation of each kind."""
import os
import re
import sys
import tempfile

PUBLIC = ["backend_api.h", "config.hpp", "error.hpp", "parallel.hpp", "dtype.hpp", "shape.hpp", "device.hpp", "view.hpp", "tensor.hpp",
          "dlpack.hpp", "ops/", "placement.hpp", "calibration.hpp", "npy.hpp", "file_stream.hpp", "pipeline.hpp", "image.hpp", "model.hpp",
          "sluice.hpp"]
ROOMS = ["base", "core", "ops", "placement", "files"]
DEPENDENCY = re.compile(r"^(cuda|cublas|cub/|thrust/|cblas|blis|openblas|mkl|httplib|simdjson|sqlite3|CLI/|fmt/|onnxruntime|turbojpeg|png\.h$)")
DEVICE = re.compile(r"^(cuda|cublas|cub/|thrust/)")
CODEC = re.compile(r"^(turbojpeg|png)\.h$|^fmt/")
BACKEND_MAY = {"sluice/backend_api.h", "sluice/config.hpp"}
# Of each adapter: dependencies that it may not include, and public headers of other adapters that it may.
ADAPTERS = {
    "service": (re.compile(r"^(httplib|sqlite3|cuda|cublas)"), re.compile(r"^sluice/service(/|\.hpp)")),
    "jobs": (re.compile(r"^(httplib|cuda|cublas)"), re.compile(r"^sluice/(service(/|\.hpp)|jobs\.hpp)")),
    "models": (re.compile(r"^(httplib|sqlite3|cuda|cublas|onnxruntime)"), re.compile(r"^sluice/(service(/|\.hpp)|models\.hpp)")),
    "hardened": (re.compile(r"^(sqlite3|simdjson|cuda|cublas)"),
                 re.compile(r"^sluice/(hardened(/|_server\.hpp)|httplib/server_extensions\.hpp)")),
    "httplib": (re.compile(r"^(sqlite3|simdjson|cuda|cublas)"), re.compile(r"^sluice/(service(/|\.hpp)|httplib(/|\.hpp))")),
}
ADAPTER_HEADER = re.compile(r"^sluice/(service|jobs|models|hardened|httplib)(/|\.hpp|_server\.hpp)")
NO_VARIABLE = re.compile(r"^(using|struct|class|enum|template|typedef|friend|static_assert|namespace|inline namespace|constexpr|inline constexpr|\}|#|return|SLUICE)")


def includes(path):
    """(line, name, under SLUICE_HEADER_ONLY) of each include of a file."""
    header_only = False
    with open(path, errors="replace") as file:
        for number, line in enumerate(file, 1):
            if re.match(r"\s*#\s*if(def\s+|\s+defined\(?)\s*SLUICE_HEADER_ONLY", line):
                header_only = True
            elif re.match(r"\s*#\s*endif", line):
                header_only = False
            found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
            if found:
                yield number, found.group(1), header_only


def room_of(name):
    found = re.match(r"(?:include/)?sluice/impl/(\w+)[/.]", name)
    return found.group(1) if found else None


def rank(name):
    return next((i for i, entry in enumerate(PUBLIC) if name == entry or (entry.endswith("/") and name.startswith(entry))), None)


def reason(path, include, header_only):
    """Why `path` may not have this include, or None."""
    mine, theirs = room_of(path), room_of(include)
    public = path.startswith("include/sluice/") and mine is None
    if path.startswith("include/sluice/") and DEVICE.match(include):
        return "a device's header outside its backend"
    if public:
        if DEPENDENCY.match(include):
            return "a public header includes a dependency"
        if theirs is not None:
            return None if header_only else "a public header includes definitions outside SLUICE_HEADER_ONLY"
        if include.startswith("sluice/"):
            own, other = rank(path[len("include/sluice/"):]), rank(include[len("sluice/"):])
            if own is None or (other is not None and other > own):
                return "a public header includes one below it in the list"
        return None
    if mine == "cpu" or path.startswith("src/cuda/"):
        own = "cpu" if mine == "cpu" else "cuda"
        if include.startswith("sluice/") and include not in BACKEND_MAY and theirs not in ("base", own):
            return "a backend includes more than the table, base and its own room"
        if mine == "cpu" and include.startswith("fmt/"):
            return "a backend includes a dependency of core"
        return None
    if mine == "base":
        if (include.startswith("sluice/") and include != "sluice/config.hpp" and theirs != "base") or DEPENDENCY.match(include):
            return "base includes more than itself and the system"
        return None
    if mine in ROOMS:
        if theirs in ROOMS and ROOMS.index(theirs) > ROOMS.index(mine):
            return f"{mine} includes {theirs}, a room after it"
        if DEPENDENCY.match(include) and not include.startswith("fmt/"):
            return "a room of core includes a device or a transport"
        return None
    if path.startswith("src/image/") and CODEC.match(include):
        return None
    if path.startswith("src/model/"):
        if theirs not in (None, "base"):
            return "a component includes a room of core other than base"
        if include.startswith("fmt/"):
            return None
    if path.startswith("src/") and DEPENDENCY.match(include):
        return "a dependency outside its room"
    adapter = re.match(r"adapters/(\w+)/", path)
    if adapter and adapter.group(1) in ADAPTERS:
        dependencies, headers = ADAPTERS[adapter.group(1)]
        if dependencies.match(include) or include == "sluice/backend_api.h":
            return f"{adapter.group(1)} includes a transport, a device or a store that is not its own"
        if ADAPTER_HEADER.match(include) and not headers.match(include):
            return f"{adapter.group(1)} includes another adapter"
        if theirs not in (None, "base"):
            return "an adapter includes a room of core other than base"
    return None


def sources(root):
    for top in ("include", "src", "adapters"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if name.endswith((".h", ".hpp", ".cpp", ".cu", ".cuh")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def has_state(path):
    """Lines of a file of base that define a variable that is not constexpr, at namespace scope or static in a function."""
    found = []
    with open(path) as file:
        for number, line in enumerate(file, 1):
            code = line.split("//")[0].rstrip()
            at_namespace_scope = code[:1].strip() and not NO_VARIABLE.match(code)
            name = re.match(r"^[\w:<>,*& \[\]]+?[ *&](\w+)(\[\w*\])?\s*(=|\{|;|\()", code) if at_namespace_scope else None
            if name and (name.group(3) in "=;" or re.search(r"[({]\s*([-\d\"'].*)?[)}];$", code) and "()" not in code):
                found.append(number)
            elif re.match(r"\s+(static|thread_local)\s+(?!constexpr)[^(]*(=|\{|;)", code) and not re.match(r"\s+static\s+[\w:<>*& ]+\(", code):
                found.append(number)
    return found


def circles(graph):
    """One circle of each strongly connected part, as a list of files."""
    found, state = [], {}

    def visit(file, way):
        state[file] = "open"
        for other in graph.get(file, ()):
            if state.get(other) == "open":
                found.append(way[way.index(other):] + [other] if other in way else [file, other])
            elif other not in state:
                visit(other, way + [other])
        state[file] = "done"

    for file in sorted(graph):
        if file not in state:
            visit(file, [file])
    return found


def violations(root):
    bad, graph, files = [], {}, sorted(sources(root))
    known = set(files)
    roots = ["include"] + [f"adapters/{a}/include" for a in ADAPTERS] + [f"adapters/{a}/src" for a in ADAPTERS] + ["src"]
    for path in files:
        for number, include, header_only in includes(os.path.join(root, path)):
            why = reason(path, include, header_only)
            if why:
                bad.append(f"{path}:{number}: {include}: {why}")
            if not header_only:
                near = os.path.normpath(os.path.join(os.path.dirname(path), include))
                target = next((t for t in [near] + [f"{r}/{include}" for r in roots] if t in known), None)
                if target:
                    graph.setdefault(path, []).append(target)
        if room_of(path) == "base":
            bad += [f"{path}:{number}: base has state" for number in has_state(os.path.join(root, path))]
    # A header's variant for an operating system includes it back, for its declarations.
    for path in graph:
        if re.search(r"_(posix|windows)\.hpp$", path):
            graph[path] = [target for target in graph[path] if path not in graph.get(target, ())]
    return bad + ["a circle: " + " -> ".join(c) for c in circles(graph)], len(files)


PLANTED = {
    "include/sluice/shape.hpp": ('#include "sluice/tensor.hpp"\n', "below it in the list"),
    "include/sluice/dtype.hpp": ("#include <cuda_runtime.h>\n", "outside its backend"),
    "include/sluice/error.hpp": ("#include <fmt/format.h>\n", "includes a dependency"),
    "include/sluice/device.hpp": ('#include "sluice/impl/core/device.hpp"\n', "outside SLUICE_HEADER_ONLY"),
    "include/sluice/impl/base/file.hpp": ('#include "sluice/error.hpp"\n', "base includes more"),
    "include/sluice/impl/base/state.hpp": ("inline int counter = 0;\n", "base has state"),
    "include/sluice/impl/base/local.hpp": ("  static std::vector<int> seen;\n", "base has state"),
    "include/sluice/impl/base/plain.hpp": ("int counter = 0;\n", "base has state"),
    "include/sluice/impl/base/atomic.hpp": ("std::atomic<int> counter{0};\n", "base has state"),
    "include/sluice/impl/base/array.hpp": ("inline int counters[4];\n", "base has state"),
    "include/sluice/impl/base/called.hpp": ("inline std::atomic<long> counter(0);\n", "base has state"),
    "include/sluice/impl/base/pointer.hpp": ("inline const char* last = nullptr;\n", "base has state"),
    "src/image/png.cpp": ("#include <cuda_runtime.h>\n", "a dependency outside its room"),
    "src/model/session.cpp": ("#include <onnxruntime_c_api.h>\n", "a dependency outside its room"),
    "src/model/model.cpp": ('#include "sluice/impl/core/registry.hpp"\n', "other than base"),
    "src/files.cpp": ("#include <png.h>\n", "a dependency outside its room"),
    "src/core.cpp": ("#include <cuda_runtime.h>\n", "a dependency outside its room"),
    "include/sluice/impl/core/tensor.hpp": ('#include "sluice/impl/placement/work.hpp"\n', "a room after it"),
    "include/sluice/impl/files/npy.hpp": ("#include <httplib.h>\n", "a device or a transport"),
    "include/sluice/impl/cpu/rowsum.hpp": ('#include "sluice/impl/core/tensor.hpp"\n', "a backend includes more"),
    "src/cuda/rowsum.cu": ('#include "sluice/tensor.hpp"\n', "a backend includes more"),
    "adapters/service/src/a.cpp": ("#include <httplib.h>\n", "not its own"),
    "adapters/hardened/include/sluice/hardened/b.hpp": ('#include "sluice/service.hpp"\n', "another adapter"),
    "adapters/models/src/d.cpp": ("#include <onnxruntime_c_api.h>\n", "not its own"),
    "adapters/jobs/src/c.cpp": ('#include "sluice/impl/core/registry.hpp"\n', "other than base"),
    "include/sluice/impl/files/x.hpp": ('#include "sluice/impl/files/y.hpp"\n', "a circle"),
    "include/sluice/impl/files/y.hpp": ('#include "sluice/impl/files/x.hpp"\n', "a circle"),
}


def self_test():
    with tempfile.TemporaryDirectory() as root:
        for path, (text, _) in PLANTED.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w") as file:
                file.write(text)
        found, _ = violations(root)
    for path, (_, words) in PLANTED.items():
        if not any(path in line and words in line for line in found):
            sys.exit(f"house_test: the planted violation in {path} ({words}) was not found")


def main():
    self_test()
    bad, count = violations(sys.argv[1])
    print("\n".join(bad))
    if count < 150:
        sys.exit(f"house_test: only {count} files were found in {sys.argv[1]}")
    print(f"{count} files, {len(bad)} violations")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
