# `make` lists what there is to make. Everything is kept in .venv*, .bench and .taskq; `make clean` removes them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SIDE_BY_SIDE := -n 4 --dist loadfile
OLDEST := redis==5.0.0 msgpack==1.2.1 click==8.2.0 structlog==24.1.0

.DEFAULT_GOAL := help
.PHONY: help demo test test-oldest check chaos mutants simulate fuzz soak bench clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: $(INSTALLED)  ## files, HTTP requests and primes, with a private Redis and a worker
	@$(BIN)/python -m examples.guide.demo

test: check  ## the static checks and the whole test suite
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)
	@$(MAKE) --no-print-directory test-oldest

test-oldest: $(VENV)-oldest/.installed  ## what touches Redis, with the oldest libraries that are supported
	$(VENV)-oldest/bin/python -m pytest -q $(SIDE_BY_SIDE) tests/redis tests/process/test_outcomes.py

check: $(INSTALLED)  ## the static checks: lint, format, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict --package taskq --package taskq_workers
	$(BIN)/mypy --strict tests/typing
	$(BIN)/lint-imports

chaos: $(INSTALLED)  ## 15 minutes of all faults at once, judged from journals; CHAOS="--minutes 2 --seed 1"
	@$(BIN)/python -m tests.faults $(CHAOS)

mutants: $(INSTALLED)  ## the protocol with one rule taken out at a time: the tests of the faults must notice each
	@$(BIN)/python -m tests.faults.hunt

simulate: $(INSTALLED)  ## a million steps of the protocol under faults, replayed by their seed; SIMULATE="--seed 7"
	@$(BIN)/python -m tests.simulation $(SIMULATE)

fuzz: $(INSTALLED)  ## a million random and hostile bodies, decoded and through workers; FUZZ="--seed 7"
	@$(BIN)/python -m tests.fuzz $(FUZZ)
	@$(BIN)/python -m tests.fuzz --through-worker $(FUZZ)

soak: $(INSTALLED)  ## an hour of mixed work: what grows? SOAK="--minutes 5"
	@$(BIN)/python -m tests.soak $(SOAK)

bench: $(INSTALLED)  ## taskq and its peers side by side, some hours; BENCH="--systems taskq,huey --measures drain"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench]"
	@$(BIN)/python -m benchmarks $(BENCH)

clean:  ## removes what the others made, and the data of the private Redis
	rm -rf $(VENV) $(VENV)-oldest .bench .taskq .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is there only while the environment is whole: an installation that was interrupted starts from nothing.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: taskq needs Python 3.11 or newer"; echo "  hint: make PYTHON=/path/to/python3.11"; exit 1; } >&2
	@if [ -e $@ ]; then rm $@; else echo "setting up $(VENV)"; $(PYTHON) -m venv --clear $(VENV); fi || \
		{ echo "error: cannot create $(VENV)"; echo "  hint: apt install python3-venv"; exit 1; } >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

$(VENV)-oldest/.installed: $(INSTALLED)
	@echo "setting up $(VENV)-oldest"; $(PYTHON) -m venv --clear $(VENV)-oldest
	@$(VENV)-oldest/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]" $(OLDEST)
	@touch $@
