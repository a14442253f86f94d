"""Prometheus keeps only the metrics of jobs, and all that is about nodes is gone."""

from alerts.notice import Severity
from tests.support.state_stories import metrics_of_rules
from tests.support.states import BEGIN, Alert, State, well

STATE = State(
    key="invented 17",
    title="Prometheus keeps only the metrics of jobs, so nothing about nodes can be reported",
    produced="metric_relabel_configs that keep zsr_job_.*, to save series",
    fleet=lambda since: well(BEGIN + since),
    dropped=frozenset(name for name in metrics_of_rules() if not name.startswith("zsr_job_")),
    lasts=60,
    alerts=(
        Alert("ZsrMetricsMissing", Severity.CRITICAL, 12, {"instance": "alpha"}),
        Alert("ZsrMetricsMissing", Severity.CRITICAL, 12, {"instance": "beta"}),
    ),
    why_silent="nothing is wrong with zsr itself, and it does not know what Prometheus keeps.",
)
