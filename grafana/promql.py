"""The PromQL of the dashboards: selectors by the dashboard's variables, and expressions that several panels share.

A job without its first copy counts from the moment its promise was given. Disabled jobs and jobs being removed
promise nothing. The alert rules say the same (alerts/rules); the dashboards do not need them to be loaded.
"""

from __future__ import annotations

FLEET = 'cluster=~"$cluster", job=~"$job"'
"""Matchers for all daemons of the chosen clusters. Where the scraper sets no label `cluster`, "All" is `.*`, which also
matches a label that is not there."""

NODE = f'{FLEET}, instance=~"$instance"'
"""Matchers for the series of a daemon."""

JOB = f'{NODE}, zsr_job=~"$zsr_job", zsr_job=~"($guest)-.+"'
"""Matchers for the series of a replication job. Only zsr_job_info has the guest as label, but every job id begins with
it; without the second matcher a chosen guest would do nothing while "all" jobs are chosen."""

GUEST = f'{NODE}, guest=~"$guest"'
"""Matchers for what a node holds of a guest."""

KEY = "on (cluster, job, instance, zsr_job)"
"""What makes one job, for joins."""

PROMISING = f'unless {KEY} (zsr_job_state{{{JOB}, state=~"disabled|removing"}} == 1)'
"""Leaves out the jobs that promise nothing."""

LAG = f"(time() - zsr_job_last_sync_timestamp_seconds{{{JOB}}})"
"""Age of the last copy, in seconds; absent before the first one."""

UNPROTECTED = (
    f"(time() - (zsr_job_last_sync_timestamp_seconds{{{JOB}}} or {KEY} zsr_job_created_timestamp_seconds{{{JOB}}}))"
)
"""Seconds that a dead node would cost; since the promise was given where there is no copy yet."""

RPO = f"zsr_job_rpo_seconds{{{JOB}}}"
"""The promise, in seconds."""

USED = f"({UNPROTECTED} / {KEY} {RPO} {PROMISING})"
"""How much of the promise is used up; above 1 it is broken."""

LATE = f"({UNPROTECTED} > {KEY} {RPO}) {PROMISING}"
"""The jobs whose promise is broken."""

KEPT = f"({UNPROTECTED} <= {KEY} {RPO}) {PROMISING}"
"""The jobs whose promise is kept."""

FAILING = f'(zsr_job_consecutive_failures{{{JOB}}} > 0) unless {KEY} (zsr_job_state{{{JOB}, state="disabled"}} == 1)'
"""The jobs whose last run failed, with how many failed in a row."""

UNCOPIED = (
    f"zsr_job_created_timestamp_seconds{{{JOB}}} unless {KEY} zsr_job_last_sync_timestamp_seconds{{{JOB}}} {PROMISING}"
)
"""The jobs without a single copy."""

SILENT = f"up{{{NODE}}} == 0 and on (cluster, job) last_over_time(zsr_build_info{{{FLEET}}}[1d])"
"""The daemons that do not answer Prometheus. "All" scrape jobs means all of Prometheus, not only zsr's: a job counts
if any of its targets was a zsr daemon within a day. The chosen
instance cannot be asked that: it may be dead for longer."""

HELD_AGE = f"(time() - zsr_replica_last_sync_timestamp_seconds{{{GUEST}}})"
"""Age of what a node holds as a target, by its own account, in seconds."""

TARGET_HELD_AGE = f"(time() - zsr_target_replica_last_sync_timestamp_seconds{{{GUEST}}})"
"""Age of what a target that runs no zsr holds, by the looks of its sources, in seconds."""

POOL_USED = f"(1 - zsr_pool_free_bytes{{{NODE}}} / zsr_pool_size_bytes{{{NODE}}})"
"""How full a pool is, as a part of 1."""

STORAGE_USED = f"(1 - zsr_storage_available_bytes{{{NODE}}} / zsr_storage_size_bytes{{{NODE}}})"
"""How full a storage is by its quota or the reservations of others, as a part of 1."""

TARGET_POOL_USED = f"(1 - zsr_target_pool_free_bytes{{{NODE}}} / zsr_target_pool_size_bytes{{{NODE}}})"
"""The same of the pools of targets that run no zsr, by the looks of their sources."""

LINES = 200
"""How many lines a table has at most. Who has 10,000 jobs wants the worst ones, and a browser that answers."""

_WORST_JOBS = f"topk({LINES}, {USED} or {KEY} 0 * {RPO})"
"""The jobs of the table; those that promise nothing come last."""


def count(vector: str) -> str:
    """How many series a vector has; 0 when it is empty."""
    return f"count({vector}) or vector(0)"


def total(vector: str) -> str:
    """The sum of a vector; 0 when it is empty."""
    return f"sum({vector}) or vector(0)"


def per_job(vector: str, *more: str) -> str:
    """One value a job, with these labels only, for legends and for merging columns."""
    return f"max by ({', '.join(('cluster', 'instance', 'zsr_job', *more))}) ({vector})"


def in_table(vector: str, *more: str) -> str:
    """One value for each job that has a line in the table of the worst ones."""
    return per_job(f"({vector}) and {KEY} {_WORST_JOBS}", *more)


def per_daemon(vector: str, *more: str) -> str:
    """One value a daemon and further labels, for tables and legends."""
    return f"max by ({', '.join(('cluster', 'instance', *more))}) ({vector})"


def worst(vector: str, limit: int = 15) -> str:
    """The highest series of a vector: a graph of 200 lines cannot be read."""
    return f"topk({limit}, {vector})"


def events(counter: str, *labels: str, rest: str = "") -> str:
    """Counts in the graph's step of a counter that may have many kinds: those that happened, else a flat zero."""
    quiet = "vector(0)"
    for label in labels:
        quiet = f'label_replace({quiet}, "{label}", "none", "", "")'
    selector = f"{counter}{{{rest or JOB}}}"
    return f"(sum by ({', '.join(labels)}) (increase({selector}[$__rate_interval])) > 0) or {quiet}"
