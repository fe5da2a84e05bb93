"""The Chromium of this machine, without a window, for the tests of the built pages and for `make pdf`."""

import shutil
from contextlib import contextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = f"no browser found, one of {', '.join(NAMES)} is needed (sudo apt install chromium)"
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()


def find():
    """The path of the browser, or None; nothing is downloaded."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def started(executable):
    """A running browser, to be driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()
