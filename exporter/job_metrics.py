"""The metrics of jobs for which nothing is promised, a part of the catalogue (`exporter.catalogue`)."""

from __future__ import annotations

from exporter.metric import Kind, Metric

DISABLED_SINCE = Metric(
    "zsr_job_disabled_since_timestamp_seconds",
    Kind.GAUGE,
    ("zsr_job",),
    "Unix time since when the job is disabled, as its node first saw it; it survives restarts of the daemon.",
    "time() - zsr_job_disabled_since_timestamp_seconds > 86400",
    "while the job is enabled",
)
REMOVAL_SINCE = Metric(
    "zsr_job_removal_since_timestamp_seconds",
    Kind.GAUGE,
    ("zsr_job",),
    "Unix time since when the job is being removed, as its node first saw it; the removal of a disabled job waits.",
    "time() - zsr_job_removal_since_timestamp_seconds > 86400",
    "while the job is not being removed",
)

JOB_METRICS = (DISABLED_SINCE, REMOVAL_SINCE)
