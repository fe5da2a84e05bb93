"""What the tests of the built book share: how it is built, which pages it has, and how a page is read."""

import os
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from _literate.source.chapters import read_book

ROOT = Path(__file__).resolve().parents[2]
BOOK = read_book(ROOT)
CHAPTERS = [chapter.docname for chapter in BOOK.chapters]
PAGES = [*(page.removesuffix(".md") for page in BOOK.pages), *CHAPTERS]
MODULES = [f"lowrank/{chapter.module}" for chapter in BOOK.chapters if chapter.exports]


def build(root, out):
    """Run `jupyter-book build` on a root, into another folder; return what it said."""
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", root, "--path-output", out, "-W", "--keep-going"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


class PageReader(HTMLParser):
    """The ids of a page, and its links, images and scripts with what surrounds them."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.sources, self.images, self.badges = set(), [], [], [], {}
        self.descriptions, self.buttons = [], []
        self._badge = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        classes = (attributes.get("class") or "").split()
        if "cell-badge" in classes:
            self._badge = self.badges[attributes["id"]] = []
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
            if "btn" in classes:
                self.buttons.append((attributes["href"], classes))
            if self._badge is not None:
                self._badge.append(attributes["href"])
        if tag == "meta" and attributes.get("name") == "description":
            self.descriptions.append(attributes["content"])
        if tag == "img":
            self.images.append(attributes)
        if "src" in attributes or tag == "link":
            self.sources.append(attributes.get("src") or attributes.get("href"))

    def handle_endtag(self, tag):
        if tag == "p":
            self._badge = None


@cache
def read_page(file):
    return PageReader(file.read_text(encoding="utf-8"))


def page_file(built_book, docname):
    return built_book / f"{docname}.html"
