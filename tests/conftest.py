"""What every test of the repository shares."""

from hypothesis import settings

# The same examples on every machine, and no deadline: the machine may be shared.
settings.register_profile("lowrank", deadline=None, derandomize=True, database=None)
settings.load_profile("lowrank")

FIRST, LAST = "test_browser.py", "test_book.py"


def pytest_collection_modifyitems(items):
    """Workers take files in this order: first the longest, which also builds the book, last what else needs the book."""
    items.sort(key=lambda item: (item.path.name != FIRST) + (item.path.name == LAST))
