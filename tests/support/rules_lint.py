"""The checks of alert rules by pint that need no server: python -m tests.support.rules_lint FILE...

pint (Cloudflare's linter of Prometheus rules) is a Go program that Debian does not have. Of its checks those are here
that make sense for rules which are shipped; the metrics with their types and labels are those of the exporter's
catalogue. Which labels an expression has is worked out in `tests.support.rules_labels`. One line a remark, exit status
1 if there is any.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

from exporter.catalogue import CATALOGUE
from exporter.metric import Kind
from replicator.api.counters import OUTCOMES
from replicator.common.durations import parse_duration
from replicator.errors import ErrorClass
from replicator.models import JobCondition, Outcome
from tests.support.rules_labels import NOT_YET, TARGET_LABELS, LabelError, children_of, labels_of, nodes_of

LOOK_BACK = 300
"""Prometheus' look-back in seconds: rules that read their own last value must be evaluated more often."""

RETENTION = 15 * 86400
"""Prometheus' default retention in seconds."""

SHORTEST_WINDOW = 120
"""Four scrapes, seconds: what a rate needs so that one lost scrape leaves two samples."""

OVER_COUNTERS = {"rate", "increase", "irate", "resets"}
COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}

VALUES: Mapping[str, frozenset[str]] = {
    "state": frozenset(JobCondition),
    "outcome": frozenset({*Outcome, *OUTCOMES}),
    "class": frozenset(ErrorClass),
    "role": frozenset({"source", "target", "both"}),
    "collector": frozenset({"daemon", "jobs", "nodes", "replicas", "guests", "scheduler", "notifications"}),
}
"""Labels whose values are a closed list."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One finding: where, which of pint's checks, and what is wrong."""

    where: str
    check: str
    words: str

    def __str__(self) -> str:
        return f"{self.where}: {self.check}: {self.words}"


@dataclass
class Known:
    """The metrics and their labels; recorded series are added as their rules are read."""

    labels: dict[str, frozenset[str]] = field(default_factory=dict)
    counters: frozenset[str] = frozenset()

    @classmethod
    def of_exporter(cls) -> Known:
        """What the exporter has, with Prometheus' own ``up``."""
        metrics = {metric.name: metric for metric in CATALOGUE}
        labels = {name: frozenset(metric.labels) | TARGET_LABELS for name, metric in metrics.items()}
        counters = frozenset(name for name, metric in metrics.items() if metric.kind is Kind.COUNTER)
        return cls(labels | dict.fromkeys(("up", "process_start_time_seconds"), TARGET_LABELS), counters)


def lint(documents: Sequence[Mapping[str, Any]], known: Known | None = None) -> list[Remark]:
    """All remarks on rule files that are loaded together."""
    known = known or Known.of_exporter()
    remarks: list[Remark] = []
    groups = [group for document in documents for group in document["groups"]]
    for _ in range(2):  # twice, since a rule may read what a later one records, or itself
        remarks = [
            remark
            for group in groups
            for remark in [*_of_group(group), *(r for rule in group["rules"] for r in _of_rule(rule, group, known))]
        ]
    return remarks


def _of_group(group: Mapping[str, Any]) -> Iterator[Remark]:
    interval = parse_duration(group.get("interval", "1m"))
    if interval >= LOOK_BACK:
        yield Remark(group["name"], "group/interval", f"{group['interval']} is not shorter than the look-back of 5m")


def _of_rule(rule: Mapping[str, Any], group: Mapping[str, Any], known: Known) -> Iterator[Remark]:
    name = rule.get("alert") or rule["record"]
    where = f"{group['name']}/{name}"
    expression = promql.parse(rule["expr"])
    for check, called in CHECKS.items():
        for words in check(expression, known):
            yield Remark(where, called, words)
    try:
        labels = labels_of(expression, {name: NOT_YET} | known.labels)
    except LabelError as error:
        yield Remark(where, error.check, str(error))
        return
    if "record" in rule:
        known.labels[name] = (labels - NOT_YET) | rule.get("labels", {}).keys()
        if not re.fullmatch(r"[a-z_]+:[a-z0-9_]+:[a-z_0-9]+", name):
            yield Remark(where, "rule/name", "a recorded series is named level:metric:operation")
        return
    yield from (Remark(where, check, words) for check, words in _of_alert(rule, expression, labels))


def _of_alert(rule: Mapping[str, Any], expression: promql.Expr, labels: frozenset[str]) -> Iterator[tuple[str, str]]:
    calls = [node.func.name for node in nodes_of(expression) if isinstance(node, promql.Call)]
    compared = any(isinstance(node, promql.BinaryExpr) and str(node.op) in COMPARISONS for node in nodes_of(expression))
    if not compared and "absent" not in calls and rule["labels"].get("severity") != "none":
        yield "alerts/comparison", "it has no condition, so it fires as long as the series exists"
    if "absent" in calls and parse_duration(rule.get("for", "0s")) < SHORTEST_WINDOW:
        yield "alerts/absent", "absent() without a `for` fires at every restart of Prometheus"
    if "$value" in str(rule["labels"]):
        yield "alerts/template", "a value in a label makes a new alert at each change"
    own = labels | rule["labels"].keys()
    for annotation, text in rule["annotations"].items():
        for used in sorted(set(re.findall(r"\$labels\.(\w+)", text)) - own):
            yield "alerts/template", f"{annotation} asks for the label {used}, which the expression does not have"
        for selector in re.findall(r"`([^`]*zsr_[^`]*)`", text):
            try:
                promql.parse(re.sub(r"%q", '"x"', selector))
            except ValueError as error:
                yield "alerts/template", f"{annotation} has a query that cannot be read: {error}"


def _counters(expression: promql.Expr, known: Known) -> Iterator[str]:
    yield from _read_by(expression, None, known)


def _read_by(node: promql.Expr, function: str | None, known: Known) -> Iterator[str]:
    """Remarks on how counters and gauges are read below a node, which is an argument of a function or of none."""
    match node:
        case promql.VectorSelector() | promql.MatrixSelector():
            name = node.name if isinstance(node, promql.VectorSelector) else node.vector_selector.name
            if name in known.counters and function not in OVER_COUNTERS:
                yield f"{name} is a counter and is read without rate() or increase()"
            if name not in known.counters and function in OVER_COUNTERS:
                yield f"{name} is no counter and is read with {function}()"
        case promql.Call():
            for argument in node.args:
                yield from _read_by(argument, node.func.name, known)
        case promql.BinaryExpr() if _asks_whether_it_ever_happened(node):
            return
        case _:
            for child in children_of(node):
                yield from _read_by(child, None, known)


def _asks_whether_it_ever_happened(node: promql.BinaryExpr) -> bool:
    """Whether something is compared with ``> 0``: of a counter, the only use of its bare value."""
    never = isinstance(node.rhs, promql.NumberLiteral) and node.rhs.val == 0
    return str(node.op) == ">" and never and isinstance(node.lhs, promql.VectorSelector)


def _windows(expression: promql.Expr, known: Known) -> Iterator[str]:
    del known
    for node in nodes_of(expression):
        if isinstance(node, promql.MatrixSelector):
            seconds = node.range.total_seconds()
            if not SHORTEST_WINDOW <= seconds <= RETENTION:
                yield f"a window of {seconds:g} s is not between {SHORTEST_WINDOW} s and the retention"


def _selectors(expression: promql.Expr) -> Iterator[promql.VectorSelector]:
    for node in nodes_of(expression):
        if isinstance(node, promql.VectorSelector):
            yield node
        elif isinstance(node, promql.MatrixSelector):
            yield node.vector_selector


def _regular_expressions(expression: promql.Expr, known: Known) -> Iterator[str]:
    del known
    for selector in _selectors(expression):
        for matcher in selector.matchers.matchers:
            if matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe):
                if re.fullmatch(r"[\w-]+", matcher.value):
                    yield f"{matcher.name}=~{matcher.value!r} has nothing of a regular expression; use ="
                if matcher.value.startswith("^") or matcher.value.endswith("$"):
                    yield f"{matcher.name}=~{matcher.value!r} is anchored anyway"


def _values(expression: promql.Expr, known: Known) -> Iterator[str]:
    for selector in _selectors(expression):
        for matcher in selector.matchers.matchers:
            if matcher.name not in known.labels.get(selector.name or "", TARGET_LABELS):
                yield f"{selector.name} has no label {matcher.name}"
            for value in matcher.value.split("|"):
                if value not in VALUES.get(matcher.name, {value}):
                    yield f"{matcher.name} is never {value!r}"


def _brackets(expression: promql.Expr, known: Known) -> Iterator[str]:
    """``a or b unless c`` takes c away from b only; who means that writes brackets."""
    del known
    for node in nodes_of(expression):
        if isinstance(node, promql.BinaryExpr) and str(node.op) == "or":
            for side in (node.lhs, node.rhs):
                if isinstance(side, promql.BinaryExpr) and str(side.op) in ("and", "unless"):
                    yield f"'{side.op}' binds tighter than the 'or' next to it; put brackets"


CHECKS: dict[Callable[[promql.Expr, Known], Iterator[str]], str] = {
    _counters: "promql/counter",
    _windows: "promql/range_query",
    _regular_expressions: "promql/regexp",
    _values: "promql/series",
    _brackets: "promql/precedence",
}


def main(files: Sequence[str]) -> int:
    """Print the remarks on these rule files; 1 if there are any."""
    remarks = lint([yaml.safe_load(Path(file).read_text()) for file in files])
    for remark in remarks:
        sys.stdout.write(f"{remark}\n")
    return 1 if remarks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
