"""What every test of the repository shares."""

from hypothesis import settings

# The same examples on every machine, and no deadline: the machine may be shared.
settings.register_profile("lowrank", deadline=None, derandomize=True, database=None)
settings.load_profile("lowrank")
