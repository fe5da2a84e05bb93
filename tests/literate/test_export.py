"""The exporter: what it writes, and that it refuses every mistake of an author by name and place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.literate.minibook import OUTCOME, code, md, python

LITERATE = Path(__file__).resolve().parents[2] / "book" / "_literate"
NOTHING_WRITTEN = "1 error; nothing was written. Correct, save, and run: make export"


# What is written

SVD_MODULE = r'''r"""The SVD.

We look for $\min \|A - B\|$.

Generated from book/low_rank/svd.ipynb; edit the chapter.
"""

from lowrank.conventions import halve, scale

__all__ = ["norm"]


# %% book/low_rank/svd.ipynb: norm
def norm(A):
    \'\'\'A norm.\'\'\'
    return scale(halve(A))
'''.replace("\\'", "'")

SVD_TESTS = '''"""Tests of lowrank.svd, generated from book/low_rank/svd.ipynb; edit the chapter."""

from lowrank.conventions import scale
from lowrank.svd import norm


# %% book/low_rank/svd.ipynb: test_norm
def test_norm():
    assert norm([4.0]) == 2 == scale([2.0])
'''


def test_a_sound_book_is_written(book):
    run = book.export()
    assert (run.status, run.err) == (0, "")
    assert run.out.splitlines()[-1] == "Exported 3 chapters; 13 files changed."
    assert book.read("lowrank/svd.py") == SVD_MODULE
    assert book.read("tests/chapters/test_svd.py") == SVD_TESTS
    assert {path.name for path in (book.root / "tests/chapters").iterdir()} == {"test_svd.py"}


def test_only_what_has_changed_is_written(book):
    book.export()
    before = {path: os.stat(path).st_mtime_ns for path in book.files()}
    assert book.export().out == "Exported 3 chapters; 0 files changed.\n"
    book["psd"][1] = code("ORDER = 3", "export")
    book.save()
    assert book.export().out == "wrote lowrank/psd.py\nExported 3 chapters; 1 file changed.\n"
    after = {path: os.stat(path).st_mtime_ns for path in book.files()}
    assert {path.name for path in after if after[path] != before[path] and path.suffix == ".py"} == {"psd.py"}


def test_a_book_without_chapters(book):
    for module in list(book.chapters):
        (book.root / f"{book.docname(module)}.ipynb").unlink()
    book.write_toc()
    assert book.export().status == 0
    assert "_HOME = {}" in book.read("lowrank/__init__.py")
    assert book.export("--check").status == 0


def test_imports_are_merged_and_sorted(book):
    book["svd"][1] = code("from lowrank.conventions import scale\nimport numpy as np\nfrom math import sin, pi", "export")
    book["svd"][2] = code(
        """
        # the angle
        from math import cos
        import numpy.linalg

        from lowrank.conventions import halve

        # a comment of ANGLE
        ANGLE = cos(pi) + sin(0) + np.pi + scale(halve(numpy.linalg.norm([1])))
        """,
        "export",
    )
    book["svd"][4] = code("def test_angle():\n    assert np.isfinite(ANGLE)\n\ntest_angle()", "test", "check-eckart-young")
    book.save()
    assert book.export().status == 0
    assert book.read("lowrank/svd.py").split('"""')[2].startswith(
        "\n\nfrom math import cos, pi, sin\n\nimport numpy as np\nimport numpy.linalg\n\n"
        'from lowrank.conventions import halve, scale\n\n__all__ = ["ANGLE"]\n\n\n'
        "# %% book/low_rank/svd.ipynb: ANGLE\n# a comment of ANGLE\nANGLE = "
    )
    assert "\nimport numpy as np\n\nfrom lowrank.svd import ANGLE\n" in book.read("tests/chapters/test_svd.py")


def test_what_is_internal_serves_later_chapters_and_nobody_else(book):
    book.export()
    module = book.read("lowrank/conventions.py")
    assert '__all__ = ["scale"]' in module and "def halve(A):" in module
    assert "halve" not in book.read("lowrank/__init__.py") + book.read("lowrank/__init__.pyi")
    assert "from lowrank.conventions import halve, scale" in book.read("lowrank/svd.py")


def test_the_foundations_may_be_an_appendix(book):
    """They stand last in the reader's order, and all chapters import from them."""
    book.write_toc("book/low_rank/svd", "book/low_rank/psd", "book/foundations/conventions")
    assert book.export().status == 0


def test_every_module_of_a_package_is_imported(book):
    source = "import numpy.fft\nimport numpy.linalg\n\nSIZE = numpy.linalg.norm(numpy.fft.fft([1]))"
    book["psd"] += [code(source, "export"), code("def test_size():\n    assert numpy.fft.ifft([SIZE])", "test")]
    book.save()
    assert book.export().status == 0
    assert "\nimport numpy.fft\nimport numpy.linalg\n\nfrom lowrank.psd import SIZE\n" in book.read("tests/chapters/test_psd.py")


def test_long_lists_get_one_name_a_line(book):
    names = [f"a_rather_long_name_{number}" for number in range(8)]
    book["conventions"].append(code("\n".join(f"{name} = 1" for name in names), "export"))
    book["psd"].append(code(f"from lowrank.conventions import {', '.join(names)}\nTOTAL = {' + '.join(names)}", "export"))
    book.save()
    assert book.export().status == 0
    module = book.read("lowrank/psd.py")
    assert "from lowrank.conventions import (\n    a_rather_long_name_0,\n" in module
    assert max(map(len, book.read("lowrank/conventions.py").splitlines())) <= 100


def test_calls_of_tests_go_with_their_comments(book):
    source = "A = [2.0]\n\n# see it run\nprint(norm(A))\n\n\ndef test_a():\n    assert norm(A)\n\n\n# now\ntest_a()"
    book["svd"].append(code(source, "test"))
    book.save()
    assert book.export().status == 0
    tests = book.read("tests/chapters/test_svd.py")
    assert tests.endswith("# %% book/low_rank/svd.ipynb: test_a\nA = [2.0]\n\ndef test_a():\n    assert norm(A)\n")


def test_what_a_chapter_may_do(book):
    """Constructs that a less careful analysis of names would refuse."""
    book["psd"] += [
        code(
            """
            from typing import TYPE_CHECKING, NamedTuple
            if TYPE_CHECKING:
                from fractions import Fraction
            try:
                import torch
            except ImportError:
                torch = None
            """,
            "export",
        ),
        code(
            """
            class Pair(NamedTuple):
                '''Two numbers.'''

                first: float
                second: "Fraction" = 0
                squares = [n * n for n in range(3)]

                def swap(self) -> "Pair":
                    return Pair(self.second, self.first)

            _CACHE, *_REST = [later for later in range(2)], 1

            def walk(items, *more, key=len, **options):
                '''Names of every sort.'''
                global _STATE
                _STATE = torch
                try:
                    with open("x") as handle:
                        (first, *rest), total = (items, 0)
                except OSError as error:
                    return error, helper(handle)
                match items:
                    case {"a": value, **others}:
                        return value, others
                    case [head, *tail] if (size := len(tail)):
                        return head, size, lambda extra: (extra, first, rest, total, _STATE, TYPE_CHECKING)
                del items

                def inner():
                    nonlocal total
                    total += 1
                    return [later for later in more if key(later)] + [__name__, options]
                return inner

            def helper(x):
                '''Defined below its use, which is inside a function.'''
                return helper
            """,
            "export",
            "hide-input",
        ),
    ]
    book.save()
    run = book.export()
    assert (run.status, run.err) == (0, "")
    assert '__all__ = ["ORDER", "Pair", "walk", "helper"]' in book.read("lowrank/psd.py")


# Extras: chapters that need more than the package requires


ENGINE = """
from some_engine import Engine
from some_engine.parts import WHEEL

from lowrank.svd import norm


class Car(Engine):
    '''Moves.'''

    wheels = 4, WHEEL, norm
"""
GUARD = """
try:
    from some_engine import Engine
    from some_engine.parts import WHEEL
except ImportError as error:
    raise ImportError('lowrank.psd needs the extra `fun`: pip install "lowrank[fun]"') from error
"""


def with_engine(book):
    book["psd"].append(code(ENGINE, "export"))
    book.settings["psd"] = {"extra": "fun"}
    book.save()


def test_a_chapter_with_an_extra_may_build_on_its_library(book):
    with_engine(book)
    assert book.export().status == 0
    assert GUARD in book.read("lowrank/psd.py")
    package = book.read("lowrank/__init__.py")
    assert '_EXTRA = {"psd": "fun"}' in package and '"Car": "psd"' in package
    stub = book.read("lowrank/psd.pyi")
    assert "from some_engine import Engine" in stub and "class Car(Engine):" in stub


def test_a_function_may_import_what_needs_an_extra(book):
    """It runs when somebody has brought the library; what runs with the import of the module may not."""
    source = "from lowrank.svd import norm"
    book.settings["svd"] = {"extra": "fun"}
    book["psd"].append(code(f"def far(A):\n    '''Far.'''\n    {source}\n    return norm(A)", "export"))
    book.save()
    assert book.export().status == 0 and f"    {source}\n" in book.read("lowrank/psd.py")
    book["psd"][-1] = code(f"if ORDER:\n    {source}")
    book.save()
    assert "needs the extra `fun`" in book.export().err


def test_without_the_library_a_name_says_what_to_install(book):
    with_engine(book)
    book.export()
    program = """
import lowrank
from lowrank import *
print(norm([4.0]), "Car" in globals(), "Car" in dir(lowrank))
for name in ("Car", "psd"):
    try:
        getattr(lowrank, name)
    except ImportError as error:
        print(error)
"""
    advice = 'lowrank.psd needs the extra `fun`: pip install "lowrank[fun]"'
    assert python(program, book.root).splitlines() == ["2.0 False True", advice, advice]


def test_with_the_library_all_is_there(book):
    with_engine(book)
    book.write("some_engine/__init__.py", "class Engine:\n    pass\n")
    book.write("some_engine/parts.py", "WHEEL = 'round'\n")
    book.export()
    assert python("import lowrank\nprint(lowrank.Car.wheels[:2], lowrank.psd.__name__)", book.root) == (
        "(4, 'round') lowrank.psd"
    )


def test_a_chapter_without_the_library_is_not_run(book):
    with_engine(book)
    run = book.execute("psd")
    assert (run.status, run.err) == (0, "")
    assert run.out.splitlines()[-1] == "book/low_rank/psd.ipynb: not run, since the extra `fun` is not installed"


# --check


def test_check_prints_the_difference_and_writes_nothing(book):
    book.export()
    book.write("lowrank/svd.py", SVD_MODULE.replace("A norm.", "A hand-made norm."))
    before = book.files()
    run = book.export("--check")
    assert run.status == 1
    assert run.err == "Package and book differ in 1 file. Run: make export\n"
    assert run.out.splitlines()[:2] == ["--- lowrank/svd.py", "+++ lowrank/svd.py (from the book)"]
    assert "-    '''A hand-made norm.'''\n+    '''A norm.'''\n" in run.out
    assert book.files() == before


def test_check_sees_a_stale_package(book):
    book.export()
    assert book.export("--check").out == "Package and book agree (3 chapters).\n"
    book["psd"][1] = code("ORDER = 3", "export")
    book.save()
    assert book.export("--check").status == 1
    (book.root / "lowrank/py.typed").unlink()
    book.export()
    assert book.export("--check").status == 0


def test_the_command_itself(book):
    """Run as `make` runs it: exit status and streams of the process."""
    command = [sys.executable, str(LITERATE), "export", "--root", str(book.root)]
    done = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert done.returncode == 1 and "+++ lowrank/svd.py" in done.stdout
    book.write("_toc.yml", "")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("_toc.yml: is empty; ")


# What is unfinished: a warning while writing, an error once it is checked


def with_output(source, **output):
    return {**code(source), "outputs": [output]}


SILENT = (
    "cell 6 (eckart-young): the check of `eckart-young` asserts nothing that could be false;"
    " assert each clause, with `proved`, `equal`, `bounded`, `frequency` of book.checks or with `assert`"
)
CHECKS_THAT_CANNOT_FAIL = {
    "a check that prints": "print(norm([1.0]) == 0.5)",
    "an assertion of a constant": "assert 1 < 2, norm",
    "an assertion or true": "assert norm([1.0]) == 3 or True",
    "an assertion that is skipped": "if False:\n    assert norm([1.0]) == 3",
    "a helper that is given constants": "equal('norms', 1, 1)",
    "a formula that is not compared": "print(formula('It')(I=norm([1.0]), t=1))",
}
CHECKS_THAT_CAN_FAIL = {
    "a helper": "equal('norms', norm([1.0]), 0.5)",
    "numpy.testing": "np.testing.assert_allclose(norm([1.0]), 0.5)",
    "a function that is called": "def f():\n    assert norm([1.0]) == 0.5\n\nf()",
    "a function that is handed on": "def f(x):\n    assert norm([x]) == 0.5\n\nlist(map(f, [1.0]))",
    "an error that is expected": "with pytest.raises(ValueError):\n    norm([])",
    "an error that is raised": "if norm([1.0]) != 0.5:\n    raise ValueError",
    "an assertion in a loop": "for x in [1.0, 2.0]:\n    assert norm([x]) == x / 2",
    "a test": "test_norm()",
}
UNFINISHED = {
    **{name: ([code(source, "check-eckart-young")], SILENT) for name, source in CHECKS_THAT_CANNOT_FAIL.items()},
    "an assertion in a function that is not called": (
        [code("norm([1.0])\ndef f():\n    assert norm([1.0]) == 3", "check-eckart-young")],
        SILENT.replace("(eckart-young)", "(f)"),
    ),
    "a check that calls nothing": (
        [md(":::{prf:lemma}\n:label: small\n\nOne.\n:::"), code("x = 1\nassert x == abs(-x)", "check-small")],
        "cell 7 (small): the check of `small` calls nothing; compute what the claim says in a second way",
    ),
    "a formula that the claim has not": (
        [
            md(":::{prf:lemma}\n:label: small\n\nIt is $\\frac{q}{2}$.\n:::\n\n$\\frac{q}{3}$"),
            code("half = formula(r'\\frac{q}{3}')\nassert half(q=norm([4.0])) == 1", "check-small"),
        ],
        "cell 7 (small), line 1: the claim `small` does not contain `\\frac{q}{3}`;"
        " quote the formula as the claim has it, or correct the claim",
    ),
    "a formula in a variable": (
        [code("for tex in [r'It', r'\\frac12']:\n    assert formula(tex)(I=norm([1.0]), t=1) == 0.5", "check-eckart-young")],
        "cell 6 (eckart-young), line 1: the claim `eckart-young` does not contain `\\frac12`;"
        " quote the formula as the claim has it, or correct the claim",
    ),
    "a formula from nowhere": (
        [code("assert formula(tex)(x=norm([1.0])) == 0.5", "check-eckart-young")],
        "cell 6 (eckart-young), line 1: `formula` is not given a formula;"
        ' write `formula(r"...")` with the TeX of the claim',
    ),
    "a claim without a check": (
        [md(":::{prf:lemma}\n:label: small\n\nNo check.\n:::")],
        "cell 6 (small), line 1: the lemma `small` has no check; tag the cell that checks it `check-small`",
    ),
    "a cell that shows too much": (
        [code("\n".join(f"X{k} = {k}" for k in range(31)), "export")],
        "cell 6 (X0): shows 31 lines of code, more than 30;"
        " split it where a sentence fits between, or tag it `hide-input` if it is plumbing",
    ),
    "a line that has to be scrolled": (
        [code("X = " + " + ".join(["1"] * 25), "hide-input")],
        "cell 6 (X), line 1: has 101 columns, more than 99; break this line",
    ),
    "an output that has to be scrolled": (
        [with_output("print(100 * '-')", output_type="stream", name="stdout", text=[100 * "-"])],
        "cell 6: prints a line of 100 columns, more than 99; print shorter lines, and run it",
    ),
    "a cell that was not run": (
        [{**code("x = 1"), "execution_count": None}],
        "cell 6 (x): has not run, or not in its turn; run: make run CHAPTER=svd",
    ),
    "a cell that was run twice": (
        [{**code("x = 1"), "execution_count": 5}, code("y = 2")],
        "cell 6 (x): has not run, or not in its turn; run: make run CHAPTER=svd",
    ),
    "a semicolon": (
        [code("x = 1\nx;\n")],
        "cell 6 (x), line 2: ends with a semicolon, which hides an output from readers but not from nbval; write `_ = ...`",
    ),
    "an output that is not compared": (
        [code("1", "nbval-ignore-output")],
        "cell 6: has an output that is not compared, without a reason; say why in the text above it",
    ),
    "a picture without text": (
        [with_output("x = 1", output_type="display_data", data={"image/png": "iVBO", "text/plain": ["<Figure>"]})],
        "cell 6 (x): shows a picture without alternative text; describe it for those who do not see it:"
        ' `"mystnb": {"image": {"alt": "..."}}` in its metadata',
    ),
    "an error that is stored": (
        [with_output("1 / 0", output_type="error", ename="E", evalue="no", traceback=["E: no"])],
        "cell 6: stores an error; correct it and run it, or tag it `raises-exception` if the error is the point",
    ),
    "a warning that is stored": (
        [with_output("x = 1", output_type="stream", name="stderr", text=["careful"])],
        "cell 6 (x): stores a warning; remove its cause and run it",
    ),
    "a place on this machine": (
        [with_output("x = 1", output_type="stream", name="stdout", text=["in /home/me"])],
        "cell 6 (x): prints `/home/m`, which is another on every machine; print less, and run it",
    ),
    "an import that only the notebook uses": (
        [code("from math import pi, sin\nDEGREE = pi / 180", "export"), code("sin(DEGREE)")],
        "cell 6 (DEGREE), line 1: `sin` is imported here, and no exported cell uses it; import it in a cell that is not exported",
    ),
}


@pytest.mark.parametrize("source", CHECKS_THAT_CAN_FAIL.values(), ids=CHECKS_THAT_CAN_FAIL)
def test_a_check_that_can_fail(book, source):
    book["svd"] += [code(source, "check-eckart-young")]
    book.save()
    assert (book.export().status, book.export().err) == (0, "")


def test_a_formula_of_the_claim(book):
    """Spaces and line breaks do not matter; any of the claims that the cell checks may have it."""
    book["svd"] += [
        md(":::{prf:lemma}\n:label: small\n\nIt is\n\n$$\n\\frac{ q }\n{2}.\n$$\n:::"),
        code("assert formula(r'\\frac{q}{2}')(q=norm([4.0])) == 1", "check-eckart-young", "check-small"),
    ]
    book.save()
    assert (book.export().status, book.export().err) == (0, "")


def test_what_is_folded_may_be_long(book):
    lines = "\n".join(f"    assert norm([{k}.0]) >= {k / 4}" for k in range(31))
    docstring = "\n".join(f"    Line {k}." for k in range(31))
    book["svd"] += [
        code(f"def test_folded():\n{lines}", "test"),
        code("\n".join(f"x{k} = {k}" for k in range(31)), "hide-input"),
        code(f"def f():\n    '''A summary.\n\n{docstring}\n    '''\n    return 1", "export"),
    ]
    book.save()
    assert (book.export().status, book.export().err) == (0, "")


@pytest.mark.parametrize(("cells", "expected"), UNFINISHED.values(), ids=UNFINISHED)
def test_unfinished(book, cells, expected):
    book["svd"] += cells
    book.save()
    run = book.export()
    assert (run.status, run.err) == (0, f"warning: book/low_rank/svd.ipynb, {expected}\n")
    before = book.files()
    run = book.export("--check")
    assert (run.status, run.errors) == (2, [f"book/low_rank/svd.ipynb, {expected}", NOTHING_WRITTEN])
    assert book.files() == before


def test_a_chapter_without_an_outcome_is_unfinished(book):
    book["psd"][0] = md("# Nystrom\n\nWe approximate a kernel matrix.")
    book.save()
    expected = (
        "book/low_rank/psd.ipynb: does not say what a reader will be able to do;"
        " add a line that begins with `**You will be able to**` below the opening"
    )
    assert book.export().err == f"warning: {expected}\n"
    assert book.export("--check").errors == [expected, NOTHING_WRITTEN]


def test_a_picture_with_its_text_and_an_error_that_is_the_point_are_fine(book):
    picture = with_output("x = 1", output_type="display_data", data={"image/png": "iVBO"})
    picture["metadata"] = {"mystnb": {"image": {"alt": "A line."}}}
    error = with_output("1 / 0", output_type="error", ename="E", evalue="no", traceback=["E: no"])
    error["metadata"] = {"tags": ["raises-exception"]}
    book["svd"] += [picture, error, md("It differs."), code("1", "nbval-ignore-output")]
    book.save()
    assert book.export().err == ""


# Mistakes in the cells of a chapter. Each is added to the end of `svd`, which has five cells.

MISTAKES = {
    "not Python": (
        [code("x = 1\nif x\n    y", "export")],
        "cell 6, line 2: is faulty Python: expected ':'; correct this line",
    ),
    "return outside a function": (
        [code("return 1")],
        "cell 6, line 1: is faulty Python: 'return' outside function; correct this line",
    ),
    "an escape that is none": (
        [code('def f():\n    """Solve \\min."""', "export")],
        "cell 6 (f), line 2: invalid escape sequence '\\m'; begin the string with r",
    ),
    "a magic": (
        [code("x = 1\n%matplotlib inline")],
        "cell 6, line 2: `%matplotlib inline` is not Python but a command of IPython; write plain Python",
    ),
    "a cell magic": (
        [code("%%time\nx = 1", "export")],
        "cell 6, line 1: `%%time` is not Python but a command of IPython; write plain Python",
    ),
    "a shell command": (
        [code("!pip install x", "test")],
        "cell 6, line 1: `!pip install x` is not Python but a command of IPython; write plain Python",
    ),
    "a question": (
        [code("norm?")],
        "cell 6, line 1: `norm?` is not Python but a command of IPython; write plain Python",
    ),
    "an assigned shell command": (
        [code("files = !ls")],
        "cell 6, line 1: `files = !ls` is not Python but a command of IPython; write plain Python",
    ),
    # tags
    "a misspelt tag": (
        [code("X = 1", "exprot")],
        "cell 6 (X): the tag `exprot` is not known; write `export`",
    ),
    "a misspelt tag of Jupyter Book": (
        [code("X = 1", "hide_input")],
        "cell 6 (X): the tag `hide_input` is not known; write `hide-input`",
    ),
    "a misspelt check": (
        [code("X = 1", "check_eckart")],
        "cell 6 (X): the tag `check_eckart` is not known; write `check-<label>`",
    ),
    "an unknown tag": (
        [code("X = 1", "zzz")],
        "cell 6 (X): the tag `zzz` is not known; use `export`, `internal`, `test` or `check-<label>`, or remove it",
    ),
    "a tag on text": (
        [{**md("Text."), "metadata": {"tags": ["export"]}}],
        "cell 6: the tag `export` is on a cell without code; move it to the cell with the code",
    ),
    "export and test": (
        [code("def test_f():\n    '''Test.'''", "export", "test")],
        "cell 6 (test_f): a cell cannot be `export` and `test`; split the cell",
    ),
    "export and check": (
        [code("X = 1", "export", "check-eckart-young")],
        "cell 6 (eckart-young): a cell cannot be `export` and `check-eckart-young`; split the cell",
    ),
    "export and internal": (
        [code("def f():\n    '''One.'''", "export", "internal")],
        "cell 6 (f): a cell cannot be `export` and `internal`; split the cell",
    ),
    "internal and test": (
        [code("def test_f():\n    '''Test.'''", "test", "internal")],
        "cell 6 (test_f): a cell cannot be `internal` and `test`; split the cell",
    ),
    "a repeated id": (
        [{**code("x = 1"), "id": "id-0"}],
        "cell 6 (x): this cell has the id of cell 1, `id-0`; cut it and paste it in JupyterLab, which gives a new id",
    ),
    "no id": (
        [{**code("x = 1"), "id": None}],
        "cell 6 (x): this cell has no id; save the notebook in JupyterLab, which adds it",
    ),
    # claims
    "a check without its claim": (
        [code("x = 1", "check-eckart-yung")],
        "cell 6 (eckart-yung): there is no claim `eckart-yung` in this chapter; tag it `check-eckart-young`",
    ),
    "a check of nothing": (
        [code("x = 1", "check-zzz")],
        "cell 6 (zzz): there is no claim `zzz` in this chapter; label a claim `zzz`",
    ),
    "a claim without label": (
        [md("::::{prf:lemma} Title\n:::{note}\n:label: inner\n:::\n::::")],
        "cell 6, line 1: this lemma has no label; write `:label: some-label` on the line below its opening",
    ),
    "a malformed label": (
        [md(":::{prf:lemma}\n:label: Big_one\n:::"), code("assert norm([1.0])", "check-Big_one")],
        "cell 6 (Big_one), line 1: the label `Big_one` is malformed; use small letters, digits and hyphens, a letter first",
    ),
    "a malformed target": (
        [md("Text.\n\n(sec:one)=\n## One")],
        "cell 6 (One), line 3: the label `sec:one` is malformed; use small letters, digits and hyphens, a letter first",
    ),
    "a label used twice": (
        [md("(eckart-young)=\n## Again")],
        "cell 6 (Again), line 1: the label `eckart-young` is taken by book/low_rank/svd.ipynb, cell 4 (eckart-young), line 1;"
        " choose another",
    ),
    "a figure with a name that is taken": (
        [{**code("x = 1"), "metadata": {"mystnb": {"figure": {"name": "eckart-young"}}}}],
        "cell 6 (x): the label `eckart-young` is taken by book/low_rank/svd.ipynb, cell 4 (eckart-young), line 1; choose another",
    ),
    "a claim fenced with backticks": (
        [md("```{prf:lemma}\n:label: ticks\n```")],
        "cell 6, line 1: this lemma is fenced with `` ``` ``; fence claims with colons, `:::`",
    ),
    "a fence that is not closed": (
        [md("::::{note}\n:::{tip}\n:::\nText.")],
        "cell 6, line 1: the fence `::::` is not closed; close it with `::::`",
    ),
    # imports
    "import lowrank": (
        [code("import lowrank")],
        "cell 6, line 1: `import lowrank` does not say which names are used; write `from lowrank.<chapter> import <name>`",
    ),
    "import lowrank.svd as s": (
        [code("def f():\n    import lowrank.svd as s")],
        "cell 6 (f), line 2: `import lowrank.svd as s` does not say which names are used;"
        " write `from lowrank.<chapter> import <name>`",
    ),
    "from lowrank import": (
        [code("from lowrank import scale")],
        "cell 6, line 1: `from lowrank import scale` does not name the chapter; write `from lowrank.conventions import scale`",
    ),
    "its own module": (
        [code("from lowrank.svd import norm")],
        "cell 6, line 1: `from lowrank.svd import norm` imports this chapter into itself; remove it; run the cells above instead",
    ),
    "a later chapter": (
        [code("from lowrank.psd import ORDER")],
        "cell 6, line 1: `from lowrank.psd import ORDER` imports a later chapter;"
        " move `psd` before `svd` in _toc.yml, or do without",
    ),
    "a chapter that is not there": (
        [code("from lowrank.convention import scale")],
        "cell 6, line 1: there is no chapter `convention`; write `lowrank.conventions`",
    ),
    "a name that is not there": (
        [code("from lowrank.conventions import scael")],
        "cell 6, line 1: book/foundations/conventions.ipynb does not export `scael`; write `scale`",
    ),
    "a name that the other chapter only imports": (
        [code("from lowrank.conventions import np")],
        "cell 6, line 1: book/foundations/conventions.ipynb does not export `np`;"
        " export it there, or import it from where it is defined",
    ),
    "a private name of another chapter": (
        [code("from lowrank.conventions import _half")],
        "cell 6, line 1: `_half` is private to book/foundations/conventions.ipynb;"
        " name it `half` there, in a cell tagged `internal`, or do without",
    ),
    "import *": (
        [code("from math import *")],
        "cell 6, line 1: `from math import *` hides what is used; name what you import",
    ),
    "a relative import": (
        [code("from .conventions import scale")],
        "cell 6, line 1: `from .conventions import scale` is a relative import; write `from lowrank.<chapter> import <name>`",
    ),
    "an import of the future": (
        [code("from __future__ import annotations")],
        "cell 6, line 1: `from __future__ import annotations` would change the whole module;"
        " do without; an annotation can be quoted",
    ),
    "a package that lowrank does not require": (
        [code("import sympy\nX = sympy.pi", "export")],
        "cell 6 (X), line 1: `sympy` is not among the dependencies in pyproject.toml;"
        " import it in a cell that is not exported, or give the chapter an extra (CONTRIBUTING.md)",
    ),
    # names
    "a name that is not exported": (
        [code("rng = 1"), code("def f():\n    '''Draw.'''\n    return rng", "export")],
        "cell 7 (f), line 3: `rng` is defined in cell 6, which is not exported; export that cell, or pass it as an argument",
    ),
    "a name that is not defined": (
        [code("def f(x=missing):\n    '''Draw.'''", "export")],
        "cell 6 (f), line 1: `missing` is not defined in this chapter; define or import it in an exported cell",
    ),
    "an import that is not exported": (
        [code("import numpy as np"), code("def f():\n    '''One.'''\n    return np.ones(1)", "export")],
        "cell 7 (f), line 3: `np` is defined in cell 6, which is not exported; export that cell, or pass it as an argument",
    ),
    "a decorator defined below": (
        [code("@late\ndef f():\n    '''One.'''", "export"), code("def late(f):\n    '''Two.'''", "export")],
        "cell 6 (f), line 1: `late` is used before cell 7 defines it; move its definition up",
    ),
    "a test with a name of the notebook": (
        [code("rng = 1"), code("def test_rng():\n    assert rng", "test")],
        "cell 7 (test_rng), line 2: `rng` is defined in cell 6, which is not exported; create it inside the test",
    ),
    "a test with an undefined name": (
        [code("def test_rng():\n    assert [x for x in rng]", "test")],
        "cell 6 (test_rng), line 2: `rng` is not defined in this chapter; define or import it inside the test",
    ),
    "a name defined twice": (
        [code("def norm(x):\n    '''Another.'''", "export")],
        "cell 6 (norm), line 1: `norm` is defined in cell 3 already; use another name here",
    ),
    "a test defined twice": (
        [code("def test_norm():\n    pass", "test")],
        "cell 6 (test_norm), line 1: `test_norm` is defined in cell 5 already; use another name here",
    ),
    "an exported name used for something else": (
        [code("for norm in range(3):\n    pass")],
        "cell 6, line 1: `norm` is defined in cell 3 already; use another name here",
    ),
    "a public name that is a module": (
        [code("def psd(x):\n    '''Positive.'''", "export")],
        "cell 6 (psd), line 1: `psd` is also the name of a chapter; rename it, or the chapter `psd`",
    ),
    # what a cell may hold
    "a call": (
        [code("def f():\n    '''One.'''\n\nprint(f())", "export")],
        "cell 6 (f), line 4: `print(f())` is not an import, a definition or a constant; move it to a cell that is not exported",
    ),
    "an assertion": (
        [code("assert norm([1.0]) == 0.5", "export")],
        "cell 6, line 1: `assert norm([1.0]) == 0.5` is not an import, a definition or a constant;"
        " move it to a cell that is not exported",
    ),
    "a loop in a test cell": (
        [code("def test_f():\n    pass\n\nfor k in range(3):\n    test_f()", "test")],
        "cell 6 (test_f), line 4: `for k in range(3):` is not an import, a definition or a call of a test;"
        " put it into `def test_...():`",
    ),
    "a test cell without a test": (
        [code("print(norm([1.0]))", "test")],
        "cell 6: this cell defines no test; put its assertions into `def test_...():`",
    ),
    "two statements on a line": (
        [code("X = 1; Y = 2", "export")],
        "cell 6 (X), line 1: `Y = 2` shares its line with another statement; give each statement a line of its own",
    ),
    "__all__": (
        [code("__all__ = ['norm']", "export")],
        "cell 6 (__all__), line 1: `__all__ = ['norm']` belongs to the exporter; remove it",
    ),
    "a function without docstring": (
        [code("def f():\n    pass", "export")],
        "cell 6 (f), line 1: `f` has no docstring; say in one line which problem it solves",
    ),
    "a class without docstring": (
        [code("class Pair:\n    pass", "export")],
        "cell 6 (Pair), line 1: `Pair` has no docstring; say in one line which problem it solves",
    ),
}


@pytest.mark.parametrize(("cells", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_cells(book, cells, expected):
    book["svd"] += cells
    book.save()
    assert_refused(book, f"book/low_rank/svd.ipynb, {expected}")


def assert_refused(book, *expected):
    """Both commands print the errors, exit with 2 and write nothing."""
    before = book.files()
    for arguments in [(), ("--check",)]:
        run = book.export(*arguments)
        assert run.errors[:-1] == list(expected)
        assert run.errors[-1].startswith(f"{len(expected)} error")
        assert run.status == 2 and run.out == ""
    assert book.files() == before


# Mistakes in the files: (what is done to the book, what is answered)


def rename(module, docname):
    def spoil(book):
        path = book.root / f"{book.docname(module)}.ipynb"
        (book.root / docname).parent.mkdir(parents=True, exist_ok=True)
        path.rename(book.root / f"{docname}.ipynb")
        names = [docname if name == module else book.docname(name) for name in book.chapters]
        book.write_toc(*names)

    return spoil


def write(path, text):
    return lambda book: book.write(path, text)


def add_to(module, *cells):
    def spoil(book):
        book[module] += cells
        book.save()

    return spoil


def add_settings(module, word=None, **settings):
    def spoil(book):
        book.settings[module] = word or settings
        book.save()

    return spoil


def replace_all(module, *cells):
    def spoil(book):
        book.save_notebook(f"{book.docname(module)}.ipynb", cells)

    return spoil


FORGETFUL_TOC = """
format: jb-book
root: book/index
chapters:
- file: book/foundations/conventions
- file: book/low_rank/svd
"""

BAD_FILES = {
    "invalid JSON": (
        write("book/low_rank/svd.ipynb", '{\n "cells": [,]\n}'),
        "book/low_rank/svd.ipynb, line 2: is not valid JSON (Expecting value); restore it from git and edit it in JupyterLab",
    ),
    "an empty notebook": (
        write("book/low_rank/svd.ipynb", ""),
        "book/low_rank/svd.ipynb: is empty; restore it from git, or delete it",
    ),
    "JSON that is no notebook": (
        write("book/low_rank/svd.ipynb", "[]"),
        "book/low_rank/svd.ipynb: is JSON, but not a notebook; restore it from git",
    ),
    "an unknown format": (
        lambda book: book.save_notebook("book/low_rank/svd.ipynb", [], minor=9),
        "book/low_rank/svd.ipynb: has the notebook format 4.9, not 4.5; save it in JupyterLab",
    ),
    "a cell that is none": (
        replace_all("psd", {"cell_type": "cod", "metadata": {}, "source": ""}),
        "book/low_rank/psd.ipynb, cell 1: is not a cell of notebook format 4.5; delete it, or save it anew in JupyterLab",
    ),
    "bytes that are no text": (
        lambda book: (book.root / "book/low_rank/psd.ipynb").write_bytes(b"\xff\xfe"),
        "book/low_rank/psd.ipynb: is not UTF-8 text; restore it from git",
    ),
    "no title": (
        replace_all("psd", md(f"Text.{OUTCOME}"), code("ORDER = 2", "export")),
        "book/low_rank/psd.ipynb: has no title; begin its first cell with `# Title`",
    ),
    "no opening sentence": (
        replace_all("psd", md(f"{OUTCOME}\n\n# Title"), code("ORDER = 2", "export")),
        "book/low_rank/psd.ipynb: has no opening sentence; say below the title which problem the chapter solves",
    ),
    "a chapter that is missing": (
        lambda book: (book.root / "book/low_rank/psd.ipynb").unlink(),
        "_toc.yml, line 8: there is no `book/low_rank/psd.ipynb` or `book/low_rank/psd.md`; add it, or correct this line",
    ),
    "a chapter that was forgotten": (
        write("_toc.yml", FORGETFUL_TOC),
        "book/low_rank/psd.ipynb: is not in _toc.yml; add `- file: book/low_rank/psd` to _toc.yml",
    ),
    "a chapter that is named twice": (
        lambda book: book.write_toc(*map(book.docname, book.chapters), "book/low_rank/svd"),
        "_toc.yml, line 7: `book/low_rank/svd` is named twice; remove one of the two lines",
    ),
    "a module that is exported twice": (
        rename("psd", "book/other/svd"),
        "book/other/svd.ipynb: book/low_rank/svd.ipynb exports the module `svd` already; rename one of the two notebooks",
    ),
    "a module that has no name": (
        rename("psd", "book/low_rank/2-psd"),
        "book/low_rank/2-psd.ipynb: `2-psd` cannot be the name of a module;"
        " rename the notebook with small letters, digits and underscores",
    ),
    "a module with the name of a keyword": (
        rename("psd", "book/low_rank/lambda"),
        "book/low_rank/lambda.ipynb: `lambda` cannot be the name of a module;"
        " rename the notebook with small letters, digits and underscores",
    ),
    "a public name of an earlier chapter": (
        add_to("psd", code("X = 1\ndef norm(x):\n    '''Another.'''", "export")),
        "book/low_rank/psd.ipynb, cell 3 (norm), line 2: book/low_rank/svd.ipynb exports `norm` already; rename one of the two",
    ),
    "a name that an earlier chapter shares": (
        add_to("psd", code("def halve(x):\n    '''Another.'''", "internal")),
        "book/low_rank/psd.ipynb, cell 3 (halve), line 1: book/foundations/conventions.ipynb exports `halve` already;"
        " rename one of the two",
    ),
    "a check in another chapter": (
        add_to("psd", code("x = 1", "check-eckart-young")),
        "book/low_rank/psd.ipynb, cell 3 (eckart-young): there is no claim `eckart-young` in this chapter;"
        " move this cell to book/low_rank/svd.ipynb, which states it",
    ),
    "a label of a page": (
        write("book/index.md", "# Front\n\n(eckart-young)=\n## Here\n"),
        "book/low_rank/svd.ipynb, cell 4 (eckart-young), line 1: the label `eckart-young` is taken by book/index.md, line 3;"
        " choose another",
    ),
    "an import of a later chapter inside a function": (
        add_to("conventions", code("def f():\n    from lowrank.svd import norm", "hide-input")),
        "book/foundations/conventions.ipynb, cell 4 (f), line 2: `from lowrank.svd import norm` imports a later chapter;"
        " move `svd` before `conventions` in _toc.yml, or do without",
    ),
    "an extra that is not there": (
        add_settings("psd", extra="fan"),
        "book/low_rank/psd.ipynb: pyproject.toml has no extra `fan`; write `fun`",
    ),
    "a setting that is none": (
        add_settings("psd", extras="fun"),
        "book/low_rank/psd.ipynb: its metadata have the setting `extras`; the only one below `lowrank` is `extra`",
    ),
    "a word in place of a setting": (
        add_settings("psd", "fun"),
        "book/low_rank/psd.ipynb: its metadata have the setting `fun`; the only one below `lowrank` is `extra`",
    ),
    "an import from a chapter with an extra": (
        add_settings("conventions", extra="fun"),
        "book/low_rank/svd.ipynb, cell 2, line 1: `from lowrank.conventions import halve, scale` needs the extra `fun`;"
        ' do without, or give this chapter the extra: `"lowrank": {"extra": "fun"}` in its metadata',
    ),
    "no table of contents": (
        lambda book: (book.root / "_toc.yml").unlink(),
        "_toc.yml: is missing; restore it from git",
    ),
    "a table of contents that is not YAML": (
        write("_toc.yml", "format: jb-book\nroot: [book/index\n"),
        "_toc.yml, line 3: is not valid YAML (expected ',' or ']', but got '<stream end>'); correct this line",
    ),
    "a table of contents without root": (
        write("_toc.yml", "- book/index"),
        "_toc.yml: has no `root`; write `format: jb-book`, `root: book/index` and the `parts`",
    ),
    "a version that is missing": (
        write("pyproject.toml", "[project]\nname = 'lowrank'\ndependencies = ['numpy']"),
        "pyproject.toml: has no version; write `version = ...` below [project]",
    ),
    "a module that is written by hand": (
        write("lowrank/extra.py", "X = 1"),
        "lowrank/extra.py: is not generated, and this folder is; move it, or make it a chapter",
    ),
}


@pytest.mark.parametrize(("spoil", "expected"), BAD_FILES.values(), ids=BAD_FILES)
def test_mistakes_in_files(book, spoil, expected):
    spoil(book)
    run = book.export()
    assert (run.status, run.out) == (2, "")
    assert expected in run.errors  # others may follow from it
    assert_refused(book, *run.errors[:-1])


def test_all_errors_are_reported_at_once_in_reading_order(book):
    book["conventions"].append(code("X = missing", "export"))
    book["svd"] += [code("import lowrank\n%ls"), code("import lowrank", "tset")]
    book.save()
    book.write("book/low_rank/psd.ipynb", "{")
    assert_refused(
        book,
        "book/foundations/conventions.ipynb, cell 4 (X), line 1: `missing` is not defined in this chapter;"
        " define or import it in an exported cell",
        "book/low_rank/svd.ipynb, cell 6, line 2: `%ls` is not Python but a command of IPython; write plain Python",
        "book/low_rank/svd.ipynb, cell 7: the tag `tset` is not known; write `test`",
        "book/low_rank/svd.ipynb, cell 7, line 1: `import lowrank` does not say which names are used;"
        " write `from lowrank.<chapter> import <name>`",
        "book/low_rank/psd.ipynb, line 1: is not valid JSON (Expecting property name enclosed in double quotes);"
        " restore it from git and edit it in JupyterLab",
    )


# A chapter that is gone


def test_what_a_chapter_leaves_behind_is_removed_on_request(book):
    book["psd"].append(code("def test_order():\n    assert ORDER == 2", "test"))
    book.save()
    book.export()
    (book.root / "book/low_rank/psd.ipynb").unlink()
    book.write_toc("book/foundations/conventions", "book/low_rank/svd")
    next_step = "run: python book/_literate export --remove-orphans"
    assert_refused(
        book,
        f"lowrank/psd.py: no chapter exports this file; {next_step}",
        f"lowrank/psd.pyi: no chapter exports this file; {next_step}",
        f"tests/chapters/test_psd.py: no chapter exports this file; {next_step}",
        f"book/reference/api/psd.md: no chapter exports this file; {next_step}",
    )
    run = book.export("--remove-orphans")
    assert run.status == 0
    assert "removed lowrank/psd.py\nremoved lowrank/psd.pyi\nremoved tests/chapters/test_psd.py\n" in run.out
    assert not (book.root / "lowrank/psd.py").exists()
    assert "psd" not in book.read("lowrank/__init__.py") + book.read("lowrank/__init__.pyi")


def test_a_file_written_by_hand_is_never_removed(book):
    book.write("lowrank/extra.py", "X = 1")
    assert book.export("--remove-orphans").status == 2
    assert book.read("lowrank/extra.py") == "X = 1"
