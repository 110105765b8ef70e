# Deedbook. `make` alone makes .venv and lists what there is.
.DEFAULT_GOAL := all
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
export UV_PYTHON_DOWNLOADS := never
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE # a process that compiles all it imports takes 2 s more of a core to start
export PATH := $(CURDIR)/.venv/bin:$(PATH)

PYTHON ?= python3
VENV := $(CURDIR)/.venv
READY := .venv/.ready
CODEC := libs/contracts/avro.py libs/contracts/records.py
UV := uv==0.13.9
SEEDS ?= 20000
ARGS ?=
.PHONY: all help setup up down demo examples test others unit integration systems sim planted bench lint format contracts check-contracts lock env clean purge
all: setup help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with exactly what requirements.lock names

$(READY): .venv/.installed $(CODEC)
	@python -m libs.contracts.compiling && python -m compileall -q deedbook libs services examples
	@touch $@

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.11 to 3.13 is needed and $(PYTHON) is another: make PYTHON=python3.13 ..."; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@uv --version 2>/dev/null | grep -qF "$(subst ==, ,$(UV))" || $(VENV)/bin/python -m pip install -q "$(UV)"
	@VIRTUAL_ENV=$(VENV) uv pip sync -q --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) uv pip install -q --no-deps --no-build-isolation --offline --editable .
	@touch $@

up: $(READY) ## Start Kafka, PostgreSQL and all services (ARGS="--shape separate")
	@deed up $(ARGS)
down: $(READY) ## Stop everything; the data stays
	@deed down

demo: $(READY) ## An agent works on a real git repository; shown live, checked at the end, nothing left running
	@python -m examples.demo $(ARGS)
examples: $(READY) ## Two agents, one with the SDK and one with plain gRPC, on an SQLite database behind an MCP server
	@python -m examples.shop

test: $(READY) ## All checks and tests, side by side; each part shows its output when it is done
	@$(MAKE) -j3 -O systems integration others
others: # what needs no servers takes what the others leave of the processors
	@nice $(MAKE) lint unit

unit: $(READY) ## Tests without I/O, and the simulation
	@python -m pytest tests/unit tests/contract tests/simulation $(ARGS)
integration: $(READY) ## Tests on the real Kafka and PostgreSQL, and of programs (DEED_TEST_SERVERS=embedded|docker|existing)
	@python -m pytest tests/integration tests/programs $(ARGS)
systems: $(READY) ## Whole systems: every ending, hostile submitters; kills, stops, outages, lost answers
	@python -m pytest tests/faults tests/e2e tests/endings $(ARGS)

sim: $(READY) ## The lane protocol against a world that misbehaves (SEEDS=20000)
	@python -m libs.testkit.simulation --seeds $(SEEDS) $(ARGS)
planted: $(READY) ## Break each rule of the lane once, and see its test find it
	@python -m tests.planted $(ARGS)
bench: $(READY) ## Measure; a table and JSON
	@python -m benchmarks $(ARGS)

lint: check-contracts ## Style, types, layers, contracts
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports --config pyproject.toml

format: $(READY) ## Put the code in its form
	@ruff check -q --fix . ; ruff format -q .

contracts: $(READY) ## Generate code from schemas/ and proto/
	@python -m libs.contracts.generate && python -m libs.contracts.protogen
check-contracts: $(READY) ## Schemas are safe and compatible, generated code is in sync
	@python -m libs.contracts.lint && python -m libs.contracts.compat
	@python -m libs.contracts.generate --check && python -m libs.contracts.protogen --check
	@buf lint proto

lock: $(READY) ## Resolve requirements.lock anew from pyproject.toml
	@uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		--extra dev --python-version 3.11 pyproject.toml -o requirements.lock

env: ## Random secrets for docker compose, in .env
	@test -e .env || (umask 077; for name in DEED_POSTGRES_PASSWORD DEED_EFFECT_KEY_SECRET; do \
		echo "$$name=$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(32))')"; done > .env)

clean: ## Stop everything and remove the data
	@-test ! -x $(VENV)/bin/deed || deed down
	@rm -rf .deedbook .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
purge: clean ## Remove .venv as well
	@rm -rf .venv *.egg-info
