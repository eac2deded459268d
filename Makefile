# The whole project by name. On a fresh clone `make run` and `make test` need Python 3.11 or newer and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MUTATING := .venv-mutate
MUTMUT := 3.8.1
AUDITING := .venv-audit
PIP_AUDIT := 2.10.1
PORT   ?= 8000
SANDBOX_PORT ?= 8001

# What Python compiled it keeps: most of the tests' processes import the whole application.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run check test simulate mutate lint audit format messages bench lock clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Two stamps, so that `make run` does not wait for the tools of the tests. A stamp is written last, so that an
# interrupted install is repeated.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "preparing: a Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.txt $(VENV)/.python
	@echo "preparing: dependencies (half a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.python
	@echo "preparing: dependencies and development tools (a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.runtime

run: $(VENV)/.runtime  ## The app, its worker and the stand-in providers; Ctrl-C stops them
	@exec $(BIN)/flask --app wsgi dev --port $(PORT) --sandbox-port $(SANDBOX_PORT)

check: lint  ## For every change, a minute: lint, and tests without browser and processes, on SQLite
	$(BIN)/python -m pytest -q -n 2 -k "not postgresql" tests/unit tests/service tests/house

# Three processes for two cores: some wait most of the time, for processes that were killed and for browsers. tests/spread.py
# says what begins first.
test: $(VENV)/.dev  ## Every test (make test T=tests/unit for some)
	$(BIN)/python -m pytest -n 3 $(T)

SEEDS ?= 1000

simulate: $(VENV)/.dev  ## Bookings under virtual time, faults and crashes (make simulate SEEDS=10000)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

# An environment of its own: a dependency of mutmut renames processes, which tests find by name.
$(MUTATING)/.done: requirements-dev.txt $(VENV)/.python
	@echo "preparing: an environment for mutants (a minute, once)"
	@$(PYTHON) -m venv $(MUTATING)
	@$(MUTATING)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(MUTATING)/bin/python -m pip install --quiet --disable-pip-version-check mutmut==$(MUTMUT)
	@touch $@

mutate: $(MUTATING)/.done  ## Which mutants of states, policy, prices and ledger no test notices (minutes)
	$(MUTATING)/bin/mutmut run --max-children 2
	$(MUTATING)/bin/mutmut results

lint: $(VENV)/.dev  ## Every static check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --quiet --check --lint bookingapp/templates
	$(BIN)/deptry .
	$(BIN)/python -m tests.house.secrets

# An environment of its own, so that no dependency of the audit is among ours.
$(AUDITING)/.done: $(VENV)/.python
	@echo "preparing: an environment for the audit (half a minute, once)"
	@$(PYTHON) -m venv $(AUDITING)
	@$(AUDITING)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==$(PIP_AUDIT)
	@touch $@

# Not a part of lint: it needs the advisories of pypi.org, and its result changes without a change of ours. Without
# --strict it would end well where it could ask nobody.
audit: $(AUDITING)/.done  ## Known vulnerabilities of what the lock files pin (needs pypi.org)
	$(AUDITING)/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.txt
	$(AUDITING)/bin/pip-audit --strict --disable-pip --require-hashes -r requirements-dev.txt

format: $(VENV)/.dev  ## Put code and templates into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djlint --quiet --reformat bookingapp/templates

messages: $(VENV)/.dev  ## Extract the sentences that people read, for translators
	$(BIN)/python -m tests.house.messages

bench: $(VENV)/.dev  ## The benchmarks: one table
	$(BIN)/python -m bench

lock: $(VENV)/.dev  ## Pin every dependency again (needs uv)
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --no-strip-extras --quiet pyproject.toml -o requirements.txt
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --no-strip-extras --quiet --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean:  ## Remove everything that was made here, also the development database
	rm -rf $(VENV) $(MUTATING) $(AUDITING) instance mutants .mypy_cache .pytest_cache .ruff_cache .hypothesis
