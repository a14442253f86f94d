"""States of `tests.monitoring.states` that one machine produces with real parts, and how they are compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from replicator.api.status import Status
from tests.support.real_site import RealSite
from tests.support.scraped import Series, samples
from tests.support.state_stories import RULES
from tests.support.states import BEGIN, Alert, State

Making = Generator[None, None, None]
FAILURES = 3
"""Failures in a row from which on an alert fires; a story has more."""
HOUR = 3600.0
LATE = -2700.0
"""Clocks that are set to this and back let the promise of half an hour pass."""


@dataclass(frozen=True)
class RealState:
    """A state, and how it is brought about on a real site.

    Attributes:
        make: brings it about up to its ``yield``, and ends it after that.
        spoils: the site is of no use for another state; ``make`` has no end then.
        others: metrics that are not compared, with the reason.
    """

    state: State
    make: Callable[[RealSite], Making]
    spoils: bool = False
    others: Mapping[str, str] | None = None


@contextmanager
def late(site: RealSite) -> Generator[None, None, None]:
    """Let the promise pass: the last run is one of three quarters of an hour ago, and the body was done right then."""
    site.set_clocks(LATE)
    site.run()
    yield
    site.set_clocks(0)


def well_again(site: RealSite) -> None:
    """Let the job run until it succeeds."""
    site.alpha.zsr("schedule-now", "100-0", good=False)
    site.until(lambda: site.value("zsr_job_consecutive_failures", zsr_job="100-0") == 0, "a run succeeds again")


# --- which metrics an alert reads


@cache
def _expressions() -> Mapping[str, str]:
    """The expressions of all alerts and recorded series, by name."""
    found: dict[str, str] = {}
    for path in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                found[name] = found.get(name, "") + "\n" + rule["expr"]
    return found


def metrics_of(alert: str) -> frozenset[str]:
    """The daemons' metrics that an alert reads, also through recorded series."""
    metrics: set[str] = set()
    seen: set[str] = set()
    waiting = [alert]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            words = set(re.findall(r"[a-z_]+(?::[a-z_]+)+|\b(?:zsr|process)_[a-z_]+\b", _expressions()[name]))
            waiting += [word for word in words if ":" in word]
            metrics |= {word for word in words if ":" not in word}
    return frozenset(metrics)


# --- what is compared


INCIDENTAL = frozenset({"version", "python", "zfs", "digest", "boot", "schedule", "address", "pool", "path"})
"""Labels whose value is that of a site."""


def meaning(series: Mapping[Series, float], metrics: frozenset[str], now: float) -> dict[Series, str]:
    """Series as far as they say what is the case: without times, sizes, and what differs from site to site."""
    return {
        (name, frozenset((key, "..." if key in INCIDENTAL else text) for key, text in labels)): _value(name, value, now)
        for (name, labels), value in series.items()
        if name in metrics
    }


def _value(name: str, value: float, now: float) -> str:
    if name.endswith("_timestamp_seconds"):
        ahead = value > now + 60 and name not in {"zsr_job_next_run_timestamp_seconds", "zsr_clock_timestamp_seconds"}
        return "in the future" if ahead else "a time"
    if name.endswith("_total"):
        return "0" if value == 0 else "some"
    if name.endswith(("_bytes", "_duration_seconds", "_lag_seconds", "_skew_seconds")):
        return "a number"
    return f"{min(value, FAILURES):g}"


def given(state: State, node: str) -> Status | None:
    """A node's status in a story when all of it must be reported."""
    return state.at(BEGIN + max(alert.within for alert in state.alerts) + 1).get(node)


def differences(made: RealState, site: RealSite, node: str) -> list[str]:
    """What the story of a state and a real node differ in, of all that the state's alerts read of this node."""
    state, status = made.state, given(made.state, node)
    if status is None:
        return [f"{node} answers"] if site.metrics(node) else []
    metrics = frozenset[str]().union(*(metrics_of(alert.name) for alert in state.alerts))
    metrics -= (made.others or {}).keys() | state.dropped
    notes = state.notes(max(alert.within for alert in state.alerts) + 1)
    found = samples(status, notes, state.usable)
    story = {(each.name, frozenset(each.labels.items())): each.value for each in found}
    said = meaning(story, metrics, status.time)
    real = meaning(site.metrics(node), metrics, site.now())
    lines = [f"{node}: {_text(each)} {said.get(each)} in the story, {real.get(each)} for real"
             for each in sorted({*said, *real}, key=_text) if said.get(each) != real.get(each)]  # fmt: skip
    return [line for line in lines if "process_" not in line] if said or real else []


def _text(series: Series) -> str:
    name, labels = series
    return f"{name}{dict(sorted(labels))}"


def fires(alert: Alert, found: list[dict[str, Any]], site: RealSite) -> bool:
    """Whether an alert is among those that were found."""
    wanted = {"alertname": alert.name, "severity": str(alert.severity), **alert.labels}
    if "pool" in wanted:
        wanted["pool"] = site.pools["alpha" if wanted["pool"] == "rpool" else "beta"]
    return any(wanted.items() <= each.items() for each in found)
