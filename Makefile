# make help      lists what can be made. Two commands are all the set-up there is: make book, make test.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed

# What the programs keep for themselves stays in this folder too.
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/cache/matplotlib
export IPYTHONDIR := $(CURDIR)/$(VENV)/cache/ipython
export JUPYTER_RUNTIME_DIR := $(CURDIR)/$(VENV)/cache/jupyter

.DEFAULT_GOAL := help
.PHONY: help book pdf test bench check export run lab clean distclean

help:
	@echo "make book               build the book; ends with the path of its first page"
	@echo "make pdf                build the book and print all of it into one PDF; needs chromium"
	@echo "make test               check everything: package against book, stored outputs, tests, doctests, the built pages"
	@echo "make bench [ONLY=svd]   time lowrank beside other libraries and print the targets met and missed; QUICK=1 is shorter"
	@echo "make export             chapters -> lowrank/ and tests/chapters/"
	@echo "make run [CHAPTER=svd]  export, then run one chapter, or all, and store the outputs"
	@echo "make check              does the package agree with the book? prints the difference"
	@echo "make lab                edit the chapters in JupyterLab"
	@echo "make clean              remove what was built; make distclean removes $(VENV) too"
	@echo "PYTHON=python3.12       chooses the interpreter that $(VENV) is made with (3.11 to 3.13)"

# The interpreter is looked at before anything is made. The test itself runs on any Python, however old.
define INTERPRETER_TEST
import sys
found = "%s is Python %d.%d" % ((sys.executable,) + tuple(sys.version_info[:2]))
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit("lowrank needs Python 3.11, 3.12 or 3.13, but %s: name another one, such as make book PYTHON=python3.12" % found)
try:
    import ensurepip, venv
except ImportError:
    sys.exit("lowrank needs venv and ensurepip, which are missing (%s): sudo apt install python%d.%d-venv, or name another one, such as make book PYTHON=python3.12" % ((found,) + tuple(sys.version_info[:2])))
endef
export INTERPRETER_TEST

# The stamp is touched last, so that an installation that was cut short is taken up again.
$(STAMP): requirements.txt pyproject.toml
	@test -x $(BIN)/pip || { \
	    $(PYTHON) -c "" 2>/dev/null || { echo "lowrank needs Python 3.11, 3.12 or 3.13, but '$(PYTHON)' does not run: install one (sudo apt install python3 python3-venv), or name it, such as make book PYTHON=python3.12"; exit 1; }; \
	    $(PYTHON) -c "$$INTERPRETER_TEST" && echo "==> creating $(VENV) with $(PYTHON)" && $(PYTHON) -m venv $(VENV); }
	@echo "==> installing requirements.txt into $(VENV): about 1 GB, some minutes on the first run"
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt || { echo "lowrank: the installation did not finish (the reason stands above; is there a network?): run make again to go on"; exit 1; }
	@echo "==> listing the fonts, once"
	@$(BIN)/python -c "import matplotlib.font_manager" 2>/dev/null
	@touch $@

check: $(STAMP)
	@echo "==> comparing the package with the book"
	@$(BIN)/python book/_literate export --check

book: check
	@echo "==> building the book"
	@$(BIN)/jupyter-book build . --all -W --keep-going
	@echo "The book is ready: $(CURDIR)/_build/html/index.html"

pdf: book
	@echo "==> printing every page: a minute or two"
	@$(BIN)/python book/_literate print

# One BLAS thread a worker: the workers share the cores. They take the files in the order of tests/conftest.py;
# by the number of its tests the browser's, the longest, would be the last, and the other worker would wait for it.
test: check
	@echo "==> stored outputs, tests, doctests, and the built book in a browser"
	@OPENBLAS_NUM_THREADS=$${OPENBLAS_NUM_THREADS:-1} $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

bench: $(STAMP)
	@$(BIN)/python tests/benchmarks/run.py $(ONLY) $(if $(QUICK),--quick)

export: $(STAMP)
	@$(BIN)/python book/_literate export

run: $(STAMP)
	@$(BIN)/python book/_literate execute $(CHAPTER)

lab: $(STAMP)
	@$(BIN)/jupyter lab --notebook-dir book

clean:
	rm -rf _build .pytest_cache .hypothesis .benchmarks
	find book lowrank tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) *.egg-info
