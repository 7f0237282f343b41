# Thin: every target is one or two commands that you can also type.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUPPLY := $(VENV)/supply-chain
LOCK = $(SUPPLY)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --constraint constraints.txt
HASHED := pip install --quiet --require-hashes --requirement
SERVE ?=
FUZZ_SECONDS ?= 300
BOTH := $(MAKE) --jobs 2 --output-sync=target  # one core each; each tells when it is done

.PHONY: help serve serve-real test test-emulator test-real test-stores test-sqlite test-postgres contracts false-alarms holdout crash soak fuzz-http fuzz lint format bench lock licences sbom clean

serve: $(VENV)/installed  ## Serve the API; flags go into SERVE="--port 9000"
	$(BIN)/astria-emulator serve $(SERVE)

serve-real: $(VENV)/real  ## Serve with real training on the toy base; its key is sd_local
	$(BIN)/python -m astria_real_backend serve --backend-options toy=true --keys sd_local $(SERVE)

test: $(VENV)/tested-real  ## Run all tests, two runs at a time, and the contract suite against the emulator
	$(BOTH) test-emulator test-real

test-emulator: $(VENV)/tested  ## Run all tests but those of real training, without torch
	$(BIN)/pytest --ignore tests/real_backend
	$(BIN)/astria-contracts

test-real: $(VENV)/tested-real  ## Run the tests of real training
	$(BIN)/pytest tests/real_backend

contracts: $(VENV)/tested  ## Test a server against the contract; CONTRACTS="--target URL --budget full"
	$(BIN)/astria-contracts $(CONTRACTS)

false-alarms: $(VENV)/tested  ## Run the contract suite with 20 seeds, and with late answers
	$(BIN)/python -m tools.false_alarms --seeds 20 --delay 0.2

test-stores: $(VENV)/tested  ## Run the tests of the API on SQLite, and on PostgreSQL where one answers
	$(BOTH) test-sqlite test-postgres

test-sqlite test-postgres: test-%: $(VENV)/tested
	$(BIN)/pytest tests/behaviour --store $* -q -W ignore::pytest.PytestUnraisableExceptionWarning

holdout: $(VENV)/tested  ## Say which bugs, planted by somebody who had not read it, the contract suite finds
	$(BIN)/python -m tools.holdout $(HOLDOUT)

crash: $(VENV)/tested  ## Attack servers 600 times under load, and look for what is lost, done twice or left over
	$(BIN)/python -m tools.crash $(CRASH)

soak: $(VENV)/tested  ## Use a server for 15 minutes, and look for memory that a reset does not give back
	$(BIN)/python -m tools.soak $(SOAK)

fuzz-http: $(VENV)/tested  ## Send 100,000 odd and malformed requests, plain and again over TLS, and check every answer
	$(BIN)/python -m tools.fuzz_http $(FUZZ)
	$(BIN)/python -m tools.fuzz_http --tls $(FUZZ)

fuzz: $(VENV)/tested  ## Look for bytes that break the reading of requests, for FUZZ_SECONDS
	$(BIN)/python -m tools.fuzz_forms -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1000 $(FUZZ)

lint: $(VENV)/tested-real  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/tested  ## Measure it beside Prism and Mockoon; BENCH="pages upload leak" measures more
	$(BIN)/python -m tools.bench $(BENCH)

format: $(VENV)/tested  ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(SUPPLY)/installed  ## Write requirements/ from pyproject.toml and the versions in constraints.txt
	$(LOCK) --group build --output-file requirements/build.txt
	$(LOCK) --group supply-chain --output-file requirements/supply-chain.txt
	$(LOCK) pyproject.toml --output-file requirements/default.txt
	$(LOCK) pyproject.toml --extra contracts --extra postgres --extra testing --extra tls \
	  --group test --group lint --output-file requirements/tested.txt
	$(LOCK) pyproject.toml --extra real --excludes requirements/torch.in --output-file requirements/real.txt

licences: $(VENV)/tested-real  ## Write docs/licences.md from what is installed
	$(BIN)/python -m tools.licences

sbom: $(VENV)/tested-real $(SUPPLY)/installed  ## List all that is installed in sbom.json (CycloneDX)
	$(SUPPLY)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-file sbom.json $(BIN)/python

# What is installed is held to hashes, but for torch and what only it needs: its builds differ by
# index. The project itself is built by what is here.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/$(HASHED) requirements/build.txt

$(VENV)/installed: $(VENV)/bin/python pyproject.toml requirements/default.txt
	$(BIN)/$(HASHED) requirements/default.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/tested: $(VENV)/installed requirements/tested.txt
	$(BIN)/$(HASHED) requirements/tested.txt
	touch $@

$(VENV)/real: $(VENV)/installed requirements/real.txt requirements/torch.in
	$(BIN)/$(HASHED) requirements/real.txt --no-deps
	$(BIN)/pip install --quiet --constraint constraints.txt --requirement requirements/torch.in
	$(BIN)/pip check
	touch $@

$(SUPPLY)/installed: requirements/supply-chain.txt
	$(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/$(HASHED) requirements/supply-chain.txt
	touch $@

$(VENV)/tested-real: $(VENV)/tested $(VENV)/real
	touch $@

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

clean:  ## Remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
