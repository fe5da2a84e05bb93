"""Run the chapters, each in a fresh kernel in its own folder, and store their outputs in a normal form.

    python book/_literate execute            every chapter, in the order of _toc.yml
    python book/_literate execute svd psd    these chapters

The package is exported first, for a chapter imports the chapters before it. The first cell that fails stops the run;
its notebook stays as it was. Running a chapter twice changes nothing. Exit status: 0 done, 1 a cell failed,
2 errors in the book.
"""

import argparse
import os
import re
import sys
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from ..source.chapters import read_book
from ..source.model import ROOT, Problem, nearest
from ..source.project import missing_extras
from . import export

KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA = ("tags", "mystnb")  # whatever else an editor adds is left out
QUIET = ["--log-level=CRITICAL"]  # failures come as messages; the log only repeats advice about transport
ANSI = re.compile(r"\x1b\[[0-9;]*m")
ORIGIN = "__import__('importlib.util').util.find_spec('lowrank').origin"


def main(arguments):
    parser = argparse.ArgumentParser(prog="execute", description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="names such as svd; all chapters if none is given")
    parser.add_argument("--timeout", type=int, default=600, help="seconds for one cell (600)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of _toc.yml")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    if status := export.export(root):
        return status
    book = read_book(root)
    for name in options.chapters:
        if not book.chapter(name):
            near = nearest(name, book.order)
            print(f"There is no chapter `{name}`." + (f" Did you mean `{near}`?" if near else ""), file=sys.stderr)
            return 2
    missing = missing_extras(root)
    for chapter in book.chapters:
        if not options.chapters or chapter.module in options.chapters:
            if chapter.extra in missing:
                print(f"{chapter.path}: not run, since the extra `{chapter.extra}` is not installed")
            elif failure := execute(root, chapter, options.timeout):
                print(failure, file=sys.stderr)
                return 1
    return 0


def execute(root, chapter, timeout=600):
    """Run a chapter and store its outputs; None, or what went wrong as text."""
    path = root / chapter.path
    before = export.read(path)
    notebook = nbformat.reads(before, as_version=4)
    if [cell.source for cell in notebook.cells] != [cell.source for cell in chapter.cells]:
        return f"{chapter.path} was saved after the export. Run it again."
    folder = {"metadata": {"path": str(path.parent)}}
    client = Client(notebook, timeout=timeout, record_timing=False, resources=folder, extra_arguments=QUIET)
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    with client.setup_kernel(env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}):
        if failure := foreign_package(client, root):
            return failure
        for cell in chapter.cells:
            if cell.kind == "code":
                show_progress(chapter, cell)
                if failure := run_cell(client, chapter, cell):
                    return failure
    normalise(notebook)
    text = nbformat.writes(notebook) + "\n"
    if export.read(path) != before:
        return f"{chapter.path} was saved while it ran; its outputs are not stored. Run it again."
    if text != before:
        export.write(path, text)
    print(f"{chapter.path}: {len(chapter.cells)} cells, {'nothing changed' if text == before else 'outputs stored'}")
    return None


class Client(NotebookClient):
    """Runs cells with the interpreter of this script, whatever kernels are installed."""

    def create_kernel_manager(self):
        native = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
        self.km = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=native)
        return self.km


def foreign_package(client, root):
    """What is wrong if the kernel would import another `lowrank` than the one that belongs to these chapters."""
    message = client.kc.execute("", silent=True, user_expressions={"origin": ORIGIN})
    answer = client.wait_for_reply(message)["content"]["user_expressions"]["origin"]
    origin = answer["data"]["text/plain"].strip("'\"") if answer["status"] == "ok" else answer["evalue"]
    here = root / "lowrank" / "__init__.py"
    return None if Path(origin) == here else f"The kernel imports lowrank from {origin}, not from {here}."


def show_progress(chapter, cell):
    name = f" ({cell.name})" if cell.name else ""
    text = f"{chapter.path}: cell {cell.number} of {len(chapter.cells)}{name}"
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}\r", end="", flush=True)
    else:
        print(text, flush=True)


def run_cell(client, chapter, cell):
    """Run one cell; None, or what went wrong as text."""
    try:
        done = client.execute_cell(client.nb.cells[cell.number - 1], cell.number - 1)
    except CellExecutionError as error:
        traceback = ANSI.sub("", error.traceback).strip().splitlines()
        place = chapter.place(cell, line_of_failure(client, cell, traceback))
        message = ANSI.sub("", f"{error.ename}: {error.evalue}").splitlines()[0]
        return "\n".join([str(Problem(place, message, again(chapter))), "", *traceback[-12:]])
    except CellTimeoutError:
        return str(Problem(chapter.place(cell), f"takes longer than {client.timeout} s", again(chapter)))
    except DeadKernelError:
        return str(Problem(chapter.place(cell), "the kernel died", again(chapter)))
    warnings = [output.text for output in done.get("outputs", []) if output.get("name") == "stderr"]
    if warnings:
        message, next_step = "writes a warning, which is not stored", f"remove its cause; {again(chapter)}"
        problem = Problem(chapter.place(cell), message, next_step)
        return "\n".join([str(problem), "", ANSI.sub("", "".join(warnings)).rstrip()])
    return None


def again(chapter):
    return f"correct, save, and run: make run CHAPTER={chapter.module}"


def line_of_failure(client, cell, traceback):
    """The innermost line of this cell in a traceback: in a failing test, its assertion."""
    count = client.nb.cells[cell.number - 1].execution_count
    lines = re.findall(rf"Cell In ?\[{count}\], line (\d+)", "\n".join(traceback))
    return int(lines[-1]) if lines else None


def normalise(notebook):
    """Leave nothing that depends on the editor, the machine or the time."""
    ours = {"lowrank": notebook.metadata["lowrank"]} if notebook.metadata.get("lowrank") else {}
    notebook.metadata = nbformat.from_dict(KERNEL | ours)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in CELL_METADATA if cell.metadata.get(key)})
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)
            for output in cell.outputs:
                if output.output_type == "error":  # the frames name files of this machine
                    output.traceback = [f"{output.ename}: {ANSI.sub('', output.evalue)}"]


def merge_streams(outputs):
    merged = []
    for output in outputs:
        if merged and output.output_type == "stream" and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged
