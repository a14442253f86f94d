"""Stories for promtool of states: the series that the real exporter gives while a state comes, lasts and ends."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from replicator.api.status import Status
from tests.support.scraped import samples
from tests.support.states import BEGIN, State

RULES = Path(__file__).parents[2] / "alerts" / "rules"
Series = Mapping[str, Sequence[float | None]]


def metrics_of_rules() -> frozenset[str]:
    """All names that the rules may read."""
    text = "\n".join(path.read_text() for path in sorted(RULES.glob("*.yml")))
    return frozenset(re.findall(r"\b(?:zsr|process)_[a-z_]+\b", text))


def scrape(status: Status, notes: str | Exception | None = None, usable: str | None = None) -> dict[str, float]:
    """The samples of one scrape of a daemon by series, without the labels that Prometheus adds.

    The process is the daemon that is played, so it has started when the status says.
    """
    found = {_named(each.name, each.labels): each.value for each in samples(status, notes, usable)}
    return {**found, "process_start_time_seconds": status.started}


def series_of(state: State, names: frozenset[str]) -> Series:
    """The series of a whole story, one value for each sample; None: absent."""
    minutes = range(0, BEGIN + state.lasts + state.ends + state.step, state.step)
    found: defaultdict[str, list[float | None]] = defaultdict(lambda: [None] * len(minutes))
    for at, minute in enumerate(minutes):
        for node, status in state.at(minute).items():
            labels, lasts = _labels(node), 0 <= minute - BEGIN < state.lasts
            found[f"up{{{labels}}}"][at] = float(status is not None)
            notes = state.notes(minute - BEGIN) if lasts else None
            usable = state.usable if lasts else None
            for name, value in (scrape(status, notes, usable) if status is not None else {}).items():
                metric, _, rest = name.partition("{")
                if metric in names and not (lasts and metric in state.dropped):
                    found[f"{metric}{{{labels}{',' if rest else ''}{rest or '}'}"][at] = value
    return found


def story(state: State, names: frozenset[str]) -> dict[str, Any]:
    """The test of promtool for a state: what fires before it, when all of it must be reported, and after its end."""
    within = max(alert.within for alert in state.alerts)
    if within >= state.lasts:
        raise AssertionError(f"{state.key} ends before it must be reported")
    end = BEGIN + state.lasts
    moments = [
        _firing(state, BEGIN - 1, expected=False),
        _firing(state, BEGIN + within + 1, expected=True),
        _firing(state, end + state.ends, expected=False),
    ]
    return {
        "name": f"{state.key}: {state.title}",
        "interval": f"{state.step}m",
        "input_series": [
            {"series": name, "values": " ".join(_values(values))}
            for name, values in sorted(series_of(state, names).items())
        ],
        "promql_expr_test": [_firing(state, within + 1, expected=True)] if state.unloaded else moments,
    }


def story_file(state: State) -> str:
    """The file for promtool with the story of a state."""
    loaded = [str(path) for path in sorted(RULES.glob("*.yml")) if path.name not in state.unloaded]
    tests = [story(state, metrics_of_rules())]
    return json.dumps({"rule_files": loaded, "evaluation_interval": "1m", "tests": tests})


def _firing(state: State, minute: int, *, expected: bool) -> dict[str, Any]:
    """Which alerts fire at a minute, with the labels that the state names."""
    labels = sorted({label for alert in state.alerts for label in alert.labels})
    sparse = ("ZsrScrapedRarely",) if state.step > 1 else ()  # a long story has fewer samples than a real scraper takes
    tolerated = "".join(f',alertname!="{name}"' for name in (*state.tolerated, *sparse))
    by = ", ".join(["alertname", "severity", *labels])
    alerts = state.alerts if expected else ()
    return {
        "eval_time": f"{minute}m",
        "expr": f'count by ({by}) (ALERTS{{alertstate="firing",alertname!="ZsrWatchdog"{tolerated}}}) > bool 0',
        "exp_samples": [
            {"labels": _named("", {"alertname": a.name, "severity": str(a.severity), **a.labels}), "value": 1}
            for a in alerts
        ],
    }


def _labels(node: str) -> str:
    """The labels that Prometheus adds to a daemon's series."""
    cluster, _, name = node.rpartition("/")
    return f'job="zsr",instance="{name}"' + (f',cluster="{cluster}"' if cluster else "")


def _named(name: str, labels: Mapping[str, str]) -> str:
    inner = ",".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in labels.items())
    return f"{name}{{{inner}}}" if inner or not name else name


def _values(values: Sequence[float | None]) -> list[str]:
    """The values in promtool's notation; a series that ends is marked stale, as Prometheus does."""
    written: list[str] = []
    before: float | None = None
    for value in values:
        written.append(repr(value) if value is not None else "stale" if before is not None else "_")
        before = value
    return written
