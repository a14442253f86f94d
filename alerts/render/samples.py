"""A sample notice of each kind: to check templates with, and to show messages. Pure."""

from __future__ import annotations

from dataclasses import replace

from alerts.foreign import Foreign
from alerts.notice import Notice, NoticeKind
from alerts.subject import Digest, DigestLine, Subject
from replicator.models import JobId

_NAMES = ("web", "mail", "db", "files", "build", "chat", "wiki", "git", "dns", "vpn", "media", "shop")
_ABOUT = {
    NoticeKind.SETTINGS_REJECTED: ("/etc/zsr/zsr.toml", "max_parallel = 0: must be 1 or more"),
    NoticeKind.SETTINGS_ACCEPTED: ("/etc/zsr/zsr.toml", ""),
    NoticeKind.NODES_DISAGREE: (
        "beta",
        "Guest 100 is owned twice: alpha and beta each say that they own it.",
    ),
    NoticeKind.NODES_AGREE: ("beta", ""),
    NoticeKind.FILES_DIFFER: ("beta", "The cluster files of alpha and beta differ: job 100-1."),
    NoticeKind.FILES_ALIKE: ("beta", ""),
    NoticeKind.UNDELIVERED: ("phone", "2 messages wait. The server did not answer in time."),
    NoticeKind.TEST: ("mail", ""),
    NoticeKind.HEARTBEAT: ("12 jobs, 12 kept", "Checked at 2027-01-15 08:00:00."),
    NoticeKind.TARGET_UNREACHABLE: ("beta", ""),
    NoticeKind.TARGET_BACK: ("beta", ""),
}
_TEXTS = {
    NoticeKind.VOLUMES_VANISHED: "Job 100-0, on beta: tank/vm-100-disk-1",
    NoticeKind.GRACE_ENDING: "Job 100-0, on beta: tank/vm-100-disk-1, destroyed in 1 day",
    NoticeKind.GRACE_ENDED: "Job 100-0, on beta: tank/vm-100-disk-1",
    NoticeKind.GUEST_REPLACED: "Job 100-0, on beta: tank/vm-100-disk-0",
    NoticeKind.GUEST_FROZEN: "The thaw hook of guest 100 failed: no agent.\nThaw it now: thaw-web",
    NoticeKind.DRILL_FAILED: "On beta: local-zfs:vm-100-disk-0: ext4: e2fsck found faults: Inode 2 is a mess.",
}
"""Of kinds that are about jobs without failures."""


def sample_subject(guest: int = 100, *, now: float) -> Subject:
    """A job that failed for the second time, with a broken promise."""
    return Subject(
        job=JobId(guest, 0),
        guest=guest,
        guest_name=_NAMES[guest % len(_NAMES) - 100 % len(_NAMES)],
        source="alpha",
        target="beta",
        run=673,
        error_class="network",
        message="Node beta does not answer on port 22.",
        advice="Check that the node is up and its SSH port answers; zsr probes it every minute.",
        consecutive=2,
        failing_since=now - 1920,
        last_sync=now - max(60, 2220 - 60 * (guest - 100)),
        rpo=1800.0,
        next_run=now + 300,
        worst_lag=2400.0,
    )


def sample(kind: NoticeKind, *, jobs: int = 1, now: float) -> Notice:
    """A notice of a kind about so many jobs; kinds that are never about jobs have none."""
    subjects = tuple(sample_subject(100 + number, now=now) for number in range(jobs))
    notice = Notice(
        key=f"sample-{kind}-{jobs}",
        kind=kind,
        severity=kind.facts.severity,
        time=now,
        node="alpha",
        thread="sample",
        opens=not kind.is_all_clear,
        closes=kind.is_all_clear,
    )
    about, text = _ABOUT.get(kind, ("", ""))
    if about and not kind.facts.is_of_node:
        return replace(notice, about=about, text=text)
    if kind is NoticeKind.DIGEST:
        return replace(notice, digest=sample_digest(max(jobs, 1), now=now))
    if kind is NoticeKind.ALERTMANAGER:
        return replace(notice, foreign=Foreign("Firing: DiskFull", "/srv is full.", (("alertname", "DiskFull"),)))
    if kind in _TEXTS:
        return replace(notice, text=_TEXTS[kind], subjects=tuple(map(_well, subjects)))
    if kind is NoticeKind.REPLICA_LOST:
        return replace(notice, subjects=tuple(replace(_well(each), last_sync=None, lost=True) for each in subjects))
    removing = kind is NoticeKind.REMOVAL_STUCK
    return replace(notice, about=about, subjects=tuple(replace(subject, removing=removing) for subject in subjects))


def _well(subject: Subject) -> Subject:
    """The job as if no run had failed."""
    return replace(subject, error_class="", message="", advice="", consecutive=0, failing_since=None)


def sample_digest(jobs: int, *, now: float) -> Digest:
    """A day of so many jobs, of which the first one fails."""
    bad = sample_subject(100, now=now)
    lines = [DigestLine(bad, "error", 96, 4, 1_300_000_000, 140.0, now - 4 * 86400)]
    for number in range(1, jobs):
        well = replace(sample_subject(100 + number, now=now), last_sync=now - 60 * (3 + number), error_class="")
        lines.append(DigestLine(well, "ok", 96, 0, 40_000_000 * number, 12.0 + number, now - 86400 * (number % 7 + 1)))
    return Digest(now - 86400, now, tuple(lines))
