"""Mutants of the alert rules: one thing of one rule is wrong in each, and a test must notice it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

FOREVER = "10d"
"""Longer than any test lasts."""

_QUOTED = re.compile(r'\{[^{}]*\}|"[^"]*"|\[[^\]]*\]|\b(?:on|by|without|ignoring|group_left|group_right) \([^()]*\)')
_COMPARED = re.compile(r"[<>]=?|[=!]=")
_SET = re.compile(r"\b(?:and|unless)\b")
_METRIC = re.compile(r"(?<![\w:])(?:zsr|process|up)\w*(?![\w:])")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "!=", "!=": "==", "and": "unless", "unless": "and"}


@dataclass(frozen=True)
class Rule:
    """A rule as its file has it; ``name``: the alert or the recorded series, ``number`` its place among all rules."""

    number: int
    group: str
    interval: str
    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.body.get("alert") or self.body["record"])

    @property
    def is_alert(self) -> bool:
        return "alert" in self.body

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics that its expression reads itself."""
        return frozenset(_METRIC.findall(_bare(str(self.body["expr"]))))

    @cached_property
    def reads(self) -> frozenset[str]:
        """All words of its expression and of its texts that may be names of series."""
        return names_in(self.body)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule with one change; ``body`` None: the rule is not there."""

    rule: Rule
    change: str
    body: Mapping[str, Any] | None

    @property
    def title(self) -> str:
        return f"{self.rule.name}: {self.change}"


def read_rules(files: Sequence[Mapping[str, Any]]) -> list[Rule]:
    """The rules of these files, as YAML has them."""
    groups = [group for content in files for group in content["groups"]]
    rules = [(group, body) for group in groups for body in group["rules"]]
    return [
        Rule(number, group["name"], group.get("interval", "1m"), body) for number, (group, body) in enumerate(rules)
    ]


def mutants(rule: Rule) -> Iterator[Mutant]:
    """All mutants of a rule."""
    yield Mutant(rule, "deleted", None)
    expression = str(rule.body["expr"])
    bare = _bare(expression)
    for kind in (_COMPARED, _SET):
        for number, found in enumerate(kind.finditer(bare), start=1):
            other = _FLIPPED[found[0]]
            changed = expression[: found.start()] + other + expression[found.end() :]
            yield Mutant(rule, f"{found[0]} {number} is {other}", {**rule.body, "expr": changed})
    if "for" in rule.body:
        yield Mutant(rule, f"for is {FOREVER}", {**rule.body, "for": FOREVER})
    for metric in sorted(rule.metrics):
        changed = re.sub(rf"(?<![\w:]){metric}(?![\w:])", f"{metric}_dropped", expression)
        yield Mutant(rule, f"without {metric}", {**rule.body, "expr": changed})


def names_in(facts: object) -> frozenset[str]:
    """All words in the texts of some facts that may be names of series."""
    if isinstance(facts, str):
        return frozenset(_NAME.findall(facts))
    if isinstance(facts, Mapping):
        facts = list(facts.values())
    return frozenset().union(*map(names_in, facts)) if isinstance(facts, Sequence) else frozenset()


def _bare(expression: str) -> str:
    """The expression with blanks for its matchers, texts, ranges and lists of labels."""
    return _QUOTED.sub(lambda found: " " * len(found[0]), expression)


def metrics_behind(rule: Rule, rules: Sequence[Rule]) -> set[str]:
    """The metrics that a rule reads, directly or through others.

    ``up``, which all tests have, is among them only if the rule itself reads it: through others it only keeps a series.
    """
    numbers = upstream({rule.number}, rules)
    found = {metric for each in rules if each.number in numbers for metric in each.metrics}
    return found - {"up"} | rule.metrics & {"up"} or found


def downstream(rule: Rule, rules: Sequence[Rule]) -> set[int]:
    """The numbers of a rule and of all rules that read it, directly or through others."""
    found = {rule.number}
    while True:
        names = {each.name for each in rules if each.number in found and not each.is_alert}
        more = {each.number for each in rules if each.reads & names} | found
        if more == found:
            return found
        found = more


def upstream(numbers: set[int], rules: Sequence[Rule]) -> set[int]:
    """The numbers of these rules and of all rules that they read, directly or through others."""
    found = set(numbers)
    while True:
        read = frozenset().union(*(each.reads for each in rules if each.number in found))
        more = {each.number for each in rules if not each.is_alert and each.name in read} | found
        if more == found:
            return found
        found = more


def file_of(rules: Sequence[Rule], numbers: set[int], mutant: Mutant | None = None) -> dict[str, Any]:
    """The rule file with the rules of these numbers, one of them mutated."""
    groups: dict[str, dict[str, Any]] = {}
    for rule in rules:
        changed = mutant is not None and mutant.rule.number == rule.number
        body = mutant.body if mutant is not None and changed else rule.body
        if rule.number in numbers and body is not None:
            group = groups.setdefault(rule.group, {"name": rule.group, "interval": rule.interval, "rules": []})
            group["rules"].append(body)
    return {"groups": list(groups.values())}
