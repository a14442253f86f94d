"""Something between the daemon and Prometheus keeps an old page of metrics, and the daemon is dead."""

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, source, target


def _fleet(since: int) -> Fleet:
    return {"alpha": source(BEGIN), "beta": target(BEGIN + since, held=source(BEGIN).jobs[0].state.last_sync)}


STATE = State(
    key="invented 16",
    title="a proxy in front of the exporter answers with an old page, while the daemon is dead",
    produced="proxy_cache with proxy_cache_use_stale in nginx; kill the daemon",
    fleet=_fleet,
    lasts=60,
    alerts=(Alert("ZsrMetricsFrozen", Severity.CRITICAL, 12, {"instance": "alpha"}),),
    tolerated=("ZsrSchedulerStuck", "ZsrRpoBreached", "ZsrRpoAtRisk"),
    why_silent="a dead daemon sends nothing.",
)
