"""The metrics of jobs, a part of the catalogue (`exporter.catalogue`); `exporter.job_series` writes their series."""

from __future__ import annotations

from exporter.metric import Kind, Metric

_JOB = ("zsr_job",)

JOB_INFO = Metric(
    "zsr_job_info",
    Kind.INFO,
    ("zsr_job", "guest", "guest_name", "source", "target", "schedule"),
    "What a job replicates, from where to where and when; the value is always 1.",
    "zsr_job_consecutive_failures * on (instance, zsr_job) group_left (guest_name, target) zsr_job_info",
)
JOB_STATE = Metric(
    "zsr_job_state",
    Kind.GAUGE,
    ("zsr_job", "state"),
    "State of a job: 1 for the state that it is in, 0 for the others.",
    "count by (state) (zsr_job_state == 1)",
)
JOB_LAST_SYNC = Metric(
    "zsr_job_last_sync_timestamp_seconds",
    Kind.GAUGE,
    _JOB,
    "Unix time at which the newest snapshots that are proven to be on the target were taken.",
    "time() - zsr_job_last_sync_timestamp_seconds",
    "until the first success, and while the target holds no whole copy",
)
JOB_LAST_SET = Metric(
    "zsr_job_last_set_timestamp_seconds",
    Kind.GAUGE,
    _JOB,
    "Unix time at which the newest proven set was taken. It stays while nothing is written and last sync moves on.",
    "zsr_job_last_sync_timestamp_seconds - zsr_job_last_set_timestamp_seconds > 86400",
    "until the first success",
)
JOB_LAST_TRY = Metric(
    "zsr_job_last_try_timestamp_seconds",
    Kind.GAUGE,
    _JOB,
    "Unix time at which the last attempt began, whatever became of it.",
    "time() - zsr_job_last_try_timestamp_seconds",
    "until the first attempt",
)
JOB_NEXT_RUN = Metric(
    "zsr_job_next_run_timestamp_seconds",
    Kind.GAUGE,
    _JOB,
    "Unix time at which the job is due next; in the past while it waits for its turn.",
    "zsr_job_next_run_timestamp_seconds - time()",
    "while a run is going on (its outcome decides) and when none comes",
)
JOB_RPO = Metric(
    "zsr_job_rpo_seconds",
    Kind.GAUGE,
    _JOB,
    "The promise: the oldest that the last sync may be; the job's own, or twice its schedule's longest gap.",
    "time() - zsr_job_last_sync_timestamp_seconds > zsr_job_rpo_seconds",
)
JOB_CREATED = Metric(
    "zsr_job_created_timestamp_seconds",
    Kind.GAUGE,
    _JOB,
    "Unix time from which the promise counts as long as the job has no last sync.",
    "time() - zsr_job_created_timestamp_seconds > zsr_job_rpo_seconds unless zsr_job_last_sync_timestamp_seconds",
    "while bytes are being sent for a job that has a last sync",
)
JOB_RUN_START = Metric(
    "zsr_job_run_start_timestamp_seconds",
    Kind.GAUGE,
    _JOB,
    "Unix time at which the run that is going on began.",
    "time() - zsr_job_run_start_timestamp_seconds > 6 * 3600",
    "while no run is going on",
)
JOB_LAST_DURATION = Metric(
    "zsr_job_last_duration_seconds",
    Kind.GAUGE,
    _JOB,
    "How long the last finished run took.",
    "topk(5, zsr_job_last_duration_seconds)",
    "until a run has finished",
)
JOB_LAST_SENT = Metric(
    "zsr_job_last_sent_bytes",
    Kind.GAUGE,
    _JOB,
    "What the last finished run sent.",
    "topk(5, zsr_job_last_sent_bytes)",
    "until a run has finished",
)
JOB_FAILURES = Metric(
    "zsr_job_consecutive_failures",
    Kind.GAUGE,
    _JOB,
    "How many runs have failed in a row; 0 when the job is well.",
    "zsr_job_consecutive_failures > 0",
)
JOB_RUNS = Metric(
    "zsr_job_runs_total",
    Kind.COUNTER,
    ("zsr_job", "outcome"),
    "Finished runs by outcome.",
    "sum by (outcome) (increase(zsr_job_runs_total[1d]))",
)
JOB_ERRORS = Metric(
    "zsr_job_errors_total",
    Kind.COUNTER,
    ("zsr_job", "class"),
    "Failed runs by class of error; every class is there from the start.",
    "sum by (class) (increase(zsr_job_errors_total[1d])) > 0",
)
JOB_SENT = Metric(
    "zsr_job_sent_bytes_total",
    Kind.COUNTER,
    _JOB,
    "Bytes sent to the target; grows while a transfer is going on.",
    "sum(rate(zsr_job_sent_bytes_total[5m]))",
)
JOB_MISSED = Metric(
    "zsr_job_missed_runs_total",
    Kind.COUNTER,
    _JOB,
    "Times of the schedule that passed without a start.",
    "increase(zsr_job_missed_runs_total[1d]) > 0",
)
JOB_TRANSFER = Metric(
    "zsr_job_transfer_bytes",
    Kind.GAUGE,
    _JOB,
    "Bytes that the transfer going on has sent so far.",
    "zsr_job_transfer_bytes / zsr_job_transfer_expected_bytes",
    "while nothing is transferred",
)
JOB_TRANSFER_EXPECTED = Metric(
    "zsr_job_transfer_expected_bytes",
    Kind.GAUGE,
    _JOB,
    "What the transfer going on is expected to send in all, by the estimate of ZFS.",
    "(zsr_job_transfer_expected_bytes - zsr_job_transfer_bytes) / rate(zsr_job_sent_bytes_total[1m])",
    "while nothing is transferred or there is no estimate",
)
JOB_UNREPLICATED = Metric(
    "zsr_job_unreplicated_bytes",
    Kind.GAUGE,
    _JOB,
    "Written on the source since the last sync, as of the last look: what a dead node would cost, in bytes.",
    "topk(5, zsr_job_unreplicated_bytes)",
    "while it is not known",
)
JOB_RESUME = Metric(
    "zsr_job_resume_pending",
    Kind.GAUGE,
    _JOB,
    "1 while a half-received state waits on the target to be resumed, else 0.",
    "zsr_job_resume_pending == 1",
)
JOB_VANISHED = Metric(
    "zsr_job_volumes_vanished",
    Kind.GAUGE,
    _JOB,
    "Replicas on the target whose volumes are gone from the source, as of the last run; zsr keeps them for the job's "
    "grace.",
    "zsr_job_volumes_vanished > 0",
)
JOB_GRACE_END = Metric(
    "zsr_job_vanished_grace_end_timestamp_seconds",
    Kind.GAUGE,
    _JOB,
    "When the first replica of a vanished volume will be destroyed because its grace is over.",
    "zsr_job_vanished_grace_end_timestamp_seconds - time() < 2 * 86400",
    "while no grace of the job has an end, and while it is disabled or being removed",
)
JOB_VOLUMES = Metric(
    "zsr_job_volumes", Kind.GAUGE, _JOB,
    "Volumes of the guest that were part of the newest set that was proven on the target.",
    "zsr_job_volumes", "until the first success",
)  # fmt: skip
JOB_REPLACED = Metric(
    "zsr_job_guest_replaced_timestamp_seconds", Kind.GAUGE, _JOB,
    "When a run last found that none of the guest's volumes has anything in common with its replicas.",
    "time() - zsr_job_guest_replaced_timestamp_seconds < 86400", "while no run found it",
)  # fmt: skip
JOB_WENT_BACK = Metric(
    "zsr_job_source_went_back_timestamp_seconds", Kind.GAUGE, _JOB,
    "When a run last found that the source lacks sets that are proven on the target.",
    "time() - zsr_job_source_went_back_timestamp_seconds < 86400", "while no run found it",
)  # fmt: skip
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
JOB_CLAIM_CONFIRMED = Metric(
    "zsr_job_claim_confirmed",
    Kind.GAUGE,
    _JOB,
    "0 after the target, its address or a path was edited, until a run finds the same target there, or a whole copy is "
    "proven on the new one; else 1.",
    "zsr_job_claim_confirmed == 0",
)
SOURCE_SNAPSHOTS = Metric(
    "zsr_source_snapshots",
    Kind.GAUGE,
    _JOB,
    "Highest number of the job's snapshots and bookmarks on one volume of its source, read once a minute.",
    "zsr_source_snapshots > 25",
    "until the first look, and while a storage of the guest cannot be read",
)
SOURCE_FOREIGN = Metric(
    "zsr_source_foreign_snapshots", Kind.GAUGE, _JOB,
    "Highest number of snapshots on one volume of the job's source that zsr did not take, read once a minute.",
    "zsr_source_foreign_snapshots > 1000",
    "until the first look, and while a storage of the guest cannot be read",
)  # fmt: skip
JOB_CONFLICT = Metric(
    "zsr_job_foreign_tool_conflict", Kind.GAUGE, _JOB,
    "1 while Proxmox VE has a replication job with this job's number, or for its guest and target; else 0.",
    "zsr_job_foreign_tool_conflict == 1", "while it is not known",
)  # fmt: skip

JOB_METRICS: tuple[Metric, ...] = (
    JOB_INFO,
    JOB_STATE,
    JOB_LAST_SYNC,
    JOB_LAST_SET,
    JOB_LAST_TRY,
    JOB_NEXT_RUN,
    JOB_RPO,
    JOB_CREATED,
    JOB_RUN_START,
    JOB_LAST_DURATION,
    JOB_LAST_SENT,
    JOB_FAILURES,
    JOB_RUNS,
    JOB_ERRORS,
    JOB_SENT,
    JOB_MISSED,
    JOB_TRANSFER,
    JOB_TRANSFER_EXPECTED,
    JOB_UNREPLICATED,
    JOB_RESUME,
    JOB_VANISHED,
    JOB_GRACE_END,
    JOB_VOLUMES,
    JOB_REPLACED,
    JOB_WENT_BACK,
    DISABLED_SINCE,
    REMOVAL_SINCE,
    JOB_CLAIM_CONFIRMED,
    SOURCE_SNAPSHOTS,
    SOURCE_FOREIGN,
    JOB_CONFLICT,
)
