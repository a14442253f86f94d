"""What people are told: one `Notice`, which says what happened to whom and nothing of how it is worded or sent.

Deciding makes notices (failures, recoveries, promises, digests), rendering turns one into words for one format, and
a channel carries the words. A notice is all that the outbox keeps, so it holds every fact that any words need.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from replicator.models import JobId


class NoticeKind(StrEnum):
    """What happened. Routes match these words, and webhooks carry them."""

    FAILED = "failed"
    STILL_FAILING = "still-failing"
    FLAPPING = "flapping"
    RECOVERED = "recovered"
    RPO_BREACHED = "rpo-breached"
    RPO_KEPT = "rpo-kept"
    REPLICA_LOST = "replica-lost"
    REPLICA_BACK = "replica-back"
    VOLUMES_VANISHED = "volumes-vanished"
    TARGET_UNREACHABLE = "target-unreachable"
    TARGET_BACK = "target-back"
    REMOVAL_STUCK = "removal-stuck"
    SETTINGS_REJECTED = "settings-rejected"
    SETTINGS_ACCEPTED = "settings-accepted"
    UNDELIVERED = "undelivered"
    DIGEST = "digest"
    ALERTMANAGER = "alertmanager"
    TEST = "test"


class Severity(StrEnum):
    """How urgent it is: info can wait for ever, warning for working hours, critical for nobody."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Subject:
    """One job in a notice, with what was known of it at the notice's time. Times are unix times, lengths seconds.

    Attributes:
        run: the run that the notice is about; None when it is about none.
        error_class: of the last failure, as DESIGN 7 names it; empty when there is none.
        consecutive: failures in a row, this one included; after a recovery, how many it ended.
        last_sync: to when the guest would fall back; None: nothing is on the target.
        worst_lag: the oldest that the replica was while it failed, or its age when it was lost; None: not known.
        removing: whether the job is on its way out, so that its runs are removals.
        lost: whether the target held a whole copy once and holds none now.
    """

    job: JobId
    guest: int
    guest_name: str
    source: str
    target: str
    run: int | None = None
    error_class: str = ""
    message: str = ""
    advice: str = ""
    consecutive: int = 0
    failing_since: float | None = None
    last_sync: float | None = None
    rpo: float | None = None
    next_run: float | None = None
    worst_lag: float | None = None
    removing: bool = False
    lost: bool = False

    def is_broken(self, now: float) -> bool:
        """Whether the promise is broken at a time, as far as this tells; of a job that never had a copy it does not."""
        if self.last_sync is None:
            return self.lost and not self.removing
        return self.rpo is not None and now - self.last_sync > self.rpo


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One job in a digest, over the digest's period. ``slowest`` is the longest run's seconds."""

    subject: Subject
    condition: str
    runs: int
    failures: int
    sent_bytes: int
    slowest: float | None
    oldest_restore_point: float | None


@dataclass(frozen=True, slots=True)
class Digest:
    """What was, between two unix times; the worst job first."""

    begin: float
    end: float
    lines: tuple[DigestLine, ...]


@dataclass(frozen=True, slots=True)
class Foreign:
    """What another program said, here Alertmanager: its title and text, and names with values for routes to match."""

    title: str
    text: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell.

    Attributes:
        key: the same for the same thing, whoever sends it how often: an idempotent receiver drops the second.
        time: when it happened, unix time.
        node: the node that tells it.
        thread: the same for all notices of one incident, so that its messages hang together.
        opens: whether it is the first of its thread; ``closes``: whether it is the all-clear.
        subjects: the jobs that it is about, the worst first; empty when it is about none.
        about: what else it is about: the node that is silent, the target that is undelivered, the file; or empty.
        text: words of the core that only it has, e.g. what is wrong with the settings; or empty.
    """

    key: str
    kind: NoticeKind
    severity: Severity
    time: float
    node: str
    thread: str
    opens: bool = True
    closes: bool = False
    subjects: tuple[Subject, ...] = ()
    about: str = ""
    text: str = ""
    digest: Digest | None = None
    foreign: Foreign | None = None
