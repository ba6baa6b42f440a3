.DEFAULT_GOAL := help
.PHONY: help run demo test check cost diagrams images cluster cluster-down tools format clean setup

# Some machines set it. Then every process compiles all that it imports, every time: a service starts half as fast.
unexport PYTHONDONTWRITEBYTECODE

# Terraform's provider, kube-apiserver and kubectl collect garbage as often as they allocate, most of it while they
# start. Less often takes a fifth to a third less processor time, for 70 MB more of memory in an API server.
export GOGC ?= 400

UV := tools/uv
RUN := $(UV) run --no-sync
PYTEST := $(RUN) pytest
# More than there are cores: tests wait for servers as much as they compute. The folders that take longest come first.
PARALLEL := --numprocesses 3 --no-loadscope-reorder --durations 30 --durations-min 10

help: ## What can be done here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: setup frontend ## Everything on one machine: enriches the sample files, stays up, prints addresses and demo logins
	@$(RUN) local up --demo --frontend

demo: setup ## The same, then stops; exits 0 or says what failed
	@$(RUN) local demo

test: packages check-static tools frontend ## Every test; installs what it needs of Debian, or says what to type
	$(RUN) mypy --config-file services/frontend/pyproject.toml --python-executable services/frontend/.venv/bin/python services/frontend/src
	@$(RUN) python -m tests.helpers.images
	@$(RUN) local cluster node-check || echo "The tests of real pods (tests/pods) are left out"
	$(PYTEST) $(PARALLEL) tests tools services -m 'not timed'
	$(PYTEST) services tools tests -m timed

check: check-static ## The fast ones while working: lint, types, unit; about a minute
	@# As many as there are cores: each process imports all tests first, and these wait for nothing.
	$(PYTEST) --numprocesses logical tests tools services -m 'not slow'

.PHONY: packages
packages:
	@tools/packages

.PHONY: check-static
check-static: setup
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	MYPYPATH=$$(echo services/*/src tools/*/src | tr ' ' ':') $(RUN) mypy services tools tests
	$(RUN) lint-imports

frontend: services/frontend/.venv/.synced ## The page's own packages: Langflow, 1.3 GB, a minute the first time

services/frontend/.venv/.synced: services/frontend/uv.lock services/frontend/pyproject.toml services/client/pyproject.toml services/frontend/src/frontend/look.py services/frontend/src/frontend/enrichment.py $(shell find services/client/src -name '*.py')
	@echo "Installing Langflow for the page (1.3 GB; the first time takes a minute or two)"
	@# The client is copied, not linked: it is copied anew where it has changed.
	@$(UV) sync --locked --project services/frontend --reinstall-package client
	@# Compiles what is used: a replica with a read-only file system cannot, and its start would take twice as long.
	@services/frontend/.venv/bin/python -c 'import logging; logging.disable(); import langflow.main'
	@services/frontend/.venv/bin/python -m frontend.look
	@touch $@

cost: setup ## What dev and prod cost in a month, by their plans, beside the budget; JSON=1 for a program
	@$(RUN) python -m infrastructure.cost $(if $(JSON),--json)

diagrams: setup ## Draw docs/diagrams from the plans and the overlays
	@$(RUN) python -m infrastructure.diagrams

images: setup ## Every service's image, by docker, podman or buildah: with sizes, lists of packages, digests; BASE=local without a registry
	@$(RUN) python -m delivery.images $(if $(BASE),--base $(BASE)) $(if $(SCAN),--scan) $(if $(JSON),--json)

format: setup ## Let ruff mend what it can
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

setup: .venv/.synced

.venv/.synced: uv.lock pyproject.toml $(wildcard services/*/pyproject.toml tools/*/pyproject.toml)
	@echo "Installing the Python packages (the first time takes a minute)"
	@$(UV) sync --locked --all-packages --quiet
	@touch $@

cluster: setup ## A real control plane with Argo CD, a Git server and the operator; NODE=real (root): with real pods
	@$(RUN) local cluster up $(if $(NODE),--node $(NODE))

cluster-down: setup ## Stop that; nothing is left
	@$(RUN) local cluster down

tools: ## Build the Go programs of the cluster and the checks now; the first time takes a quarter of an hour
	@tools/build $$(tools/build --list) >/dev/null

clean: ## Stop what runs here and remove what was built
	-@test -d .venv && $(RUN) local down && $(RUN) local cluster down
	rm -rf .venv .local services/frontend/.venv
