# Two commands do everything on a machine that has Python (>= 3.11) and make:
#   make demo    makes a synthetic set, trains, evaluates and writes runs/demo/report.html; with WEIGHTS=NAME.safetensors
#                it fine-tunes timm's backbone NAME
#   make test    linting, types, floors and all tests
# and one writes what the command line says of systems and settings anew, after they were changed:
#   make schema
# and one writes the pages of the systems anew, and builds the documentation in site/:
#   make docs
# Each makes .venv and installs when needed; a second call installs nothing.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test schema docs clean

demo: .venv/.installed
	$(BIN)/delineate demo $(if $(WEIGHTS),--backbone-weights $(WEIGHTS))

test: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist worksteal

schema: .venv/.installed
	$(BIN)/python -c "from delineate.cli.schema import write_schema; write_schema()"

docs: .venv/.installed-dev
	$(BIN)/python docs/pages.py
	$(BIN)/python -m sphinx -q -W --keep-going -b html -d build/docs docs site

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/.installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch .venv/.installed $@

clean:
	rm -rf .venv runs dist build site docs/source .pytest_cache .mypy_cache .ruff_cache
