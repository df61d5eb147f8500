# Everything happens in .venv, which is made on the first call. PYTHON chooses the interpreter (3.11 or later).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: tune test test-all lint types installed bench torture clean

tune: $(VENV)/.installed
	$(BIN)/rltuner finetune --algo psi

# All but the longest cases, by as many processes as there are cores; test-all leaves none out.
test: $(VENV)/.installed
	$(BIN)/python -m pytest -n auto -m "not long"

test-all: $(VENV)/.installed
	$(BIN)/python -m pytest -n auto

lint: installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd build/installed && ../../$(BIN)/lint-imports --no-logo --no-cache ../../pyproject.toml

types: installed
	cd build/installed && MYPYPATH=. ../../$(BIN)/mypy --config-file ../../pyproject.toml -p rltuner

# The package as users get it: built, installed into a folder of its own. Imports and types are checked on it.
installed: $(VENV)/.installed
	rm -rf build/installed build/lib build/bdist.*
	$(BIN)/pip install --quiet --no-deps --target build/installed .

bench: $(VENV)/.installed
	$(BIN)/python scripts/bench.py all

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

# At most 20 minutes on 2 cores: every promise of SECURITY.md, tried.
torture: $(VENV)/.installed
	$(BIN)/python scripts/torture.py
