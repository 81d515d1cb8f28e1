# Everything runs in $(VENV), which is made on first use and again when pyproject.toml or constraints.txt change.
PYTHON ?= python3
VENV ?= .venv
# Where the plain index has only builds of torch for GPUs, name a CPU index: PIP_ARGS="--extra-index-url ...".
PIP_ARGS ?=
PYTEST_ARGS ?=

BIN := $(VENV)/bin
# What is never imported need not be compiled: half of the time.
PIP := $(BIN)/python -m pip install --quiet --no-compile $(PIP_ARGS) -c constraints.txt
SOURCES = $(shell find geometry meshmove solvers plugins -name '*.py')

.PHONY: help install demo test test-mpi lint format layers types doctest wheel docs gallery bench accelerator check clean distclean

help:
	@echo "make demo     move a mesh that ships in examples/data; the result and a picture go to out/"
	@echo "make test     the tests"
	@echo "make test-mpi the tests on DOLFINx, on one process and on two"
	@echo "make lint     ruff: rules and format"
	@echo "make check    lint, layers, types, doctests, and the wheel in a clean environment"
	@echo "make docs     the documentation, to build/site; make gallery runs the examples for its pictures"
	@echo "make bench    the benchmarks"
	@echo "make clean    remove what was built (make distclean: the environment too)"

install: $(VENV)/.installed

$(VENV)/pyvenv.cfg:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "meshmove needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(PIP) -e ".[test]"
	@touch $@

# Type checker and layer check do not follow the editable mapping of four folders to one package.
build/.copied: $(SOURCES) pyproject.toml $(VENV)/.installed
	rm -rf build/lib build/bdist.* build/installed
	$(PIP) --no-deps --target build/installed .
	@touch $@

demo: install
	$(BIN)/python examples/cylinder_channel.py
	@ls out

test: install
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# On DOLFINx, by the system's Python; says in one line why, where it cannot.
test-mpi:
	bash .ci/mpi.sh

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

layers: build/.copied
	$(BIN)/python .ci/layers.py build/installed

types: build/.copied
	cd build/installed && $(abspath $(BIN))/python -m mypy --config-file ../../pyproject.toml --cache-dir ../mypy

doctest: install
	$(BIN)/python -m pytest --doctest-modules geometry meshmove solvers plugins

wheel: install
	bash .ci/wheel.sh $(abspath $(BIN))/python

check: lint layers types doctest wheel
	$(BIN)/python .ci/import_time.py

docs: install
	$(BIN)/python -m docs.making.site
	$(BIN)/python -m zensical build --strict

gallery: install
	PYVISTA_OFF_SCREEN=true $(BIN)/python -m docs.making.gallery

bench: install
	$(BIN)/meshmove bench

.PHONY: bench-mpi
bench-mpi:
	bash .ci/mpi.sh bench

accelerator: install
	PYTHON=$(abspath $(BIN))/python bash benchmarks/accelerator/run.sh --tiny --out build/accelerator

clean:
	rm -rf build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) .venv-mpi
