"""Print the files in which the tests of some chapters stand, for `make test ONLY="svd psd"`; nothing for no chapter."""

import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

from _literate.source.model import nearest  # noqa: E402
from _literate.source.toc import read_toc  # noqa: E402

ALWAYS = "tests/properties/test_results.py"  # what all results have in common


def main(names, root=ROOT):
    """The status: 0, or 2 for a chapter that is not there."""
    notebooks = {PurePosixPath(file).stem: file for file in read_toc(root).notebooks}
    for name in names:
        if name not in notebooks:
            near = nearest(name, notebooks)
            print(f"There is no chapter `{name}`." + (f" Did you mean `{near}`?" if near else ""), file=sys.stderr)
            return 2
    files = [file for name in names for file in files_of(name, notebooks[name])]
    print(*(file for file in dict.fromkeys(files) if (root / file).is_file()))
    return 0


def files_of(name, notebook):
    tests = [f"tests/{folder}/test_{name}.py" for folder in ("chapters", "properties")]
    return [notebook, *tests, f"lowrank/{name}.py", ALWAYS]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
