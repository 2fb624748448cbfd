# Two commands are enough on a fresh machine: `make demo` and `make test`. `make help` names the others.
SHELL := /bin/bash
PY := .venv/bin/python
ONLY ?=
PROCESSES ?=
# Tests, demo and benchmarks start many processes; where nothing compiled may be kept, each compiles all it imports anew.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache

.DEFAULT_GOAL := help
.PHONY: seeds leaks redteam help setup env demo demo-servers test check lint types layers docs serve bench soak crash-matrix conformance services services-stop lock clean

help: ## what can be typed here
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## make .venv (the other targets do it on first use)
	@bash scripts/setup.sh

env: ## .env with random passwords for docker compose; one that is there stays
	@bash scripts/env.sh

demo: setup ## the main job, end to end, on a made-up distributor; exit code 0 only if the whole story held
	@$(PY) -m api.cli demo

demo-servers: setup ## the same story with the graph in Neo4j and the messages in RabbitMQ, real servers that it starts
	@$(PY) -m tests.services run neo4j rabbitmq -- $(PY) -m api.cli demo --servers --folder .noesis/demo-servers

test: setup ## every test (PROCESSES=2: two files at a time, each with servers of its own)
	@$(PY) -m pytest $(if $(PROCESSES),-n $(PROCESSES) --dist loadfile --no-loadscope-reorder,)

lint: setup ## ruff
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types: setup ## mypy, strict
	@$(PY) -m mypy

layers: setup ## import directions
	@.venv/bin/lint-imports

docs: setup ## every command, example and link of README and docs
	@$(PY) -m pytest tests/test_docs.py tests/examples/test_readmes.py

check: lint types layers test ## what CI runs

serve: setup ## API and an embedded worker on 127.0.0.1
	@$(PY) -m api.cli serve

bench: setup ## every benchmark beside its floor (ONLY=name for one)
	@$(PY) -m benchmarks $(if $(ONLY),--only $(ONLY),)

soak: setup ## changes under load with random kills (MINUTES=2, BROKER=redis or rabbitmq)
	@$(PY) -m benchmarks.soak --minutes $(or $(MINUTES),2) --broker $(or $(BROKER),redis)

crash-matrix: setup ## kill -9 at every boundary of an effect, on SQLite and Neo4j, beside LangGraph and DBOS
	@$(PY) -m benchmarks.crash $(ARGS)

seeds: setup ## 10,000 simulated lives, each decided by its seed, over all cores (N=10000, FIRST=0, ONLY=runs or proposals)
	@$(PY) -m tests.simulation.seeds --count $(or $(N),10000) --first $(or $(FIRST),0) $(if $(ONLY),--only $(ONLY),)

leaks: setup ## random worlds, rules and questions: nobody is told what it may not see (CASES=100000)
	@$(PY) -m tests.leaks.run --cases $(or $(CASES),100000)

redteam: setup ## every attack we know, what holds it, and whether it held
	@$(PY) -m tests.redteam

conformance: setup ## every outside suite (ONLY=name for one; CASES=folder, hand-written Cedar cases too)
	@$(PY) -m tests.conformance $(ONLY) $(if $(CASES),--cases "$(CASES)",)

services: setup ## the real servers of the tests (Neo4j, Redis, RabbitMQ), kept up for a desk
	@$(PY) -m tests.services start

services-stop: setup ## stop them
	@$(PY) -m tests.services stop

lock: setup ## write requirements.lock anew from pyproject.toml
	@bash scripts/lock.sh

clean: ## remove what was made here, the environment too
	rm -rf .venv .noesis build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
