"""What every test run of the repository shares; the hooks stand in tests/plugins."""

from hypothesis import settings

pytest_plugins = ["tests.plugins.order", "tests.plugins.extras"]

# The same examples on every machine, and no deadline: the machine may be shared.
settings.register_profile("lowrank", deadline=None, derandomize=True, database=None)
settings.load_profile("lowrank")
