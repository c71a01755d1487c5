# The front door: `make help` lists what there is.
# Shaped by: ENGINE=vllm|scripted MODELS=phi3,qwen ROUTERS=2 WORKERS=2, and the ports KAFKA_PORT CONTROLLER_PORT REDIS_PORT
# GATEWAY_PORT HTTP_PORT (the first of a run: one a router and worker).
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-backtest demo up down status test check bench faults stand-ins lock clean setup-dev
export ENGINE MODELS ROUTERS WORKERS KAFKA_PORT CONTROLLER_PORT REDIS_PORT GATEWAY_PORT HTTP_PORT STATE_DIR

BIN := .venv/bin
PYTHON_VENV := $(BIN)/python
LEVEL := $(if $(filter scripted,$(ENGINE)),core,worker)
COMPILE := .local/tools/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11
LOCKS := deploy/locks

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

setup: ## install what is missing, into .venv and .local; skips what is there
	@deploy/local/setup.sh $(LEVEL)

setup-dev: ## install what tests, checks and benchmarks need beside it
	@deploy/local/setup.sh dev

setup-backtest: ## install what `trading-llm backtest` needs beside it
	@deploy/local/setup.sh backtest

demo: setup ## the whole pipeline on stand-in models and real candles: 300 contexts, then a summary
	@$(BIN)/trading-llm demo

up: setup ## start the stack on 127.0.0.1 and return when it is ready
	@$(PYTHON_VENV) -m deploy.local up

down: ## stop it; Kafka's data stays
	@if [ -x $(PYTHON_VENV) ]; then $(PYTHON_VENV) -m deploy.local down; else echo "nothing was up"; fi

status: ## what runs
	@$(BIN)/trading-llm status

test: setup-dev ## everything below, in stages with a time limit each
	@tests/stages.sh

check: setup-dev ## types, style, imports and the house's own rules
	@tests/stages.sh check

faults: setup-dev ## all tests that kill, pause and lie to processes, under an hour; their table goes into docs/measurements.md
	@rm -f .local/faults/results.jsonl
	@TEST_SCHEDULES=$${TEST_SCHEDULES:-2000} tests/stages.sh model faults long; status=$$?; $(PYTHON_VENV) -m tests.faults.table && exit $$status

bench: setup-dev ## latency and throughput beside plain chains, as a table and JSON
	@$(PYTHON_VENV) -m tests.bench

stand-ins: setup-dev ## train the stand-in models again (minutes)
	@$(PYTHON_VENV) -m deploy.stand_ins

lock: setup-dev ## choose the newest versions again and write their hashes
	cd $(LOCKS) && for name in setup dev; do ../../$(COMPILE) --upgrade --override overrides.txt $$name.in -o $$name.txt; done
	cd $(LOCKS) && for name in core worker backtest build; do \
		../../$(COMPILE) --override overrides.txt -c dev.txt $$name.in -o $$name.txt; done
	cd $(LOCKS) && for name in litellm freqtrade; do ../../$(COMPILE) --upgrade $$name.in -o $$name.txt; done

clean: down ## stop the stack and remove all that was installed or written
	rm -rf .venv .local *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
