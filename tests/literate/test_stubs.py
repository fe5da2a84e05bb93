"""The stubs that the exporter writes: signatures from the syntax tree, types from the words of the docstrings."""

import ast
from textwrap import indent

import pytest

from _literate.commands.stubs import ASKED, GIVEN, type_of
from tests.literate.minibook import code


@pytest.mark.parametrize(
    "words, asked",
    [
        ("int", "SupportsIndex"),
        ("int >= 1, default 3", "SupportsIndex"),
        ("float, 0 < tol < 1, optional", "SupportsFloat"),
        ("bool, default False", "bool | np.bool_"),
        ("callable, optional", "_Function"),
        ("int or None, default 5", "SupportsIndex | None"),
        ('{"a", "b"}, default "a"', 'Literal["a", "b"]'),
        ('{"fro", 2}', 'Literal["fro", 2]'),
        ('{"this or that", "b"} or float', 'Literal["this or that", "b"] | SupportsFloat'),
        ("None, int or numpy.random.Generator", "SupportsIndex | np.random.Generator | None"),
        ("None, int or numpy.random.RandomState", "SupportsIndex | np.random.RandomState | None"),
        ("array, shape (m, n)", None),
        ("float, or array with the shape of x", None),
        ("int or sequence of int, default 5", None),
        ("sequence of {1, 2, None}, optional", None),
        ("arrays of int", None),
    ],
)
def test_what_words_of_a_parameter_mean(words, asked):
    assert type_of(words, ASKED) == asked


@pytest.mark.parametrize(
    "words, given",
    [("float or None", "float | None"), ("tuple of float", "tuple[float, ...]"), ("array, shape (n,)", None)],
)
def test_what_words_of_a_result_mean(words, given):
    assert type_of(words, GIVEN) == given


def stub(book, *cells):
    """The stub of a chapter with these cells, without its head."""
    book["psd"] = [book["psd"][0], *(code(cell, "export") for cell in cells)]
    book.save()
    assert book.export().status == 0
    text = book.read("lowrank/psd.pyi")
    ast.parse(text)
    return text


def numpydoc(**sections):
    parts = [f"{title}\n{'-' * len(title)}\n{text}" for title, text in sections.items()]
    return "'''Does it.\n\n" + "\n\n".join(parts) + "\n'''"


def function(signature, **sections):
    return f"def {signature}:\n{indent(numpydoc(**sections), '    ')}\n    return None"


LOOK = """def look(
    A: Any,
    k: SupportsIndex = 3,
    *,
    tol: SupportsFloat | None = None,
    axis: Any = -1,
    f: Any = ...,
) -> Any: ..."""


def test_a_function(book):
    parameters = "A : array\nk : int\ntol : float, optional"
    text = stub(book, function("look(A, k=3, *, tol=None, axis=-1, f=len)", Parameters=parameters))
    assert LOOK in text
    assert "from typing import Any, SupportsFloat, SupportsIndex\n" in text


def test_parameters_described_as_those_of_another_function(book):
    first = function("look(A, method='a')", Parameters='A : array\nmethod : {"a", "b"}')
    second = function("see(A, method='a')", Parameters="A, method\n    The question, as for `look`.")
    assert "def see(A: Any, method: Literal[\"a\", \"b\"] = 'a') -> Any: ..." in stub(book, first, second)


RESULT = """from collections import namedtuple


class Found(namedtuple("Found", "error "
                                "steps")):
    '''What it found.

    Attributes
    ----------
    error : float
    steps : int array, shape (n,)
    rank : int or None
    '''

    def __new__(cls, error, steps, hint=None):
        self = super().__new__(cls, error, steps)
        self.hint, self._own = hint, 1
        return self

    @property
    def size(self):
        return 1

    twice = property(len)

    def _private(self):
        return 2
"""


def test_a_result_is_a_named_tuple_with_its_attributes(book):
    text = stub(book, RESULT, function("find(A)", Returns="Found"))
    assert "class _Found(NamedTuple):\n    error: float\n    steps: Any\n" in text
    rank, twice = ("    @property\n    def rank(self) -> int | None: ...\n", "    @property\n    def twice(self) -> Any: ...\n")
    head = f"class Found(_Found):\n{rank}    hint: Any\n{twice}"
    assert head + "    def __new__(cls, error: Any, steps: Any, hint: Any = None) -> Self: ...\n    @property\n" in text
    assert "_own" not in text and "_private" not in text
    assert "def find(A: Any) -> Found: ..." in text


BOX = """class Box:
    '''Holds.

    Parameters
    ----------
    size : int
    '''

    def __init__(self, size, **more):
        self.size = size
"""


def test_a_constructor_is_described_by_its_class(book):
    expected = "class Box:\n    size: int\n    def __init__(self, size: SupportsIndex, **more: Any) -> None: ..."
    assert expected in stub(book, BOX)


OBJECT = """class Found:
    '''What it found.

    Attributes
    ----------
    rank : int
    size_ : int
    '''

    def __init__(self, factor, *, rank=1, **options):
        vars(self).update(factor=factor, rank=rank, options=options)

    def __iter__(self):
        return iter((self.factor,))

    def _asdict(self):
        return vars(self)

    def _replace(self, **changes):
        return type(self)(**vars(self) | changes)

    def fit(self, A):
        self.size_ = len(A)
"""


def test_what_a_class_does_not_assign_can_only_be_read(book):
    text = stub(book, OBJECT)
    for name, kind in {"factor": "Any", "rank": "int", "options": "Any"}.items():
        assert f"    @property\n    def {name}(self) -> {kind}: ...\n" in text
    assert "    size_: int\n" in text


def test_the_verbs_of_named_tuples_are_known_to_type_checkers(book):
    text = stub(book, OBJECT)
    assert "    def __iter__(self) -> Any: ...\n" in text
    assert "    def _asdict(self) -> dict[str, Any]: ...\n" in text
    assert "    def _replace(self, **changes: Any) -> Self: ...\n" in text and "import Any, Self\n" in text


def test_private_bases_are_known_to_type_checkers(book):
    base = "class _Base:\n    def size(self):\n        return 1"
    text = stub(book, base, "class Box(_Base):\n    '''Holds.'''", "class _Other:\n    pass")
    assert "class _Base:\n    def size(self) -> Any: ...\n" in text and "class Box(_Base): ...\n" in text
    assert "_Other" not in text and '__all__ = ["Box"]' in text


def test_a_class_without_public_parts(book):
    assert "class Bare(tuple[Any, ...]): ...\n" in stub(book, "class Bare(tuple):\n    '''Nothing.'''")


def test_what_is_called_is_a_protocol(book):
    text = stub(book, function("apply(f)", Parameters="f : callable"))
    assert "from typing import Any, Protocol\n" in text and "class _Function(Protocol):" in text
