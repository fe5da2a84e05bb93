"""The commands of the book, each with `--help`:

    python book/_literate export          chapters -> lowrank/ and tests/chapters/; --check compares
    python book/_literate execute svd     export, run chapters, store their outputs
    python book/_literate print           the built book as one PDF
    python book/_literate front-picture   draw the picture of the front page anew
"""

import sys
from importlib import import_module
from pathlib import Path

COMMANDS = {"export": "export", "execute": "execute", "print": "print_pdf", "front-picture": "front_picture"}


def main():
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # `_literate` is a package: its modules have no flat names
    name, *arguments = sys.argv[1:] or ["--help"]
    if name not in COMMANDS:
        print(__doc__, file=sys.stdout if name in ("--help", "-h") else sys.stderr)
        return 0 if name in ("--help", "-h") else 2
    return import_module(f"_literate.commands.{COMMANDS[name]}").main(arguments)


if __name__ == "__main__":
    sys.exit(main())
