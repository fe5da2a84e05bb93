"""Which worker takes which tests, and in which order.

A notebook, a file of tests or a module is one group, and runs on one worker; of the browser's files each test is a group.
What builds the book runs first and what looks at the built pages last, so that nobody waits for the build. Between them
the groups that are not known run first, then those that took longest in the last runs: what is left at the end is short.
"""

import json
from collections import defaultdict

import pytest

SPREAD = ("test_browser.py", "test_interactive.py")
TIMINGS = ".venv/cache/timings.json"  # {test: seconds}; not committed, for machines differ
SECONDS = pytest.StashKey[dict]()


def group(nodeid):
    file = nodeid.split("::")[0]
    return nodeid if file.endswith(SPREAD) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group(nodeid)

    config.option.loadscopereorder = False  # by their number of tests the notebooks would be first
    return Groups(config, log)


def pytest_configure(config):
    """The controller reads the timings, once: the workers must agree on the order."""
    if hasattr(config, "workerinput"):
        config.stash[SECONDS] = config.workerinput["seconds"]
    else:
        config.stash[SECONDS] = read(config.rootpath / TIMINGS)
        config.pluginmanager.register(Recorder(config.rootpath / TIMINGS))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["seconds"] = node.config.stash[SECONDS]


def pytest_collection_modifyitems(config, items):
    items[:] = ordered(items, config.stash[SECONDS])


def ordered(items, seconds):
    groups = defaultdict(list)
    for item in items:
        groups[group(item.nodeid)].append(item)
    return [item for found in sorted(groups.values(), key=lambda found: rank(found, seconds)) for item in found]


def rank(items, seconds):
    """The place of a group: build, unknown, known, built pages; long before short."""
    fixtures = {name for item in items for name in getattr(item, "fixturenames", ())}
    phase = 2 if "built_book" in fixtures else 0 if "build_report" in fixtures else 1
    known = [seconds[item.nodeid] for item in items if item.nodeid in seconds]
    return phase, bool(known), -sum(known)


class Recorder:
    """Writes down how long each test took, beside what is known of the tests that did not run."""

    def __init__(self, path):
        self.path, self.seconds = path, defaultdict(float)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self):
        found = {nodeid: round(seconds, 3) for nodeid, seconds in self.seconds.items()}
        try:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text(json.dumps(read(self.path) | found, indent=0), encoding="utf-8")
        except OSError:  # there is no .venv, or nothing may be written: then the next run starts in another order
            pass


def read(path):
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # it is not there, or was cut short
        return {}
