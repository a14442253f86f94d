# What one types in a checkout. Each goal sets up what it needs by itself (tools/setup); a second time that is quick.
#
#   make demo [DURATION=90]   replication between two pools on this machine; ends by itself after DURATION seconds
#   make test                 format, lint and types, then every test this machine can run
#   make unit                 the tests that take seconds and need no root
#   make check                format, lint and types only
#   make torture [N=500]      N faults at random steps of real runs between real nodes; SEED=, CASE=, LANES= as its docs say
#   make bench                time, processes, sessions and round trips against a pipe by hand and the peers, in the lab
#   make monitoring [DURATION=90]   the demo with Prometheus, Alertmanager and the dashboards beside it, on loopback
#   make dashboards [MINUTES=12]  the dashboards' JSON, and their pictures in docs/ from a demo that ran so long, checked;
#                             with PROM=URL [OUT=FOLDER] only pictures, of that Prometheus
#   make clean                what the goals above left in this checkout; the virtual environment too

.DEFAULT_GOAL := help
export SEED CASE LANES PROM

.PHONY: help demo test check pytest unit torture bench dashboards monitoring clean venv

export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

BIN := .venv/bin
CODE := replicator exporter alerts grafana demo tests bench tools

help:
	@sed -n 's/^#   //p' Makefile

demo:
	@tools/setup demo
	@exec $(BIN)/python -m demo $(if $(DURATION),--duration $(DURATION))

# Both halves are run by `make -k test` even if the first finds something.
test: check pytest

check: venv
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(addprefix -p ,$(CODE))

# A process for each processor, at most 4: the nodes of each take 2 GiB. One that has nothing left takes over tests of
# another, so the slow ones (tests/lab, first in order) end up shared.
pytest:
	@tools/setup test
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

unit: venv
	$(BIN)/pytest tests/unit

venv:
	@tools/setup venv

torture:
	@tools/setup test
	$(BIN)/python -m tests.lab.torture $(or $(N),50)

# Each writes bench/results/*.json; what they say is docs/performance.md.
bench:
	@tools/setup test
	$(BIN)/python -m bench.pump
	$(BIN)/python -m bench.memory
	$(BIN)/python -m bench.latency
	$(BIN)/python -m bench.transfer

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

clean:
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m demo --clear; fi
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +
