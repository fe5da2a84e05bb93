# make help      lists what can be made. Two commands are all the set-up there is: make book, make test.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# With PINNED=1 the exact versions of constraints.txt are installed instead of the newest ones.
STAMPS := $(VENV)/installed $(VENV)/pinned
STAMP  := $(if $(PINNED),$(VENV)/pinned,$(VENV)/installed)

# What the programs keep for themselves stays in this folder too.
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/cache/matplotlib
export IPYTHONDIR := $(CURDIR)/$(VENV)/cache/ipython
export JUPYTER_RUNTIME_DIR := $(CURDIR)/$(VENV)/cache/jupyter
# JAX keeps what it has compiled, small functions too: half of what its tests need.
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/$(VENV)/cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES := -1

.DEFAULT_GOAL := help
.PHONY: help book pdf test bench mutants kernels check export run lab extras pin clean distclean

help:
	@echo "make book               build the book, after the first time what has changed (ALL=1: every page); ends with its path"
	@echo "make pdf                build the book and print all of it into one PDF; needs chromium"
	@echo "make test               check everything: package against book, stored outputs, tests, doctests, the built pages"
	@echo "make test ONLY=svd      what belongs to one chapter: its stored outputs, tests and doctests, in seconds"
	@echo "make bench [ONLY=svd]   time lowrank beside other libraries and print the targets met and missed; QUICK=1 is shorter"
	@echo "make mutants [ONLY=svd] make small faults in checks and modules and print those that nothing notices; long"
	@echo "make kernels            the stored outputs under three kernels of OpenBLAS: prints the digits that move"
	@echo "make export             chapters -> lowrank/ and tests/chapters/"
	@echo "make run [CHAPTER=svd]  export, then run one chapter, or all, and store the outputs"
	@echo "make check              does the package agree with the book? prints the difference"
	@echo "make lab                edit the chapters in JupyterLab"
	@echo "make extras             install what only some chapters need: the extras of pyproject.toml"
	@echo "make clean              remove what was built; make distclean removes $(VENV) too"
	@echo "PYTHON=python3.12       chooses the interpreter that $(VENV) is made with (3.11 to 3.13; newer ones are untried)"
	@echo "PINNED=1                installs the versions of constraints.txt, with which the stored outputs were made"

# The interpreter is looked at before anything is made. The test itself runs on any Python, however old.
define INTERPRETER_TEST
import sys
found = "%s is Python %d.%d" % ((sys.executable,) + tuple(sys.version_info[:2]))
if sys.version_info[:2] < (3, 11):
    sys.exit("lowrank needs Python 3.11, 3.12 or 3.13, but %s: name another one, such as make book PYTHON=python3.12" % found)
if sys.version_info[:2] > (3, 13):
    print("==> %s, with which the book has not been tried; 3.11 to 3.13 are tested" % found)
try:
    import ensurepip, venv
except ImportError:
    sys.exit("lowrank needs venv and ensurepip, which are missing (%s): sudo apt install python%d.%d-venv, or name another one, such as make book PYTHON=python3.12" % ((found,) + tuple(sys.version_info[:2])))
endef
export INTERPRETER_TEST

# The stamp is touched last, so that an installation that was cut short is taken up again. There is one of the two.
$(STAMPS): requirements.txt pyproject.toml $(if $(PINNED),constraints.txt)
	@test -x $(BIN)/pip || { \
	    $(PYTHON) -c "" 2>/dev/null || { echo "lowrank needs Python 3.11, 3.12 or 3.13, but '$(PYTHON)' does not run: install one (sudo apt install python3 python3-venv), or name it, such as make book PYTHON=python3.12"; exit 1; }; \
	    $(PYTHON) -c "$$INTERPRETER_TEST" && echo "==> creating $(VENV) with $(PYTHON)" && $(PYTHON) -m venv $(VENV); }
	@rm -f $(STAMPS)
	@echo "==> installing requirements.txt into $(VENV): about 1 GB, some minutes on the first run"
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt $(if $(PINNED),-c constraints.txt) || { echo "lowrank: the installation did not finish (the reason stands above; is there a network?): run make again to go on"; exit 1; }
	@echo "==> listing the fonts, once"
	@$(BIN)/python -c "import matplotlib.font_manager" 2>/dev/null
	@touch $@

# Each extra on its own: one that cannot be had does not keep the others away.
define INSTALL_EXTRAS
import subprocess, sys, tomllib
pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *sys.argv[1:]]
with open("pyproject.toml", "rb") as file:
    extras = tomllib.load(file)["project"]["optional-dependencies"]
for name, packages in extras.items():
    print("==> installing the extra %s: %s" % (name, ", ".join(packages)), flush=True)
    if subprocess.run([*pip, *packages]).returncode:
        print("lowrank: the extra %s could not be installed; what needs it will say that it is skipped" % name)
endef
export INSTALL_EXTRAS

extras: $(STAMP)
	@$(BIN)/python -c "$$INSTALL_EXTRAS" $(if $(PINNED),-c constraints.txt)

# After a run of `make test` in which everything passed. Suffixes such as +cpu name a build, not a version.
pin: $(STAMP)
	@{ sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/+[a-z0-9.]*$$//'; } > constraints.new
	@mv constraints.new constraints.txt

check: $(STAMP)
	@echo "==> comparing the package with the book"
	@$(BIN)/python book/_literate export --check

book: check
	@echo "==> building $(if $(ALL),every page,the pages that have changed)"
	@$(BIN)/jupyter-book build . $(if $(ALL),--all) -W --keep-going
	@echo "The book is ready: $(CURDIR)/_build/html/index.html"

pdf: book
	@echo "==> printing every page: a minute or two"
	@$(BIN)/python book/_literate print

# One thread a worker: the workers share the cores. Who takes what, and in which order, says tests/plugins/order.py.
test: check
	@files=$$($(BIN)/python tests/only.py $(ONLY)) && echo "==> stored outputs, tests, doctests$(if $(ONLY), of $(ONLY),, and the built book in a browser)" && \
	    OPENBLAS_NUM_THREADS=$${OPENBLAS_NUM_THREADS:-1} OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} \
	    $(BIN)/python -m pytest -n auto --maxprocesses 4 $$files

bench: $(STAMP)
	@$(BIN)/python tests/benchmarks/run.py $(ONLY) $(if $(QUICK),--quick)

mutants: check
	@$(BIN)/python -m tests.mutants $(ONLY) $(if $(QUICK),--checks)

# A printed digit that depends on the kernel would differ on another machine. A processor may lack some of them.
kernels: check
	@for kernel in Nehalem Haswell SkylakeX; do echo "==> stored outputs under $$kernel"; \
	    OPENBLAS_CORETYPE=$$kernel OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto book || failed=1; done; exit $$failed

export: $(STAMP)
	@$(BIN)/python book/_literate export

run: $(STAMP)
	@$(BIN)/python book/_literate execute $(CHAPTER)

lab: $(STAMP)
	@PYTHONPATH=$(CURDIR) $(BIN)/jupyter lab --notebook-dir book

clean:
	rm -rf _build build dist .pytest_cache .hypothesis .benchmarks .mypy_cache .ruff_cache
	find book lowrank tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) *.egg-info
