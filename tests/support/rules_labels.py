"""Which labels the result of a PromQL expression can have, worked out from the labels of its metrics. Pure.

Cases that the engine accepts silently are errors here: a metric that does not exist, a label in on() that one side
lacks, an aggregation that loses the scrape job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import promql_parser as promql

TARGET_LABELS = frozenset({"job", "instance", "cluster"})
"""Labels that the scrape gives; "cluster" is there only where there are several."""

SET_OPERATORS = {"and", "or", "unless"}
SELECTING = {"topk", "bottomk", "limitk"}

Labels = frozenset[str]

NOT_YET = frozenset({"*"})
"""The labels of a series whose own rule is being read: it may have any."""


class LabelError(ValueError):
    """An expression asks for a label or a metric that there is not; ``check`` is pint's name for it."""

    def __init__(self, check: str, words: str) -> None:
        super().__init__(words)
        self.check = check


def nodes_of(expression: promql.Expr) -> Iterator[promql.Expr]:
    """The expression and all expressions in it."""
    yield expression
    for child in children_of(expression):
        yield from nodes_of(child)


def children_of(node: promql.Expr) -> list[promql.Expr]:
    """What an expression is made of."""
    match node:
        case promql.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql.Call():
            return list(node.args)
        case promql.AggregateExpr():
            return [node.expr, *([node.param] if node.param is not None else [])]
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return [node.expr]
    return []


def labels_of(node: promql.Expr, known: Mapping[str, Labels]) -> Labels:
    """The labels that a result may have; those of an ``or`` are the ones that either side may have.

    Raises:
        LabelError: see the module.
    """
    match node:
        case promql.VectorSelector():
            return _of_selector(node, known)
        case promql.MatrixSelector():
            return _of_selector(node.vector_selector, known)
        case promql.Call():
            return _of_call(node, known)
        case promql.AggregateExpr():
            return _of_aggregation(node, known)
        case promql.BinaryExpr():
            return _of_operation(node, known)
    return frozenset[str]().union(*(labels_of(child, known) for child in children_of(node)))


def _of_selector(node: promql.VectorSelector, known: Mapping[str, Labels]) -> Labels:
    if node.name is None or node.name not in known:
        raise LabelError("promql/series", f"there is no metric {node.name}")
    return known[node.name]


def _is_scalar(node: promql.Expr) -> bool:
    match node:
        case promql.NumberLiteral():
            return True
        case promql.ParenExpr() | promql.UnaryExpr():
            return _is_scalar(node.expr)
        case promql.Call():
            return node.func.name in ("time", "scalar")
        case promql.BinaryExpr():
            return _is_scalar(node.lhs) and _is_scalar(node.rhs)
    return False


def _of_call(node: promql.Call, known: Mapping[str, Labels]) -> Labels:
    found = frozenset[str]().union(*(labels_of(argument, known) for argument in node.args))
    if node.func.name == "label_replace":
        _, new, _, old, _ = node.args
        if old.val and old.val not in found:
            raise LabelError("promql/vector_matching", f"label_replace reads the label {old.val}, which is not there")
        return found | {new.val}
    return found


def _of_aggregation(node: promql.AggregateExpr, known: Mapping[str, Labels]) -> Labels:
    found = labels_of(node.expr, known)
    if str(node.op) in SELECTING:
        return found
    modifier = node.modifier
    if modifier is None:
        raise LabelError("promql/aggregate", f"{node.op} without by or without loses the label job")
    named = frozenset(modifier.labels)
    missing = named - found - TARGET_LABELS
    if missing:
        raise LabelError("promql/aggregate", f"{node.op} names {', '.join(sorted(missing))}, which is not there")
    left = found & named if modifier.type is promql.AggModifierType.By else found - named
    if "job" not in left:
        raise LabelError("promql/aggregate", f"{node.op} loses the label job")
    return left


def _of_operation(node: promql.BinaryExpr, known: Mapping[str, Labels]) -> Labels:
    left, right = labels_of(node.lhs, known), labels_of(node.rhs, known)
    if _is_scalar(node.lhs) or _is_scalar(node.rhs):
        return left | right
    modifier = node.modifier
    on = None if modifier is None or modifier.matching is None else frozenset(modifier.matching.labels)
    if on is None:
        if str(node.op) != "or" and left != right:
            raise LabelError(
                "promql/vector_matching", f"'{node.op}' has no on(), and the sides differ in {sorted(left ^ right)}"
            )
        return left | right
    missing = {
        label for label in on - {"cluster"} for side in (left, right) if label not in side and not side >= NOT_YET
    }
    if missing:
        raise LabelError("promql/vector_matching", f"on() names {', '.join(sorted(missing))}, which one side lacks")
    return _matched(str(node.op), node.modifier, left, right, on)


def _matched(operator: str, modifier: promql.BinModifier | None, left: Labels, right: Labels, on: Labels) -> Labels:
    if operator == "or":
        return left | right
    if operator in SET_OPERATORS:
        return left
    one, many = (right, left), (left, right)
    for card, (few, lots) in (
        (promql.VectorMatchCardinality.ManyToOne, one),
        (promql.VectorMatchCardinality.OneToMany, many),
    ):
        if modifier is not None and modifier.card == card:
            taken = frozenset(modifier.group_labels or ())
            if taken - few:
                raise LabelError(
                    "promql/vector_matching", f"group_left/right takes {', '.join(sorted(taken - few))}, not there"
                )
            return lots | taken
    return on
