"""A node is disabled for its maintenance, is away, and is forgotten: only its disabled job is reported."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.job_status import Disablement
from replicator.daemon.health_check import HealthLevel
from replicator.models import Node
from tests.support.state_fleets import disabled
from tests.support.states import BEGIN, HOUR, Alert, Fleet, Line, State, moment, well

SINCE = moment(BEGIN) - 23 * HOUR


def _fleet(since: int) -> Fleet:
    fleet = disabled(since, SINCE)
    alpha = fleet["alpha"]
    if alpha is None:
        raise AssertionError("alpha answers")
    (job,) = alpha.jobs
    off = replace(job, job=replace(job.job, disabled=False), disablement=Disablement(node="beta"))
    nodes = (Node("alpha", "10.0.0.1"), Node("beta", "10.0.0.2", disabled=True))
    return {"alpha": replace(alpha, jobs=(off,), reachable={"beta": False}, nodes=nodes)}


STATE = State(
    key="node disabled",
    title="a node was disabled for its maintenance, does not answer, and nobody enables it again",
    produced="zsr disable --node beta, beta switched off and taken out of Prometheus, and a day without zsr enable",
    fleet=_fleet,
    lasts=120,
    alerts=(Alert("ZsrJobDisabled", Severity.INFO, 66, {"zsr_job": "100-0", "target": "beta"}),),
    check=Line(HealthLevel.OK, "disabled with node beta for 1 d"),
    why_silent="it was asked for: each digest names the jobs, the node, and for how long they have been disabled.",
    calm=lambda minute: _fleet(minute - BEGIN) if minute < BEGIN else well(minute),
)
