# Thin: every target is one or two commands that you can also type.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --constraint constraints.txt
SERVE ?=
FUZZ_SECONDS ?= 300
BOTH := $(MAKE) --jobs 2 --output-sync=target  # one core each; each tells when it is done

.PHONY: help serve serve-real test test-emulator test-real test-stores test-sqlite test-postgres contracts false-alarms holdout crash fuzz lint format bench clean

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

crash: $(VENV)/tested  ## Kill a server 100 times under load, and look for what is lost or done twice
	$(BIN)/python -m tools.crash $(CRASH)

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

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --upgrade pip  # one that knows --group

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) --editable .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(INSTALL) --editable ".[contracts,postgres,testing,tls]" --group test --group lint
	touch $@

$(VENV)/real: $(VENV)/installed
	$(INSTALL) --editable ".[real]"
	touch $@

$(VENV)/tested-real: $(VENV)/tested $(VENV)/real
	touch $@

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

clean:  ## Remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
