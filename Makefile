# Needs Python 3.11 or later and make. `make demo` shows the library at work, `make test` checks it.
# Another interpreter: `make test PYTHON=python3.13`. More arguments to pytest: `make test PYTEST_ARGS="-k laws"`.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
REQUIREMENTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types docs gallery pictures bench regressions clean

help: ## list these commands
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1|\2/p' Makefile | while IFS='|' read -r name what; do \
	  printf '%-12s %s\n' "$$name" "$$what"; done

# An installation is repeated only when one of the REQUIREMENTS is newer than its stamp.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'tnalgebra needs Python 3.11 or later; say which one: make PYTHON=python3.11 ...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: $(REQUIREMENTS) | $(BIN)/python
	$(PIP_INSTALL) --editable '.[learn,plot]'
	@touch $@

$(VENV)/.installed-test: $(REQUIREMENTS) | $(BIN)/python
	$(PIP_INSTALL) --editable '.[test,docs,learn,plot]'
	@touch $(VENV)/.installed-demo $@

$(VENV)/.installed-bench: $(REQUIREMENTS) | $(BIN)/python
	$(PIP_INSTALL) --editable '.[bench,learn,plot]'
	@touch $@

demo: $(VENV)/.installed-demo ## compare the CP, TT and HT ranks of the digits and draw demo.png
	$(BIN)/tnalgebra compare digits --plot demo.png

# One process a core, each with one thread of BLAS: more of them would wait for each other.
test: $(VENV)/.installed-test ## run the tests and the doctests
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.installed-test ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-test ## repair style and formatting where that can be done safely
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-test ## check the types of the package
	$(BIN)/mypy --strict tnalgebra

docs: $(VENV)/.installed-test ## build the documentation into site/
	$(BIN)/mkdocs build --strict

gallery: $(VENV)/.installed-demo ## run every script of examples/ and leave what it prints and draws in gallery/
	mkdir -p gallery
	cd gallery && for script in ../examples/*.py; do \
	  echo "$$script"; $(abspath $(BIN))/python "$$script" > "$$(basename "$$script" .py).txt" || exit 1; done

pictures: $(VENV)/.installed-test ## draw the pictures of docs/guide/pictures.md again
	$(BIN)/python docs/hooks/pictures.py

bench: $(VENV)/.installed-bench ## run the benchmarks
	$(BIN)/python -m benchmarks

regressions: $(VENV)/.installed-bench ## time representative calls, fail where one is slower than in the last run here
	$(BIN)/python -m pytest benchmarks/regressions.py --benchmark-autosave --benchmark-columns=min,median,iqr \
	  $(if $(wildcard .benchmarks/*/*.json),--benchmark-compare --benchmark-compare-fail=min:25%) $(PYTEST_ARGS)

clean: ## remove what the commands above have written
	rm -rf $(VENV) site gallery build dist demo.png demo.json .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find tnalgebra tests docs benchmarks examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
