# flowbook: `make demo` shows what it is, `make test` proves that it works. Both set themselves up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for other processes, so three at a time also pay on two cores. Those of one file share their fixtures.
PYTEST = $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
# Only the files that have such tests are read for them.
ALONE = $(BIN)/python -m pytest $(shell grep -rl --include='*.py' 'mark\.alone' tests)
# The tests start hundreds of processes, which need not compile flowbook each time.
unexport PYTHONDONTWRITEBYTECODE
SOURCES := pyproject.toml hatch_build.py package-lock.json

.PHONY: demo lab test test-fast lint lint-code lint-types lint-front-end format bench build clean help

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.demo  ## promote the example notebook, run it through a worker, show what came of it
	$(BIN)/python example_notebooks/demo.py

lab: $(VENV)/.demo  ## open JupyterLab on the example notebook, its data served beside it
	$(BIN)/python example_notebooks/data_server.py & server=$$!; trap "kill $$server" EXIT INT TERM; \
	  $(BIN)/jupyter lab example_notebooks/01_sales_report.ipynb

test: $(VENV)/.dev $(VENV)/.browser $(VENV)/.compiled  ## all tests, Python and front end, in a browser too
	$(BIN)/python tests/front_end.py
	$(PYTEST) -m "not browser and not alone" --ignore=tests/browser
	$(BIN)/python -m pytest -n 2 --dist loadfile -m browser tests/browser
	$(ALONE) -m alone

test-fast: $(VENV)/.dev  ## the tests that take below a second each, properties with few examples
	$(PYTEST) --hypothesis-profile few -m "not slow and not browser"

lint: lint-code lint-types lint-front-end  ## ruff, import-linter, mypy, biome, tsc

lint-code: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

lint-types: $(VENV)/.dev
	$(BIN)/mypy

lint-front-end: $(VENV)/.dev
	$(BIN)/python tests/front_end.py lint

format: $(VENV)/.dev  ## format Python and TypeScript
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python tests/front_end.py format

bench: $(VENV)/.dev  ## what a start, a task and many of them cost (PEERS=python that has other frameworks: theirs too)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/overhead.py $(if $(PEERS),--peer-python $(PEERS))
	$(BIN)/python benchmarks/endurance.py
	$(BIN)/python benchmarks/unattended.py
	$(BIN)/python benchmarks/notebook.py

build: $(VENV)/.dev  ## sdist and wheel into dist/
	$(BIN)/python -m build

clean:  ## forget everything that was installed or built here
	rm -rf $(VENV) node_modules */node_modules dist demo-output extension/lib extension/flowbook_lab/labextension \
	  widgets/flowbook_widgets/static

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "flowbook needs Python 3.11 or later: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python $(SOURCES)
	@echo "Installing flowbook and building its front end; the first time takes a minute or two."
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	touch $@

# uv is many times faster, and the tests of packaging find in its cache what they install. Only pip knows pip's settings.
$(VENV)/.dev: $(BIN)/python $(SOURCES)
	@echo "Installing flowbook with what its tests need; the first time takes a few minutes."
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python -m uv pip install --quiet --editable '.[dev]' || $(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.demo

# Processes that begin at the same time would each compile all tests and all that they import.
$(VENV)/.compiled: $(VENV)/.dev
	@said=$$($(BIN)/python -m pytest -qq --collect-only 2>&1) || { echo "$$said"; exit 1; }; touch $@

$(VENV)/.browser: $(VENV)/.dev tests/find_browser.py
	$(BIN)/python tests/find_browser.py --install && touch $@
