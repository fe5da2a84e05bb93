"""Files that can be read, and those that cannot."""

from .model import Place, Problem


class Unreadable(Exception):
    """A file that cannot be read at all; carries its Problem."""

    def __init__(self, place, message, next_step):
        super().__init__(message)
        self.problem = Problem(place, message, next_step)


def read_text(root, path):
    try:
        text = (root / path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Unreadable(Place(path), "is missing", "restore it from git") from None
    except UnicodeDecodeError:
        raise Unreadable(Place(path), "is not UTF-8 text", "restore it from git") from None
    if not text.strip():
        raise Unreadable(Place(path), "is empty", "restore it from git, or delete it")
    return text
