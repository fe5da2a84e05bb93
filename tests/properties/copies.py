"""Results survive what is done with results: they are pickled, copied, and returned with a field replaced."""

import copy
import pickle

import numpy as np


def assert_survives_copies(result):
    """pickle, copy.copy, copy.deepcopy and _replace keep the type, every field and all else that the result knows."""
    first = result._fields[0]
    others = [
        pickle.loads(pickle.dumps(result)),
        copy.copy(result),
        copy.deepcopy(result),
        result._replace(**{first: getattr(result, first)}),
    ]
    for other in others:
        assert type(other) is type(result) and repr(other) == repr(result)
        known = {**dict(zip(result._fields, result)), **getattr(result, "__dict__", {})}
        for name, value in known.items():
            np.testing.assert_array_equal(getattr(other, name), value)
