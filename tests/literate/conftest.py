"""What the tests of the machinery share: a miniature book for each test, and the book as built."""

import fcntl
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from _literate.commands import chromium
from tests.literate.built import ROOT, build
from tests.literate.minibook import MiniBook


@pytest.fixture
def book(tmp_path, capsys):
    return MiniBook(tmp_path, capsys)


@pytest.fixture(scope="session")
def build_report(tmp_path_factory, worker_id):
    """(status, what was said, folder of the pages) of one build of the whole book, which all workers share.

    It is built from the working folder, with all that lies around in it.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = folder if worker_id == "master" else folder.parent
    record = folder / "build.json"
    with open(folder / "build.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            report = build(ROOT, folder / "book")
            record.write_text(json.dumps([report.returncode, report.stdout]))
    return *json.loads(record.read_text()), folder / "book" / "_build" / "html"


@pytest.fixture(scope="session")
def built_book(build_report):
    """The folder of the built pages."""
    status, said, html = build_report
    assert status == 0, said
    return html


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; nothing is downloaded for it."""
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (requirements.txt)")
    if not (executable := chromium.find()):
        pytest.skip(chromium.MISSING)
    with chromium.started(executable) as browser:
        yield browser


STILL = """const still = new CSSStyleSheet();
still.replaceSync("*, ::before, ::after { transition: none !important; animation: none !important; }");
document.adoptedStyleSheets = [still];"""


@pytest.fixture(scope="session")
def window(browser):
    """What pages are opened in. They share its cache, move nothing, so that a size is right at once, and reach no host."""
    nowhere = {"server": "http://127.0.0.1:9", "bypass": "127.0.0.1"}
    context = browser.new_context(viewport={"width": 1280, "height": 900}, proxy=nowhere)
    context.add_init_script(STILL)
    yield context
    context.close()


@pytest.fixture(scope="session")
def served_book(built_book):
    """The address of a small server on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def send_error(self, code, *_):                      # as the hosts of static pages do
            self.send_response(204 if self.path == "/favicon.ico" else code)  # which a browser asks for by itself
            self.end_headers()
            self.wfile.write((built_book / "404.html").read_bytes())

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=built_book)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
