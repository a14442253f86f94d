"""The notifications' plugin ends again and again."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.status import PluginEnds
from replicator.daemon.health_check import HealthLevel
from tests.support.states import BEGIN, Alert, Fleet, Line, State, moment, well


def _fleet(since: int) -> Fleet:
    found = well(BEGIN + since)
    alpha = found["alpha"]
    ends = PluginEnds(1 + 2 * since, moment(BEGIN + since), "Unexpected KeyError.")
    return {**found, "alpha": alpha and replace(alpha, plugins={"notify": ends})}


def _calm(minute: int) -> Fleet:
    found = well(minute)
    alpha = found["alpha"]
    return {**found, "alpha": alpha and replace(alpha, plugins={"notify": PluginEnds()})}


STATE = State(
    key="monitoring 72",
    title="a plugin ends again and again",
    produced="an error in the plugin notify, or in the plugin of another",
    fleet=_fleet,
    calm=_calm,
    alerts=(Alert("ZsrPluginRestarting", Severity.WARNING, 5, {"instance": "alpha", "plugin": "notify"}),),
    check=Line(HealthLevel.WARNING, "plugin notify ended"),
    why_silent="the plugin that sends messages is the one that ends.",
)
