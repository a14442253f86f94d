"""A notice of each kind, as they come: to try templates with, and to show what messages look like. Pure."""

from __future__ import annotations

from dataclasses import replace

from alerts.notice import Digest, DigestLine, Foreign, Notice, NoticeKind, Severity, Subject
from replicator.jobs import JobId

_NAMES = ("web", "mail", "db", "files", "build", "chat", "wiki", "git", "dns", "vpn", "media", "shop")
_OF_NODES = (NoticeKind.TARGET_UNREACHABLE, NoticeKind.TARGET_BACK)
_ABOUT = {
    NoticeKind.SETTINGS_REJECTED: ("/etc/zsr/zsr.toml", "max_parallel = 0: must be 1 or more"),
    NoticeKind.SETTINGS_ACCEPTED: ("/etc/zsr/zsr.toml", ""),
    NoticeKind.UNDELIVERED: ("phone", "2 messages wait. The server did not answer in time."),
    NoticeKind.TEST: ("mail", ""),
    NoticeKind.TARGET_UNREACHABLE: ("beta", ""),
    NoticeKind.TARGET_BACK: ("beta", ""),
}
_CLOSING = (NoticeKind.RECOVERED, NoticeKind.RPO_KEPT, NoticeKind.TARGET_BACK, NoticeKind.SETTINGS_ACCEPTED)


def sample_subject(guest: int = 100, *, now: float) -> Subject:
    """A job that fails for the second time, with its promise broken."""
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
        severity=Severity.INFO if kind in _CLOSING else Severity.WARNING,
        time=now,
        node="alpha",
        thread="sample",
        opens=kind not in _CLOSING,
        closes=kind in _CLOSING,
    )
    about, text = _ABOUT.get(kind, ("", ""))
    if about and kind not in _OF_NODES:
        return replace(notice, about=about, text=text)
    if kind is NoticeKind.DIGEST:
        return replace(notice, severity=Severity.INFO, digest=sample_digest(max(jobs, 1), now=now))
    if kind is NoticeKind.ALERTMANAGER:
        return replace(notice, foreign=Foreign("Firing: DiskFull", "/srv is full.", (("alertname", "DiskFull"),)))
    removing = kind is NoticeKind.REMOVAL_STUCK
    return replace(notice, about=about, subjects=tuple(replace(subject, removing=removing) for subject in subjects))


def sample_digest(jobs: int, *, now: float) -> Digest:
    """A day of so many jobs, the first of which fails; the others are well."""
    bad = sample_subject(100, now=now)
    lines = [DigestLine(bad, "error", 96, 4, 1_300_000_000, 140.0, now - 4 * 86400)]
    for number in range(1, jobs):
        well = replace(sample_subject(100 + number, now=now), last_sync=now - 60 * (3 + number), error_class="")
        lines.append(DigestLine(well, "ok", 96, 0, 40_000_000 * number, 12.0 + number, now - 86400 * (number % 7 + 1)))
    return Digest(now - 86400, now, tuple(lines))
