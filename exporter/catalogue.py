"""The metrics that zsr exports: names, types, labels and meaning (contract: Metrics). The names are an interface.

One table for three readers: the collectors fill it, the HELP lines quote it, and docs/metrics.md is made from it.
"""

from __future__ import annotations

from exporter.guest_metrics import GUEST_METRICS
from exporter.job_metrics import JOB_METRICS
from exporter.metric import Kind, Metric
from exporter.node_metrics import NODE_METRICS
from exporter.replica_metrics import POOL_METRICS, REPLICA_METRICS
from exporter.target_metrics import TARGET_METRICS

BUILD_INFO = Metric(
    "zsr_build_info",
    Kind.INFO,
    ("version", "python", "zfs"),
    "Versions of zsr, of Python and of this node's ZFS; the value is always 1.",
    "count by (version) (zsr_build_info)",
)
RUN_DURATION = Metric(
    "zsr_run_duration_seconds",
    Kind.HISTOGRAM,
    ("outcome",),
    "How long finished runs took, of all jobs, since the daemon's start.",
    "histogram_quantile(0.95, sum by (le) (rate(zsr_run_duration_seconds_bucket[1h])))",
)
NODE_REACHABLE = Metric(
    "zsr_node_reachable",
    Kind.GAUGE,
    ("node",),
    "1 if the last contact with the node succeeded, 0 if it failed.",
    "zsr_node_reachable == 0",
    "until the first contact",
)
CLOCK_SKEW = Metric(
    "zsr_node_clock_skew_seconds",
    Kind.GAUGE,
    ("node",),
    "By how much the node's clock was ahead of this one's; asked every ten minutes while the node answers.",
    "abs(zsr_node_clock_skew_seconds) > 5",
    "until the node was asked, at most a minute after the first contact",
)
QUEUE_LENGTH = Metric(
    "zsr_scheduler_queue_length",
    Kind.GAUGE,
    (),
    "Jobs that are due and wait for their turn.",
    "zsr_scheduler_queue_length",
)
SCHEDULER_LAG = Metric(
    "zsr_scheduler_lag_seconds",
    Kind.GAUGE,
    (),
    "How long the job that has waited longest is due; 0 when none waits.",
    "zsr_scheduler_lag_seconds > 900",
)
NOTIFICATIONS = Metric(
    "zsr_notifications_total",
    Kind.COUNTER,
    ("target", "outcome"),
    "Messages by the name of the notification target and by outcome.",
    'increase(zsr_notifications_total{outcome="failure"}[1h]) > 0',
    "while no notification target is set",
)
CONFIG_OK = Metric(
    "zsr_config_last_reload_successful",
    Kind.GAUGE,
    (),
    "1 if the last reading of the settings succeeded, 0 if the daemon goes on with older ones.",
    "zsr_config_last_reload_successful == 0",
)
CONFIG_TIME = Metric(
    "zsr_config_last_reload_success_timestamp_seconds",
    Kind.GAUGE,
    (),
    "Unix time at which the settings were last read with success.",
    "time() - zsr_config_last_reload_success_timestamp_seconds",
)
LOOP_LAG = Metric(
    "zsr_event_loop_lag_seconds",
    Kind.GAUGE,
    (),
    "How late the daemon's event loop woke up at the last measurement.",
    "max_over_time(zsr_event_loop_lag_seconds[10m]) > 1",
)
COLLECTOR_SUCCESS = Metric(
    "zsr_collector_success",
    Kind.GAUGE,
    ("collector",),
    "1 if this part of the metrics could be made, 0 if its metrics are missing from this scrape.",
    "zsr_collector_success == 0",
)
COLLECTOR_DURATION = Metric(
    "zsr_collector_duration_seconds",
    Kind.GAUGE,
    ("collector",),
    "How long making this part of the metrics took.",
    "sum(zsr_collector_duration_seconds)",
)

CATALOGUE: tuple[Metric, ...] = (
    BUILD_INFO,
    *JOB_METRICS,
    RUN_DURATION,
    NODE_REACHABLE,
    CLOCK_SKEW,
    *REPLICA_METRICS,
    *GUEST_METRICS,
    *NODE_METRICS,
    *POOL_METRICS,
    *TARGET_METRICS,
    QUEUE_LENGTH,
    SCHEDULER_LAG,
    NOTIFICATIONS,
    CONFIG_OK,
    CONFIG_TIME,
    LOOP_LAG,
    COLLECTOR_SUCCESS,
    COLLECTOR_DURATION,
)
