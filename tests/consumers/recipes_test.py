"""vcpkg.json and conanfile.py against CMake's own lists. Usage: recipes_test.py SOURCES"""
import json
import os
import re
import sys
import unittest

SOURCES = sys.argv.pop()
# CMake's name: the recipes', where it is another
NAMES = {"SQLite3": "sqlite3", "httplib": "cpp-httplib", "CLI11": "cli11", "nlohmann_json": "nlohmann-json", "ZLIB": "zlib",
         "TurboJPEG": "libjpeg-turbo", "PNG": "libpng"}


def text_of(*path):
    with open(os.path.join(SOURCES, *path)) as f:
        return f.read()


def named(cmake):
    return NAMES.get(cmake, cmake)


VERSION = re.search(r"project\(\s*sluice\s+VERSION (\S+)", text_of("CMakeLists.txt")).group(1)
CORE = {"fmt"}
LIBRARIES = {named(n) for n in re.findall(r"(?m)^ *sluice_find\((\w+) ", text_of("cmake", "SluiceDependencies.cmake"))} | {"cpp-httplib"}


class TestVcpkg(unittest.TestCase):
    manifest = json.loads(text_of("vcpkg.json"))

    def names(self, dependencies):
        return {d if isinstance(d, str) else d["name"] for d in dependencies}

    def test_it_is_of_this_version_and_well_formed(self):
        self.assertEqual(self.manifest["version-semver"], VERSION)
        known = {"$schema", "name", "version-semver", "description", "license", "dependencies", "default-features", "features"}
        self.assertEqual(set(self.manifest), known)
        features = self.manifest["features"]
        self.assertLessEqual(set(self.manifest["default-features"]), set(features))
        for name, feature in features.items():
            self.assertRegex(name, r"^[a-z0-9]+(-[a-z0-9]+)*$")
            self.assertLessEqual(set(feature), {"description", "dependencies", "supports"})
            self.assertTrue(feature["description"])
            for d in feature["dependencies"]:
                if isinstance(d, dict):
                    self.assertEqual(set(d), {"name", "features"})
                    if d["name"] == "sluice":
                        self.assertLessEqual(set(d["features"]), set(features))

    def test_its_features_have_what_cmake_looks_for(self):
        features = self.manifest["features"]
        core = self.names(self.manifest["dependencies"])
        self.assertEqual(core, CORE)
        image = self.names(features["image"]["dependencies"])
        self.assertEqual(core | image | self.names(features["service"]["dependencies"]), LIBRARIES | {"zlib"})
        examples = {named(n) for n in re.findall(r"find_package\((\w+) ", text_of("examples", "CMakeLists.txt"))} - {"OpenSSL"}
        has = core | self.names(features["service"]["dependencies"]) | self.names(features["server"]["dependencies"])
        self.assertLessEqual(examples, has)
        self.assertIn("doctest", self.names(features["tests"]["dependencies"]))


class TestConan(unittest.TestCase):
    recipe = text_of("conanfile.py")

    def test_it_requires_what_cmake_looks_for(self):
        required = re.findall(r'self\.requires\("([\w-]+)/', self.recipe)
        self.assertEqual(sorted(required), sorted(LIBRARIES))

    def test_its_options_are_cmakes(self):
        cmake = text_of("CMakeLists.txt")
        for option in re.findall(r'"(SLUICE_\w+)": ', self.recipe):
            self.assertRegex(cmake, rf"(option|set)\({option}\b")


if __name__ == "__main__":
    unittest.main()
