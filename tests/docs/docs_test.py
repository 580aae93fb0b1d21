"""The page /docs in headless Chromium, as a person uses it: opened, clicked, filled in, read. The console must stay silent.
Usage: docs_test.py SLUICE-SERVER FOLDER [SCREENSHOTS]

FOLDER gets a virtual environment with selenium; without it, or without chromium and chromedriver, the test is skipped (77)."""
import http.server
import json
import os
import re
import shutil
import struct
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import environment
from example_server import Server

SERVER, FOLDER = sys.argv[1:3]
SCREENSHOTS = sys.argv[3] if len(sys.argv) > 3 else None
for program in ("chromium", "chromedriver"):
    if not shutil.which(program):
        print(f"skipped: there is no {program}")
        sys.exit(77)
environment.enter(FOLDER, "selenium", ["selenium==4.51.0"])

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait



class Prefixed(http.server.BaseHTTPRequestHandler):
    """A proxy that has the service below /below/here, as a mount prefix has."""

    target = ""

    def do_GET(self, body=None):
        if not self.path.startswith("/below/here/"):
            self.send_error(404)
            return
        asked = urllib.request.Request(self.target + self.path[len("/below/here"):], body)
        if body is not None:
            asked.add_header("Content-Type", self.headers["Content-Type"])
        with urllib.request.urlopen(asked) as answer:
            body = answer.read()
            self.send_response(answer.status)
            for name in ("Content-Type", "Content-Security-Policy"):
                if answer.headers[name]:
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(body)

    def do_POST(self):
        self.do_GET(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_):
        pass


class Recording(Prefixed):
    """The same with a call whose answers hold records, which no endpoint of the example server does."""

    answer = {"predictions": [[{"label": "<tabby>", "index": 281, "probability": 0.83125}, {"label": "lynx", "index": 287, "probability": 0.1}]],
              "device": "cpu"}

    def do_GET(self, body=None):
        if self.path == "/below/here/v1/cats":
            return self.tell(self.answer)
        if self.path != "/below/here/openapi.json":
            return super().do_GET(body)
        with urllib.request.urlopen(self.target + "/openapi.json") as answer:
            document = json.load(answer)
        list_of = lambda items: {"type": "array", "items": items}
        document["components"]["schemas"]["cats.record"] = {"type": "object"}
        predictions = list_of(list_of({"$ref": "#/components/schemas/cats.record"}))
        document["components"]["schemas"]["cats.result"] = {"type": "object", "properties": {"predictions": predictions}}
        given = {"application/json": {"schema": {"$ref": "#/components/schemas/cats.result"}}}
        document["paths"]["/v1/cats"] = {"post": {"tags": ["calls"], "summary": "Names of cats", "responses": {"200": {"content": given}},
                                                  "requestBody": {"content": {"image/png": {}}}}}
        self.tell(document)

    def tell(self, value):
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(text)


def png_of(rows, columns):
    """A white square on grey, by hand: the test needs no library for it."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    inside = lambda y, x: rows // 4 < y < rows // 2 and columns // 4 < x < columns // 2
    pixels = b"".join(b"\0" + bytes(255 if inside(y, x) else 60 for x in range(columns)) for y in range(rows))
    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


class TestPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        options = webdriver.ChromeOptions()
        for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,900"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.binary_location = shutil.which("chromium")
        cls.browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def open(self, *options, path="/docs"):
        server = Server(SERVER, *options)
        self.addCleanup(server.stop)
        self.browser.get_log("browser")
        self.browser.get(server.url + path)
        self.until(lambda: self.all(".route"))
        return server

    def until(self, holds):
        return WebDriverWait(self.browser, 30).until(lambda _: holds())

    def all(self, css):
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def text(self, css):
        return self.browser.find_element(By.CSS_SELECTOR, css).text

    def silent(self):
        self.assertEqual([entry["message"] for entry in self.browser.get_log("browser")], [])

    def shoot(self, name, width=1280, height=900, whole=False):
        if not SCREENSHOTS:
            return
        if whole:
            height = self.browser.execute_script("return document.documentElement.scrollHeight")
        self.size(width, height)
        time.sleep(0.5)
        self.browser.save_screenshot(os.path.join(SCREENSHOTS, name + ".png"))

    def size(self, width, height):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def dark(self, on):
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                     {"features": [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]})

    def route(self, method, path):
        for node in self.all(".route"):
            summary = node.find_element(By.TAG_NAME, "summary")
            if summary.text.split("\n")[:2] == [method, path]:
                return node
        self.fail(f"{method} {path} is not on the page")

    def opened(self, method, path):
        node = self.route(method, path)
        node.find_element(By.TAG_NAME, "summary").click()
        self.until(lambda: node.find_elements(By.TAG_NAME, "button"))
        return node

    def sent(self, node):
        button = node.find_element(By.CSS_SELECTOR, "button.go")
        button.click()
        self.until(lambda: button.text == "Send")  # until the answer is there, and the one before is gone
        return node.find_element(By.CSS_SELECTOR, ".told .status").text

    def test_it_lists_every_route(self):
        server = self.open()
        with urllib.request.urlopen(server.url + "/openapi.json") as answer:
            document = json.load(answer)
        listed = {(n.find_element(By.CLASS_NAME, "method").get_attribute("textContent").lower(),
                   n.find_element(By.CLASS_NAME, "path").get_attribute("textContent")) for n in self.all(".route")}
        self.assertEqual(listed, {(m, p) for p, item in document["paths"].items() for m in item})
        self.assertIn(("post", "/v1/gpu_multiply"), listed)
        self.browser.find_element(By.ID, "filter").send_keys("gpu")
        shown = [n.text.split("\n")[1] for n in self.all(".route") if n.is_displayed()]
        self.assertEqual(shown, ["/v1/gpu_multiply", "/v2/models/gpu_multiply/infer"])
        self.silent()

    def test_it_tries_them(self):
        self.open()
        call = self.opened("POST", "/v1/matmul")
        body = call.find_element(By.TAG_NAME, "textarea")
        self.assertEqual(json.loads(body.get_attribute("value")), {"a": [[1, 2], [3, 4]], "b": [[1, 2], [3, 4]]})
        self.assertEqual(self.sent(call), "200 OK")
        answer = json.loads(call.find_element(By.CSS_SELECTOR, ".told pre").text)
        self.assertEqual((answer["result"], answer["device"]), ([[7, 10], [15, 22]], "cpu"))
        self.assertIn("on cpu", call.find_element(By.CSS_SELECTOR, ".told .line").text)
        self.browser.execute_script("arguments[0].scrollIntoView()", call)
        self.shoot("tried")
        self.silent()

    def test_it_shows_what_is_refused(self):
        self.open()
        call = self.opened("POST", "/v1/matmul")
        body = call.find_element(By.TAG_NAME, "textarea")
        body.clear()
        body.send_keys('{"a": [[1, 2, 3]], "b": [[1, 2]]}')
        self.assertEqual(self.sent(call), "422 Unprocessable Entity")
        self.assertIn("must equal", call.find_element(By.CSS_SELECTOR, ".told pre").text)
        self.browser.execute_script("arguments[0].scrollIntoView()", call)
        self.shoot("refused")
        # Chromium itself notes the status of a refused request; nothing else may be there.
        for entry in self.browser.get_log("browser"):
            self.assertIn("status of 422", entry["message"])

    def test_forms_of_bodies_and_answers(self):
        self.open()
        call = self.opened("POST", "/v1/rowsum")
        types, accept = [Select(s) for s in call.find_elements(By.TAG_NAME, "select") if s.is_displayed()]
        accept.select_by_visible_text("application/x-npy")
        self.assertEqual(self.sent(call), "200 OK")
        self.assertIn("of application/x-npy", call.find_element(By.CSS_SELECTOR, ".told").text)
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"
            file.write(b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n" + bytes(16))
            file.flush()
            accept.select_by_visible_text("application/json")
            for form in ("application/x-npy", "multipart/form-data"):
                types.select_by_visible_text(form)
                call.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(file.name)
                call.find_element(By.CSS_SELECTOR, "button.go").click()
                self.until(lambda: '"result": [0, 0]' in call.find_element(By.CSS_SELECTOR, ".told").text)
        self.silent()

    def shown(self, node, css):
        """The extents of the pictures there, once they are loaded."""
        size = "return [...arguments[0].querySelectorAll(arguments[1])].map((i) => i.complete ? [i.naturalWidth, i.naturalHeight] : [0, 0])"
        return self.until(lambda: next((all for all in [self.browser.execute_script(size, node, css)] if all and all != [[0, 0]]), None))

    def test_a_picture_goes_in_and_its_edges_come_out(self):
        server = self.open()
        if server.ask("/v2/models/canny")[0] == 501:
            self.skipTest("the server was built without sluice::image")
        call = self.opened("POST", "/v1/canny")
        types = Select(next(s for s in call.find_elements(By.TAG_NAME, "select") if "image/png" in s.text and "multipart" in s.text))
        path = os.environ.get("SLUICE_TEST_PICTURE")  # for screenshots: a photograph
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            file.write(png_of(90, 120))
            file.flush()
            types.select_by_visible_text("image/png")
            call.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(path or file.name)
            sent = self.shown(call, "form .picture img")
            if not path:
                self.assertEqual(sent, [[120, 90]])
            self.assertEqual(self.sent(call), "200 OK")
            self.assertEqual(self.shown(call, ".told .picture img"), sent)
            self.assertIn("of image/png", call.find_element(By.CSS_SELECTOR, ".told figcaption").text)
            self.browser.execute_script("arguments[0].scrollIntoView()", call)
            self.shoot("picture")
            low = call.find_element(By.XPATH, ".//label[text()='low']/following-sibling::input")
            self.assertEqual(low.get_attribute("placeholder"), "100")
            low.send_keys("20")
            self.sent(call)
            self.until(lambda: "canny?low=20'" in call.find_element(By.CSS_SELECTOR, ".told").get_attribute("textContent"))
        # JSON has a picture too: the example, in base64.
        types.select_by_visible_text("application/json")
        call.find_element(By.CSS_SELECTOR, "button.go").click()
        self.until(lambda: "media_type" in call.find_element(By.CSS_SELECTOR, ".told").text)
        self.assertEqual(self.shown(call, ".told .picture img"), [[8, 8]])
        self.silent()

    def test_the_keyboard_is_enough(self):
        self.open()
        summary = self.route("POST", "/v1/rowsum").find_element(By.TAG_NAME, "summary")
        self.browser.execute_script("arguments[0].focus()", summary)
        summary.send_keys(Keys.ENTER)
        call = self.route("POST", "/v1/rowsum")
        self.until(lambda: call.find_elements(By.CSS_SELECTOR, "button.go"))
        for _ in range(12):
            focused = self.browser.switch_to.active_element
            if focused.get_attribute("class") == "go":
                break
            focused.send_keys(Keys.TAB)
        focused.send_keys(Keys.ENTER)
        self.until(lambda: "200 OK" in call.text)
        unnamed = self.browser.execute_script(
            "return [...document.querySelectorAll('input,select,textarea')].filter("
            "(e) => !e.labels?.length && !e.getAttribute('aria-label')).length")
        self.assertEqual(unnamed, 0)
        self.silent()

    def test_it_draws_what_goes_on(self):
        server = self.open()
        end = time.monotonic() + (40 if SCREENSHOTS else 6)
        matrix = [[float(i * j % 7) for j in range(60)] for i in range(60)]
        while time.monotonic() < end:
            server.post("/v1/matmul", {"a": matrix, "b": matrix})
            time.sleep(0.01 + 0.02 * (1 + ((time.monotonic() / 9) % 1)))
        self.until(lambda: re.match(r"[1-9]", self.text("#rate-now")))
        self.assertRegex(self.text("#latency-now"), r"\d (µs|ms) median\s+\d.* (µs|ms) 99 %")
        line = "return document.querySelector('#rate path.one').getAttribute('d')"  # at once: it is drawn anew each second
        self.assertIn("L", self.browser.execute_script(line))
        self.assertRegex(self.browser.find_element(By.ID, "rate").get_attribute("aria-label"), r"now \d")
        self.assertRegex(self.text("#devices"), r"(?s)cpu.*of .*GiB")
        self.assertRegex(self.text("#slots"), r"\d+ of \d+")
        self.assertEqual(self.text("#state"), "ready")
        self.shoot("overview-light")
        self.dark(True)
        self.shoot("overview-dark")
        self.dark(False)
        self.shoot("narrow", width=390, whole=True)
        self.size(390, 844)
        wider = self.browser.execute_script("return document.documentElement.scrollWidth")
        self.assertLessEqual(wider, 390)
        self.size(1280, 900)
        self.silent()

    def test_tokens(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("the-token\n")
            file.flush()
            self.open("--token-file", file.name)
            self.until(lambda: "bearer token" in self.text("#figures-note"))
            self.silent()
            self.browser.find_element(By.ID, "token").send_keys("the-token" + Keys.TAB)
            self.until(lambda: not self.browser.find_element(By.ID, "figures-note").is_displayed())
            self.until(lambda: "GiB" in self.text("#devices"))
            self.assertEqual(self.sent(self.opened("POST", "/v1/rowsum")), "200 OK")
        self.silent()

    def test_records_are_a_table_beside_the_picture(self):
        self.open_below(Recording)
        call = self.opened("POST", "/v1/cats")
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            file.write(png_of(90, 120))
            file.flush()
            call.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(file.name)
            self.assertEqual(self.shown(call, "form .picture img"), [[120, 90]])
            self.assertEqual(self.sent(call), "200 OK")
        rows = [[c.text for c in row.find_elements(By.CSS_SELECTOR, "th,td")] for row in call.find_elements(By.CSS_SELECTOR, ".told tr")]
        self.assertEqual(rows, [["label", "index", "probability"], ["<tabby>", "281", "0.831"], ["lynx", "287", "0.1"]])
        self.assertEqual(json.loads(call.find_element(By.CSS_SELECTOR, ".told pre").text), Recording.answer)
        self.browser.execute_script("arguments[0].scrollIntoView()", call)
        self.shoot("records")
        # Lists of objects that are no records stay as they are.
        devices = self.opened("GET", "/v1/devices")
        self.assertEqual(self.sent(devices), "200 OK")
        self.assertEqual(devices.find_elements(By.TAG_NAME, "table"), [])
        self.silent()

    def test_below_a_prefix(self):
        self.open_below(Prefixed)
        self.until(lambda: "GiB" in self.text("#devices"))
        self.assertEqual(self.sent(self.opened("GET", "/v1/devices")), "200 OK")
        self.silent()

    def open_below(self, handler):
        server = Server(SERVER)
        self.addCleanup(server.stop)
        Prefixed.target = server.url
        proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        self.browser.get_log("browser")
        self.browser.get(f"http://127.0.0.1:{proxy.server_port}/below/here/docs")
        self.until(lambda: self.all(".route"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
