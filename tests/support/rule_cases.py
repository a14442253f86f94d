"""The tests of the rules (promtool's, and the states), reduced to what concerns some of the alerts. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.rule_mutants import names_in

_ALERT = re.compile(r'alertname="(\w+)"')
_RECORDED = re.compile(r"\b[a-z_]+:[a-zA-Z0-9_:]+")


@dataclass(frozen=True, slots=True)
class Case:
    """One test: its file or state, its place there, and promtool's description of it."""

    name: str
    interval: str
    test: Mapping[str, Any]
    fires: frozenset[str] = field(default_factory=frozenset)

    @property
    def size(self) -> int:
        """How long it takes, roughly."""
        return len(self.test["input_series"]) * _minutes(self.test) // max(1, _seconds(self.interval))

    def has_any(self, metrics: Set[str]) -> bool:
        """Whether any of these metrics is among its series."""
        return any(_metric(each) in metrics for each in self.test["input_series"])

    def read_by(self, rules: Mapping[str, Any]) -> Case:
        """The case without the series that neither these rules nor its own queries read, which only cost time."""
        read = names_in([rules, self.test.get("promql_expr_test", ())])
        series = [each for each in self.test["input_series"] if _metric(each) in read]
        return replace(self, test={**self.test, "input_series": series})

    def about(self, alerts: Set[str], recorded: Set[str]) -> Case | None:
        """The case without what it expects of other alerts and series; None if nothing is left."""
        asked = [each for each in self.test.get("alert_rule_test", ()) if each["alertname"] in alerts]
        series = [
            {**each, "exp_samples": [one for one in each.get("exp_samples") or () if _concerns(one, alerts)]}
            for each in self.test.get("promql_expr_test", ())
            if set(_RECORDED.findall(each["expr"])) <= recorded
        ]
        if not asked and not series:
            return None
        found = {**self.test, "alert_rule_test": asked, "promql_expr_test": series}
        return Case(self.name, self.interval, found, self.fires)


def cases_of(name: str, content: Mapping[str, Any]) -> list[Case]:
    """The tests of a file of promtool."""
    return [
        Case(f"{name}: {test.get('name', number)}", content["evaluation_interval"], test, _fired(test))
        for number, test in enumerate(content["tests"])
    ]


def in_order(cases: Sequence[Case], alerts: Set[str]) -> list[Case]:
    """The cases in the order in which they probably notice a change of these alerts, quick ones first."""
    return sorted(cases, key=lambda case: (not case.fires & alerts, case.size))


def _fired(test: Mapping[str, Any]) -> frozenset[str]:
    asked = {each["alertname"] for each in test.get("alert_rule_test", ()) if each.get("exp_alerts")}
    samples = [one["labels"] for each in test.get("promql_expr_test", ()) for one in each.get("exp_samples") or ()]
    return frozenset(asked | {found for labels in samples for found in _ALERT.findall(labels)})


def _metric(series: Mapping[str, Any]) -> str:
    return re.split(r"[{ ]", series["series"], maxsplit=1)[0]


def _concerns(sample: Mapping[str, Any], alerts: Set[str]) -> bool:
    named = set(_ALERT.findall(sample["labels"]))
    return not named or bool(named & alerts)


def _minutes(test: Mapping[str, Any]) -> int:
    asked = [*test.get("alert_rule_test", ()), *test.get("promql_expr_test", ())]
    return max((_seconds(str(each["eval_time"])) for each in asked), default=0)


def _seconds(duration: str) -> int:
    of = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * of[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))
