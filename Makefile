# Everything works from a fresh clone: what a target needs, it makes first.
#   make demo      install, then data -> train -> evaluate -> recommend
#   make test      install what tests need (as root also the servers, see scripts/install-services), run them
#                  (test-all: the slow ones too)
#   make check     lint, format, types, import rules
#   make docs      bring the generated pages up to date
# PYTHON=/path/to/python chooses the interpreter (3.11, 3.12 or 3.13) for a new .venv.

.DELETE_ON_ERROR:
.PHONY: demo test test-all check docs clean

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --constraint constraints.txt
REQUIREMENTS := pyproject.toml constraints.txt

# Tests run in parallel processes; more threads in each would only get in their way.
TEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2

demo: $(VENV)/installed
	$(BIN)/audotics demo

test: $(VENV)/installed-for-development $(VENV)/services
	$(TEST)

test-all: $(VENV)/installed-for-development $(VENV)/services
	$(TEST) -m "slow or not slow"

check: $(VENV)/installed-for-development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed-for-development
	$(BIN)/python scripts/write_cli_reference.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	scripts/new-venv $(VENV)

# Stamps: installing is repeated when the requirements change, not when the source does.
$(VENV)/installed: $(REQUIREMENTS) | $(BIN)/python
	$(INSTALL) --editable '.[all]'
	touch $@

$(VENV)/installed-for-development: $(REQUIREMENTS) | $(BIN)/python
	$(INSTALL) --editable '.[dev]'
	touch $@ $(VENV)/installed

$(VENV)/services: scripts/install-services | $(BIN)/python
	scripts/install-services
	touch $@
