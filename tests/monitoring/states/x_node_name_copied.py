"""The settings of a node were copied to another one, whose guests have no daemon then."""

from dataclasses import replace

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, source, well


def _fleet(since: int) -> Fleet:
    minute, alpha = BEGIN + since, source(BEGIN + since)
    return {**well(minute), "gamma": replace(alpha, view=replace(alpha.view, boot="boot-of-gamma"))}


def _calm(minute: int) -> Fleet:
    gamma = replace(source(minute), node="gamma", jobs=(), source_snapshots={}, coverage={}, diverged={})
    return {**well(minute), "gamma": gamma}


STATE = State(
    key="invented 2",
    title="a node has the settings of another one, so its own guests have no daemon",
    produced='a template of zsr.toml with node = "alpha" on every node',
    fleet=_fleet,
    calm=_calm,
    alerts=(
        Alert("ZsrNodeNameTwice", Severity.CRITICAL, 40, {"node": "alpha"}),
        Alert("ZsrNodeScrapedTwice", Severity.WARNING, 40, {"node": "alpha"}),
    ),
    why_silent="the settings are valid, and neither daemon knows of the other.",
)
