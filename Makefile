# Two commands do everything on a fresh machine: `make nightly` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help nightly prepare search ablate repair ui stack stack-down deploy worker check test test-fast bench faults lock clean purge
SHELL := /bin/bash

PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready

# make nightly DATA=reviews.parquet TEXT=text LABEL=label GROUPS=gender,region SET="seed=3 pretrain.tokens=1000000"
CONFIG ?= deployments/nightly.yaml
given = $(if $(filter command line,$(origin $(1))),$(2))
OVERRIDES = $(call given,DATA,'source.location=$(DATA)') $(call given,TEXT,'source.text=$(TEXT)') \
	$(call given,LABEL,'source.label=$(LABEL)') $(call given,GROUPS,'source.groups=[$(GROUPS)]') $(call given,SET,$(SET))
PREFECT_PORT ?= 4200
MLFLOW_PORT ?= 5000
POOL ?= cpu
BENCH ?= training

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

nightly: $(READY) ## run the whole night here and now: DATA=file TEXT=column LABEL=column SET="section.field=value"
	@$(BIN)/plumbline nightly --config $(CONFIG) $(OVERRIDES)

prepare: $(READY) ## only the data stages, to see what is wrong with a corpus: same arguments
	@$(BIN)/plumbline prepare --config $(CONFIG) $(OVERRIDES)

search: $(READY) ## look for better settings: TRIALS=20 OBJECTIVE=pretrain|finetune, and the same arguments
	@$(BIN)/plumbline search --config $(CONFIG) $(if $(TRIALS),--trials $(TRIALS)) $(if $(OBJECTIVE),--objective $(OBJECTIVE)) $(OVERRIDES)

ablate: $(READY) ## what each stage buys: the night with one stage off at a time, over three seeds; same arguments
	@$(BIN)/plumbline ablate --config $(CONFIG) $(OVERRIDES)

repair: $(READY) ## propose rows to take out for a night's wrong answers: NIGHT=name, then ACCEPT=all|rows=ID,ID or RULE=rule with BY=name WHY="reason"
	@$(BIN)/plumbline repair $(or $(NIGHT),last) $(call given,SET,$(SET)) $(if $(ACCEPT),--accept '$(ACCEPT)') $(if $(RULE),--rule '$(RULE)') $(if $(BY),--by '$(BY)') $(if $(WHY),--why '$(WHY)')

ui: $(READY) ## serve the Prefect and MLflow UIs on loopback: PREFECT_PORT=4200 MLFLOW_PORT=5000
	@$(BIN)/plumbline ui --prefect-port $(PREFECT_PORT) --mlflow-port $(MLFLOW_PORT)

stack: $(READY) ## the team's servers of docker-compose.yml on this machine, in the background: PROFILE=gpu
	@$(BIN)/plumbline stack up $(if $(PROFILE),--profile $(PROFILE))

stack-down: $(READY) ## stop them; what they hold is kept
	@$(BIN)/plumbline stack down

deploy: $(READY) ## register pools, schedules and deployments with the running Prefect server
	@$(BIN)/plumbline deploy

worker: $(READY) ## execute deployed runs on this machine: POOL=cpu|gpu
	@$(BIN)/plumbline worker --pool $(POOL)

check: $(READY) ## style, types, import rules, and what is installed against the lock and its licences
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 3
	@$(BIN)/python -m pytest -q tests/unit/test_dependencies.py

test: $(READY) ## all tests (PLUMBLINE_DATA=folder adds the real-data cases)
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-fast: $(READY) ## the unit tests that take seconds
	@$(BIN)/python -m pytest -q tests/unit -m "not slow"

bench: $(READY) benchmarks/.packages ## measure against the peers: BENCH=training|budget|ner|kills|endurance|packing|curation|planted|planted_labels|drift|night|orchestration|serving|hallucination|tracing|scale ARGS=--quick (PLUMBLINE_DATA=folder adds real text)
	@PYTHONPATH=$(CURDIR)/benchmarks/.packages $(BIN)/python benchmarks/$(BENCH).py $(ARGS)

faults: $(READY) ## kill, damage, starve and mislead nights, and see whether the next one makes it good: ARGS=--quick
	@$(BIN)/python benchmarks/faults.py $(ARGS)

benchmarks/.packages: $(READY) benchmarks/requirements.lock
	@rm -rf $@ && $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --target $@ -r benchmarks/requirements.lock
	@touch $@

lock: $(READY) ## recompute requirements.lock from pyproject.toml (needs uv)
	@uv pip compile -q pyproject.toml --extra dev --extra team --extra scale --python-version 3.11 --no-annotate --no-header -o requirements.lock

clean: ## remove the environment and caches; runs are kept
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -name __pycache__ -not -path './runs/*' -prune -exec rm -rf {} +
	@echo "removed the environment and caches; runs/ is kept (make purge removes it)"

purge: ## delete every run, model and metric under runs/, after asking
	@read -r -p "Delete all runs, models and metrics in $${PLUMBLINE_HOME:-runs}? Type yes: " answer && \
		[ "$$answer" = yes ] && rm -rf "$${PLUMBLINE_HOME:-runs}" && echo "deleted" || echo "kept"

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed and '$(PYTHON)' is not on the PATH; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || { echo "Python 3.11 or 3.12 is needed; $(PYTHON) is $$($(PYTHON) --version)"; exit 1; }
	@echo "[1/3] creating .venv with $$($(PYTHON) --version)"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@echo "[2/3] installing $$(wc -l < requirements.lock) locked packages (about 3 minutes, once)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -r requirements.lock
	@echo "[3/3] installing plumbline"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)
