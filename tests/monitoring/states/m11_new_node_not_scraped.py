"""A new node is in the cluster file, and not among Prometheus' targets."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.models import Node
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    alpha = source(BEGIN + since)
    return {
        "alpha": replace(alpha, nodes=(*alpha.nodes, Node("gamma", "10.0.0.3"))),
        "beta": target(BEGIN + since),
    }


STATE = State(
    key="monitoring 11",
    title="a new node is not among the targets of Prometheus, nor in the file of the node that lists them",
    produced="gamma is added to alpha's cluster file; Prometheus has static_configs, or asks beta",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrNodeNotScraped", Severity.CRITICAL, 36, {"node": "gamma"}),),
    why_silent="the daemons do not know whom Prometheus scrapes; gamma's own messages go on.",
)
