# 缴清 Jiaoqing. `make help` lists what there is; `make run` is all a newcomer needs.
PYTHON ?= python3
BIN := .venv/bin
MAKEFLAGS += --no-print-directory

ONLY ?=
SEED ?= 1
MINUTES ?= 10

.PHONY: chaos bench help setup python run test test-quick test-system jest web-test lint checklist roles lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install everything the locks name (make run and make test do it too)
	@$(PYTHON) -m launcher setup --tests

python:
	@$(PYTHON) -m launcher setup --only-python

run: ## install, start PostgreSQL, Valkey and every process, print addresses and log-ins
	@$(PYTHON) -m launcher run

test: setup ## the whole suite: mini-program, admin page, then pytest
	@$(MAKE) -j2 --output-sync=target jest web-test
	@$(BIN)/python -m tests.suite $(ARGS)

test-quick: setup ## pytest without the tests marked slow or chaos
	@$(BIN)/python -m tests.suite --quick $(ARGS)

test-system: setup ## pytest on the system's PostgreSQL (15 if there) and Redis
	@JIAOQING_SYSTEM_SERVERS=1 $(BIN)/python -m tests.suite $(ARGS)

jest:
	@npm --prefix miniprogram-stub test --silent

web-test:
	@npm --prefix admin/web test --silent

lint: python ## ruff (rules and format) and the import floors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

checklist: python ## every S and C number and the tests that prove it
	@$(BIN)/python -m tests.checklist

bench: setup ## measure against the floors (ONLY=P1,P3); writes bench/results/latest.json
	@$(BIN)/python -m bench --only "$(ONLY)"

chaos: setup ## storms of kills, wipes, stops and faults (SEED=1 MINUTES=10)
	@$(BIN)/python -m tests.chaos.long --seed "$(SEED)" --minutes "$(MINUTES)"

roles: ## print the SQL that makes the two database roles on a server of your own
	@$(PYTHON) -m launcher roles

lock: ## resolve requirements*.txt again into the hashed locks (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url requirements-dev.txt -o requirements-dev.lock
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url -c requirements-dev.lock requirements.txt -o requirements.lock

clean: ## remove what was installed and built; your data in var/ stays
	@rm -rf .venv admin/web/node_modules admin/web/dist miniprogram-stub/node_modules \
		.pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
