"""The health of this node's replication, as a verdict for monitoring scripts (`zsr check`). Pure.

The thresholds are those of the alert rules (``alerts/rules/zsr.yml``), so that Nagios and Prometheus agree: the promise
is a job's own, and failures count from the third in a row. Input is a job's JSON (`replicator.daemon.status_json`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from replicator import __version__
from replicator.api.certificate import Certificate
from replicator.api.coverage import GuestCoverage
from replicator.api.disagreement import Disagreement, Dispute, lasting
from replicator.api.promise import Promise, promise_of
from replicator.api.pvesr_jobs import PvesrJobs, old_job_stands
from replicator.common.durations import words
from replicator.daemon.coverage import in_words
from replicator.daemon.host_texts import of_host, of_settings
from replicator.models import GuestId, JobId
from replicator.schedule.scheduler import ladder_steps

FAILURES = 3
"""Failures in a row, as the ladder makes them: the third comes 15 minutes after the first (as ZsrJobFailing)."""
CHANGE_SECONDS = 86400.0
"""How long a replaced guest, or a source that went back, is reported (as ZsrGuestReplaced and ZsrSourceWentBack)."""
FROZEN_SECONDS = 300.0
"""How long a guest may be frozen: its hooks' time limits, and the next try to thaw it (as ZsrGuestFrozen)."""
DISABLED_SECONDS = 7 * 86400.0
"""A job that is disabled for longer is a warning (as ZsrJobDisabledForAWeek)."""
OLD_LOOK_SECONDS = 900.0
"""Seconds after which a look at this node's ZFS, one a minute, is overdue (as ZsrZfsUnreadable)."""
UNTIDY_SECONDS = 7200.0
"""Seconds for which tidying may fail (as ZsrTidyingFailing): a volume is busy for a while, a clone is made and gone."""
MOST_JOBS = 5
"""The most jobs that a finding names; of the others it has the number."""
PLUGIN_SECONDS = 600.0
"""Seconds for which the end of a plugin is a warning; one that ends again and again is restarted every half minute."""


class HealthLevel(IntEnum):
    """A verdict; the value is the exit status of the Monitoring Plugins guidelines."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """One thing that was checked: its level (never UNKNOWN), and a sentence without its full stop."""

    level: HealthLevel
    text: str


@dataclass(frozen=True, slots=True)
class JobHealth:
    """The findings about one job; the worst first, and at least one.

    Attributes:
        lag: seconds since its last sync; None without one.
        rpo: the promise in seconds; None where nothing is promised (disabled, or being removed).
        warning: the lag in seconds from which on there is a warning; None as for ``rpo``.
        unreplicated: bytes that its target does not have; None if unknown.
    """

    id: str
    lag: float | None
    rpo: float | None
    warning: float | None
    failures: int
    unreplicated: int | None
    findings: tuple[HealthFinding, ...]

    @property
    def level(self) -> HealthLevel:
        """The worst level of the findings."""
        return self.findings[0].level

    @property
    def used(self) -> float:
        """The part of the promise that is used up, 1 being all; infinite without a copy, 0 without a promise."""
        if self.rpo is None:
            return 0.0
        return float("inf") if self.lag is None else self.lag / max(self.rpo, 1.0)


def job_health(job: Mapping[str, Any], now: float, *, warn_at: float, promise_only: bool) -> JobHealth:
    """Return the findings about one job.

    Args:
        job: its JSON, as `replicator.daemon.status_json.job_json` makes it.
        now: unix seconds.
        warn_at: the part of the promise from which on a lag is a warning, 0 to 1.
        promise_only: check nothing but the promise.
    """
    promises = bool(job["enabled"]) and job["state"] != "removing"
    found = [_promise(job, now, warn_at) if promises else _no_promise(job, now, promise_only=promise_only)]
    if not promise_only and job["enabled"] and job["fail_count"]:
        found.append(_failures(job, now))
    if promises and job.get("unconfirmed") and job["last_sync"] is not None:
        found.append(_unconfirmed(job))
    if not promise_only and promises:
        found += _changes_of_source(job, now)
    if not promise_only and promises and job.get("vanished"):
        found.append(_vanished(job, now))
    return JobHealth(
        id=job["id"],
        lag=job["lag"],
        rpo=job["rpo"] if promises else None,
        warning=job["rpo"] * warn_at if promises else None,
        failures=job["fail_count"],
        unreplicated=job["unreplicated_bytes"],
        findings=sorted_findings(found),
    )


def _promise(job: Mapping[str, Any], now: float, warn_at: float) -> HealthFinding:
    name, lag, rpo, promise = _name(job), job["lag"], job["rpo"], promise_of(job)
    if lag is None:
        return _no_copy(job, promise)
    if promise is Promise.UNKNOWN:
        ahead = words(job["last_sync"] - now)
        return HealthFinding(
            HealthLevel.CRITICAL,
            f"{name}: the last copy is {ahead} in the future, so its age is not known; check this node's clock",
        )
    age = f"{name}: the last copy is {words(lag)} old, promised are at most {words(rpo)}"
    if promise.is_broken:
        return HealthFinding(HealthLevel.CRITICAL, age)
    return HealthFinding(HealthLevel.WARNING if lag > rpo * warn_at else HealthLevel.OK, age)


def _no_copy(job: Mapping[str, Any], promise: Promise) -> HealthFinding:
    name, rpo = _name(job), words(job["rpo"])
    if job.get("forgotten") and promise is not Promise.LOST:
        level = HealthLevel.CRITICAL if promise.is_broken else HealthLevel.WARNING
        why = "state.db is new, and no run has looked at the target since"
        return HealthFinding(level, f"{name}: the age of the last copy is not known, promised are at most {rpo}: {why}")
    match promise:
        case Promise.LOST:
            level, text = HealthLevel.CRITICAL, "the replica is lost; there was a copy, and the target holds none now"
        case Promise.AWAITED:
            level, text = HealthLevel.OK, f"no copy yet; the job is younger than its promise of {rpo}"
        case Promise.COPYING:
            level = HealthLevel.WARNING
            text = f"no copy yet, after more than the promised {rpo}; the first one is being sent"
        case _:
            level, text = HealthLevel.CRITICAL, f"there is no copy at all, after more than the promised {rpo}"
    return HealthFinding(level, f"{name}: {text}")


def _unconfirmed(job: Mapping[str, Any]) -> HealthFinding:
    """Return the finding about a last copy that is known of the target before, and not of the one that the job has."""
    why = "the target, its address or a path was edited, and no run has looked at it since"
    return HealthFinding(
        HealthLevel.WARNING,
        f"{_name(job)}: the last copy is unconfirmed: {why}; look now: zsr schedule-now {job['id']}",
    )


def _no_promise(job: Mapping[str, Any], now: float, *, promise_only: bool) -> HealthFinding:
    """Return the finding about a job that is disabled or being removed: a warning if it is disabled for long."""
    removing, since = job["state"] == "removing", job.get("disabled_since")
    if job["enabled"]:
        return HealthFinding(HealthLevel.OK, f"{_name(job)}: being removed, so nothing is promised")
    lasted = None if since is None else max(0.0, now - since)
    node, until = job.get("disabled_node"), job.get("disabled_until")
    disabled = f"disabled{f' with node {node}' if node else ''}{'' if lasted is None else f' for {words(lasted)}'}"
    ends = "" if until is None else f", for another {words(max(0.0, until - now))}"
    text = f"{_name(job)}: {disabled}{ends}, so nothing is promised"
    if removing:
        text += ", and its removal waits"
    elif job.get("resume_pending"):
        text += f"; a half-received state waits on {job['target']}"
    is_long = lasted is not None and lasted > DISABLED_SECONDS and not promise_only
    enable = f"zsr enable --node {node}" if node else f"zsr enable {job['id']}"
    return HealthFinding(HealthLevel.WARNING if is_long else HealthLevel.OK, f"{text}; {enable}")


def _failures(job: Mapping[str, Any], now: float) -> HealthFinding:
    count, elapsed = job["fail_count"], now - (job["failing_since"] or 0.0)
    times = "the last run failed" if count == 1 else f"the last {count} runs failed"
    level = HealthLevel.WARNING if ladder_steps(count, elapsed) >= FAILURES else HealthLevel.OK
    reason = f": {job['error_class']}: {job['error']}" if job["error"] else ""
    return HealthFinding(level, f"{_name(job)}: {times}{reason}".rstrip("."))


def _vanished(job: Mapping[str, Any], now: float) -> HealthFinding:
    """Return the finding about replicas that are kept although their volumes are gone."""
    kept = job["vanished"]
    one = len(kept) == 1
    count = "1 replica is kept whose volume is" if one else f"{len(kept)} replicas are kept whose volumes are"
    end = job.get("grace_end")
    when = "" if end is None else f"{'it' if one else 'the first'} is destroyed in {words(max(0.0, end - now))}; "
    return HealthFinding(
        HealthLevel.WARNING,
        f"{_name(job)}: {count} gone from {job['source']}: {', '.join(kept)}; {when}zsr vanished list",
    )


def _changes_of_source(job: Mapping[str, Any], now: float) -> list[HealthFinding]:
    """Return the findings about a guest whose volumes were replaced, or that went back in time, within the last day."""
    texts = {
        "guest_replaced": "all volumes of the guest were replaced {} ago; the old replicas stay: zsr vanished list, "
        "zsr diverged list",
        "source_went_back": "the source went back in time {} ago; the newer sets are kept: zsr restore-points",
    }
    times = {text: job.get(key) for key, text in texts.items()}
    return [
        HealthFinding(HealthLevel.CRITICAL, f"{_name(job)}: {text.format(words(max(0.0, now - at)))}")
        for text, at in times.items()
        if at is not None and now - at < CHANGE_SECONDS
    ]


def _name(job: Mapping[str, Any]) -> str:
    guest = f" ({job['guest_name']})" if job["guest_name"] else ""
    return f"job {job['id']}{guest} to {job['target']}"


def silent_daemon(why: str, *, promise_only: bool) -> HealthFinding:
    """Return the finding about a daemon that does not answer: never OK.

    Critical, since nothing is replicated from now on (as ZsrDaemonDown). A warning where only promises are checked:
    they are still kept, and become critical when they are broken.
    """
    return HealthFinding(HealthLevel.WARNING if promise_only else HealthLevel.CRITICAL, why)


def daemon_findings(status: Mapping[str, Any], targets: Iterable[str], *, promise_only: bool) -> list[HealthFinding]:
    """Return the findings about a daemon that answers; ``targets`` are those of the jobs that are checked.

    A daemon that has read no job yet is never OK: nothing is known about any promise.
    """
    found = []
    if not status["ready"] and not (promise_only and status["jobs"]):
        why = "; ".join(reason.rstrip(".") for reason in status.get("not_ready", ()))
        not_ready = f"the daemon runs but is not ready{': ' if why else ''}{why}"
        found.append(HealthFinding(HealthLevel.WARNING, not_ready))
    if promise_only:
        return found
    found += _old_look(status)
    found += [
        HealthFinding(HealthLevel.CRITICAL, _vanished_job(job, status["time"] - since))
        for job, since in status.get("vanished_jobs", {}).items()
    ]
    found += settings_findings(status)
    found += disagreement_findings(status)
    found += _same_machine(status, set(targets))
    found += [HealthFinding(HealthLevel.WARNING, text) for text in _of_daemon(status)]
    found += [*_certificates(status), *_unreported(status)]
    silent = [node for node in sorted(set(targets)) if status["reachable"].get(node) is False]
    return [*found, *(HealthFinding(HealthLevel.WARNING, f"target {node} does not answer") for node in silent)]


def settings_findings(status: Mapping[str, Any]) -> list[HealthFinding]:
    """Return the findings about settings that are wrong, or that the daemon has not taken over yet."""
    return [HealthFinding(HealthLevel.WARNING, text) for text in of_settings(status)]


def _old_look(status: Mapping[str, Any]) -> list[HealthFinding]:
    """Return the finding about a look at this node's ZFS that does not come to its end, as ZsrZfsUnreadable."""
    looked_at = status.get("looked_at", {}).get(status["node"])
    if looked_at is None or status["time"] - looked_at <= OLD_LOOK_SECONDS:
        return []
    age = words(status["time"] - looked_at)
    return [HealthFinding(HealthLevel.WARNING, f"the ZFS of this node was last read {age} ago, and not since")]


def _same_machine(status: Mapping[str, Any], targets: Collection[str]) -> Iterator[HealthFinding]:
    """Return the findings about targets that are this machine itself, or the same one as another target."""
    for node, other in sorted(status.get("same_machine", {}).items()):
        if node in targets and other == status["node"]:
            text = f"target {node} is this machine itself, so there is no copy elsewhere; check its address"
            yield HealthFinding(HealthLevel.CRITICAL, text)
        elif node in targets and other in targets:
            text = f"targets {node} and {other} are the same machine, so their copies are lost together"
            yield HealthFinding(HealthLevel.WARNING, text)


def _vanished_job(job: str, age: float) -> str:
    since = f"job {job} is gone from the cluster file since {words(max(0.0, age))}, without zsr delete"
    return f"{since}; nothing replicates for it; put it back, or confirm: zsr delete {job} --force"


def frozen_findings(frozen: Mapping[str, float], now: float, guest: GuestId | None = None) -> list[HealthFinding]:
    """Return the findings about guests that are frozen for too long, of one guest or of all.

    ``frozen``: since when each may be (unix time), by its number; ``now``: unix time.
    """
    return [
        HealthFinding(
            HealthLevel.CRITICAL,
            f"guest {number} may have been frozen for {words(now - since)}; run its thaw command now",
        )
        for number, since in frozen.items()
        if now - since > FROZEN_SECONDS and (guest is None or str(guest) == number)
    ]


def replica_findings(replicas: Iterable[Mapping[str, Any]], guest: GuestId | None = None) -> list[HealthFinding]:
    """Return the findings about replicas on this node that lack restore points, of one guest or of all."""
    return [
        HealthFinding(HealthLevel.WARNING, _points_missing(each))
        for each in replicas
        if each["points_missing"] and guest in (None, each["guest"])
    ]


def _points_missing(replica: Mapping[str, Any]) -> str:
    count = replica["points_missing"]
    what = "1 restore point is" if count == 1 else f"{count} restore points are"
    where = f"storage {replica['storage']} of this node"
    return (
        f"guest {replica['guest']} from {replica['source']}: {what} gone from {where}, and the job's keep asks for more"
    )


def _of_daemon(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person should see to on this node, although its jobs are well."""
    now = status["time"]
    if (runs := status.get("version", __version__)) != __version__:
        yield f"the daemon still runs zsr {runs}, while {__version__} is installed; restart it: systemctl restart zsr"
    for name, ends in status.get("plugins", {}).items():
        if ends["last"] is not None and 0 <= now - ends["last"] < PLUGIN_SECONDS:
            yield f"plugin {name} ended, {ends['count']} times since the daemon's start: {ends['reason']}".rstrip(".")
    for job, since in status.get("untidy", {}).items():
        if now - since > UNTIDY_SECONDS:
            yield f"job {job} cannot destroy what is to go, since {words(now - since)}; zsr log {job}"
    yield from of_host(status)
    for name in status.get("damaged_states", ()):
        yield f"state.db was damaged and replaced; remove {name} when you have looked at it"


def _certificates(status: Mapping[str, Any]) -> Iterator[HealthFinding]:
    """Yield the findings about certificates of the exporter that end soon, or have ended."""
    now = status["time"]
    for each in (Certificate(**known) for known in status.get("certificates", ())):
        left = each.end - now
        when = f"ends in {words(left)}" if left > 0 else f"ended {words(-left)} ago"
        if each.is_ending(now):
            level = HealthLevel.CRITICAL if each.is_almost_over(now) else HealthLevel.WARNING
            yield HealthFinding(level, f"the certificate {each.file} of the exporter {when}; renew it")


def _unreported(status: Mapping[str, Any]) -> Iterator[HealthFinding]:
    """Yield the finding about jobs that no route of messages covers; it may be meant, so it is no warning."""
    if jobs := status.get("unreported"):
        more = f" and {len(jobs) - MOST_JOBS} more" if len(jobs) > MOST_JOBS else ""
        which = f"{', '.join(jobs[:MOST_JOBS])}{more}"
        text = f"a broken promise of {which} would reach no [[notify]] target; zsr notify explain"
        yield HealthFinding(HealthLevel.OK, text)


def disagreement_findings(status: Mapping[str, Any]) -> list[HealthFinding]:
    """Return the findings about other nodes whose view of the cluster is another one, unless an edit may explain it."""
    known = [
        Disagreement(each["node"], Dispute(each["dispute"]), each["text"], each["since"])
        for each in status.get("disagreements", ())
    ]
    return [
        HealthFinding(HealthLevel.CRITICAL if each.is_critical else HealthLevel.WARNING, each.text)
        for each in lasting(known, status["time"])
    ]


def pvesr_findings(pvesr: PvesrJobs, jobs: Sequence[Mapping[str, Any]]) -> list[HealthFinding]:
    """Return the findings about replication jobs of Proxmox VE that are in conflict with jobs of zsr."""
    found = [
        HealthFinding(HealthLevel.WARNING, f"{_name(job)}: {old_job_stands(other, JobId.parse(job['id']))}")
        for job in jobs
        for other in pvesr.conflicting(JobId.parse(job["id"]), job["target"])
    ]
    if pvesr.problem is not None and jobs:
        unknown = f"whether Proxmox VE replicates these guests too is not known: {pvesr.problem}".rstrip(".")
        found.append(HealthFinding(HealthLevel.WARNING, unknown))
    return found


def coverage_findings(coverage: Mapping[GuestId, GuestCoverage], guest: GuestId | None = None) -> list[HealthFinding]:
    """Return the findings about volumes that no job replicates and no setting excludes, of one guest or of all."""
    chosen = {number: each for number, each in coverage.items() if guest in (None, number)}
    return [HealthFinding(HealthLevel.WARNING, f"{text}; zsr coverage") for text in in_words(chosen)]


def sorted_findings(findings: Sequence[HealthFinding]) -> tuple[HealthFinding, ...]:
    """Return the findings, the worst first, otherwise in the order given."""
    return tuple(sorted(findings, key=lambda finding: -finding.level))
