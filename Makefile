# Firewatch: `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CACHE := $(HOME)/.cache/firewatch
UV_HOME := $(CACHE)/uv/$(shell sha256sum requirements/uv.txt | cut -c1-12)
UV := $(UV_HOME)/bin/uv
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
export PYTHONPATH := operator:.
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

.PHONY: setup
setup: $(STAMP) ## Install the locked Python packages into .venv

$(UV): requirements/uv.txt
	@command -v python3 >/dev/null || { echo "Python 3.11 or newer is needed: install python3 and python3-venv" >&2; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, this is $$(python3 -V)" >&2; exit 1; }
	@rm -rf $(UV_HOME)
	@python3 -m venv $(UV_HOME)
	@$(UV_HOME)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $(UV)

$(STAMP): requirements/dev.txt | $(UV)
	@echo "installing the locked Python packages into $(VENV)"
	@test -x $(PYTHON) || $(UV) venv --quiet $(VENV)
	@$(UV) pip sync --quiet --require-hashes --python $(PYTHON) requirements/dev.txt
	@touch $(STAMP)

.PHONY: lock
lock: | $(UV) ## Resolve the dependencies anew and write the lock files
	@$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml -o requirements/operator.txt
	@$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-header --python-version 3.11 --group dev pyproject.toml -o requirements/dev.txt

.PHONY: demo-breaker
demo-breaker: $(STAMP) ## Circuit breakers for real: a bad rollout, a failing API, one bad pod
	@$(PYTHON) -m e2e.breaker_demo

.PHONY: demo-stack
demo-stack: $(STAMP) ## A whole MonitoringStack on real pods: evidence of each part, a failing journey, what a change renews
	@$(PYTHON) -m e2e.stack_demo

.PHONY: demo
demo: $(STAMP) ## The main job for real: load, alert, scale-up, restore, on a real cluster
	@$(PYTHON) -m e2e.demo

.PHONY: test
test: $(STAMP) ## Every tier of tests, on a fresh machine too
	@$(PYTHON) -m tests.tiers

.PHONY: test-lint test-unit test-golden test-apiserver test-e2e
test-lint test-unit test-golden test-apiserver test-e2e: test-%: $(STAMP) ## One tier of tests
	@$(PYTHON) -m tests.tiers $*

.PHONY: test-argocd
test-argocd: $(STAMP) ## Argo CD's own Lua code over our health checks and actions; long to build
	@$(PYTHON) -m pytest tests/argocd

.PHONY: lint
lint: test-lint ## Format, style, types, import contracts, generated files

.PHONY: format
format: $(STAMP) ## Format the code
	@$(VENV)/bin/ruff check --quiet --fix . || true
	@$(VENV)/bin/ruff format --quiet .

.PHONY: generate
generate: $(STAMP) ## Write crds/, the chart's copies and the generated docs
	@$(PYTHON) -m firewatch.generate

.PHONY: dashboards
dashboards: $(STAMP) ## Write the JSON of the dashboards that come with Firewatch
	@$(PYTHON) -m dashboards.generate

.PHONY: dashboards-preview
dashboards-preview: $(STAMP) ## Draw those dashboards from real programs into docs/dashboards; 5 minutes
	@$(PYTHON) -m tests.golden.draw_dashboards

.PHONY: generate-check
generate-check: $(STAMP) ## Fail if a generated file is stale
	@$(PYTHON) -m firewatch.generate --check

.PHONY: golden
golden: $(STAMP) ## Write the golden files anew
	@$(PYTHON) -m pytest tests/golden --update-golden -q

.PHONY: cluster-up
cluster-up: $(STAMP) ## Start a real Kubernetes cluster on this machine, or use FIREWATCH_KUBECONFIG
	@$(PYTHON) -m e2e.cluster up

.PHONY: cluster-down
cluster-down: $(STAMP) ## Stop the cluster and remove everything of it but the cache
	@$(PYTHON) -m e2e.cluster down

.PHONY: cluster-status
cluster-status: $(STAMP) ## Say what runs
	@$(PYTHON) -m e2e.cluster status

.PHONY: bench-latency
bench-latency: $(STAMP) ## 30 episodes: from firing to patched, into build/bench/latency.json
	@$(PYTHON) -m bench.latency

.PHONY: bench-latency-peers
bench-latency-peers: $(STAMP) ## From a crossed threshold to changed replicas, beside HPA and KEDA; long
	@$(PYTHON) -m bench.latency_peers

.PHONY: bench-import
bench-import: $(STAMP) ## Memory and time of the operator at import, into build/bench/import.json
	@$(PYTHON) -m bench.importing

.PHONY: bench-quiet
bench-quiet: $(STAMP) ## Five quiet minutes and a restart: writes, memory, CPU, into build/bench/quiet.json
	@$(PYTHON) -m bench.quiet

.PHONY: bench-takeover
bench-takeover: $(STAMP) ## The leader killed and ended: until the next action, into build/bench/takeover.json
	@$(PYTHON) -m bench.takeover

.PHONY: bench-policies
bench-policies: $(STAMP) ## 1,000 policies beside prometheus-operator, then 10,000, into build/bench/policies.json
	@$(PYTHON) -m bench.policies

.PHONY: bench-quiet-many
bench-quiet-many: $(STAMP) ## Five quiet minutes and a restart with 1,000 policies and 3 stacks
	@$(PYTHON) -m bench.quiet --policies 1000 --stacks 3 --name quiet-many

.PHONY: bench-storm
bench-storm: $(STAMP) ## 10,000 alerts at once on 100 targets: time, memory, into build/bench/storm.json
	@$(PYTHON) -m bench.storm

.PHONY: rights-unused
rights-unused: $(STAMP) ## What the last e2e run found granted and never used
	@$(PYTHON) -m e2e.rights

.PHONY: test-grafana
test-grafana: $(STAMP) ## Grafana itself, on a cluster whose nodes pull images, as kind; not run by us
	@$(PYTHON) -m pytest e2e/grafana_real.py

.PHONY: campaign-upgrade
campaign-upgrade: $(STAMP) ## From the chart of part 1 in the middle of an episode; needs the repository's history
	@$(PYTHON) -m pytest e2e/upgrade_campaign.py

.PHONY: campaign-recovery
campaign-recovery: $(STAMP) ## etcd restored, statuses and volumes lost in the middle of an episode
	@$(PYTHON) -m pytest tests/apiserver/test_etcd.py tests/apiserver/test_restored_operator.py tests/apiserver/test_lost_ledger.py
	@$(PYTHON) -m pytest e2e/recovery_campaign.py

.PHONY: campaign-outage
campaign-outage: $(STAMP) ## The API server killed forty times: whether everything new is heard afterwards
	@$(PYTHON) -m pytest -s e2e/outage_campaign.py

.PHONY: campaign-removal
campaign-removal: $(STAMP) ## Everything deleted in every order in the middle of an episode; long
	@$(PYTHON) -m pytest e2e/removal_campaign.py

.PHONY: campaign-swing
campaign-swing: $(STAMP) ## A service whose own CPU is the alert: recovery with and without knowing the cure
	@$(PYTHON) -m pytest e2e/swing_campaign.py

.PHONY: campaign-watchdog
campaign-watchdog: $(STAMP) ## Monitoring itself broken on real pods: each alert of the pack watchdog fires; long
	@$(PYTHON) -m pytest -s e2e/watchdog_campaign.py

.PHONY: campaign-pains
campaign-pains: $(STAMP) ## 15 minutes with autoscalers, a flapping alert and a reverter; long
	@$(PYTHON) -m pytest -s e2e/pains_campaign.py

.PHONY: campaign-kill
campaign-kill: $(STAMP) ## Kill the operator before and after every write of an episode
	@$(PYTHON) -m e2e.kill_campaign
	@$(PYTHON) -m e2e.kill_owners_campaign

.PHONY: campaign-kill-breakers
campaign-kill-breakers: $(STAMP) ## The same for circuit breakers, on pods that serve real traffic; long
	@$(PYTHON) -m e2e.kill_breakers_campaign

.PHONY: campaign-forged
campaign-forged: $(STAMP) ## 100,000 forged and broken posts to the receiver: no action may come of them
	@$(PYTHON) -m tests.apiserver.forged
