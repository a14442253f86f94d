# Commands for a checkout. Each sets up what it needs by itself (tools/setup); a second time that is quick.
#
#   make demo [DURATION=90]   replication between two pools on this machine; ends by itself after DURATION seconds
#   make test                 format, lint and types, then every test this machine can run
#   make unit                 the tests that take seconds and need no root
#   make check                format, lint and types only
#   make fix                  format, and the lint findings that can be fixed safely
#   make docs                 the generated tables of docs/
#   make coverage [TESTS="tests/unit tests/zfs"]   lines run by the tests, in percent for each package
#   make proof [HOURS=2]      what takes hours: faults at random steps of real runs, and long simulations; SEED=
#   make torture [N=500]      N faults at random steps of real runs between real nodes; SEED=, CASE=, LANES= as its docs say
#   make fuzz [N=500]         N steps in drawn configurations on one lab node; SEED=, STEPS=; MODEL=1 in memory, without a lab
#   make bench                time, processes, sessions and round trips against a pipe by hand and the peers, in the lab
#   make monitoring [DURATION=90]   the demo with Prometheus, Alertmanager and the dashboards, on loopback
#   make dashboards [MINUTES=12]  the dashboards' JSON, and their pictures in docs/ from a demo that ran so long, checked;
#                             with PROM=URL [OUT=FOLDER] only pictures, of that Prometheus
#   make package [ARCH=arm64] the Debian package, for Debian 12 and 13 and Proxmox VE 8 and 9, in dist/, looked at by lintian
#   make clean                remove all that these left in this checkout; the virtual environment too

.DEFAULT_GOAL := help
export SEED CASE LANES PROM STEPS MODEL

.PHONY: help demo test prepared check fix docs pytest unit coverage proof torture fuzz bench dashboards monitoring package clean venv

export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

BIN := .venv/bin
CODE := replicator exporter alerts grafana demo tests bench tools

# The commit in the first digits of its hash: with it, a sample of what `make proof` does is different for each commit and
# the same on each machine.
COMMIT_SEED = $(shell printf '%d' 0x$$(git rev-parse --short=7 HEAD 2>/dev/null || echo 0))

help:
	@sed -n 's/^#   //p' Makefile

demo:
	@tools/setup demo
	@exec $(BIN)/python -m demo $(if $(DURATION),--duration $(DURATION))

# `prepared` comes first: it lets the lab's kernel be built in the background. `make -k test` runs the tests even if
# `check` finds something.
test: prepared check pytest

prepared:
	@tools/setup test

check: venv
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(addprefix -p ,$(CODE))

fix: venv
	$(BIN)/ruff check --fix-only $(CODE)
	$(BIN)/ruff format $(CODE)

docs: venv
	$(BIN)/python -m grafana
	$(BIN)/python -m tools.docs_tables docs/metrics.md docs/dashboards.md docs/states.md

# A process for each processor, at most 4: the nodes of each take 2 GiB. One that has nothing left takes over tests of
# another, so the slow ones (tests/lab, first in order: tests/conftest.py) end up shared.
pytest: prepared
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal --budget \
	    --sample-seed $(COMMIT_SEED) --hypothesis-seed $(COMMIT_SEED)

unit: venv
	$(BIN)/pytest tests/unit

coverage: venv
	-$(BIN)/coverage run -m pytest -q $(or $(TESTS),tests/unit)
	$(BIN)/python -m tools.package_coverage

venv:
	@tools/setup venv

proof: prepared
	$(BIN)/python -m tools.proof --hours $(or $(HOURS),2) $(if $(SEED),--seed $(SEED))

torture: prepared
	$(BIN)/python -m tests.lab.torture $(or $(N),50)

fuzz: prepared
	$(BIN)/python -m tests.lab.fuzz $(or $(N),500)

# Each writes bench/results/*.json; docs/performance.md explains the figures.
bench: prepared
	$(BIN)/python -m bench.pump
	$(BIN)/python -m bench.memory
	$(BIN)/python -m bench.rows
	$(BIN)/python -m bench.latency
	$(BIN)/python -m bench.transfer
	$(BIN)/python -m bench.quickstarts

dashboards:
	@tools/setup dashboards
	$(BIN)/python -m grafana
	$(BIN)/python -m tools.docs_tables docs/dashboards.md
ifdef PROM
	@mkdir -p $(or $(OUT),pictures)
	for name in replication guest node; do for theme in dark light; do \
	    DASHBOARD=$$name grafana/render/render.sh $(or $(OUT),pictures)/$$name-$$theme.png $$theme || exit 1; \
	done; done
else
	MINUTES=$(or $(MINUTES),12) $(BIN)/pytest tests/monitoring/drawn_dashboards.py
endif

monitoring:
	@tools/setup monitoring
	@exec $(BIN)/python -m demo --monitoring $(if $(DURATION),--duration $(DURATION))

package:
	@tools/setup package
	$(BIN)/python -m tools.debian_package --architecture $(or $(ARCH),amd64)

clean:
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m demo --clear; fi
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build dist
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +
