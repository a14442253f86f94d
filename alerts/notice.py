"""A `Notice`: one thing to report, with every fact that its messages need; and the facts of each kind of notice.

Grouping makes notices, rendering turns one into a message in one format, and a channel sends that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from alerts.foreign import Foreign
from alerts.subject import Digest, Subject


class Severity(StrEnum):
    """How urgent a notice is: info can wait, warning can wait for working hours, critical cannot wait."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class NoticeKind(StrEnum):
    """What happened. Routes match these words, and webhooks carry them. The facts of each kind are in `KIND_FACTS`."""

    FAILED = "failed"
    STILL_FAILING = "still-failing"
    FLAPPING = "flapping"
    RECOVERED = "recovered"
    RPO_BREACHED = "rpo-breached"
    RPO_KEPT = "rpo-kept"
    REPLICA_LOST = "replica-lost"
    REPLICA_BACK = "replica-back"
    VOLUMES_VANISHED = "volumes-vanished"
    GRACE_ENDING = "grace-ending"
    GRACE_ENDED = "grace-ended"
    GUEST_REPLACED = "guest-replaced"
    SOURCE_WENT_BACK = "source-went-back"
    JOB_VANISHED = "job-vanished"
    GUEST_FROZEN = "guest-frozen"
    GUEST_THAWED = "guest-thawed"
    DRILL_FAILED = "drill-failed"
    DRILL_PASSED = "drill-passed"
    TARGET_UNREACHABLE = "target-unreachable"
    TARGET_BACK = "target-back"
    REMOVAL_STUCK = "removal-stuck"
    SETTINGS_REJECTED = "settings-rejected"
    SETTINGS_ACCEPTED = "settings-accepted"
    STATE_UNWRITABLE = "state-unwritable"
    STATE_WRITABLE = "state-writable"
    NODES_DISAGREE = "nodes-disagree"
    NODES_AGREE = "nodes-agree"
    FILES_DIFFER = "files-differ"
    FILES_ALIKE = "files-alike"
    UNDELIVERED = "undelivered"
    DIGEST = "digest"
    HEARTBEAT = "heartbeat"
    ALERTMANAGER = "alertmanager"
    TEST = "test"

    @property
    def facts(self) -> KindFacts:
        """The facts of this kind."""
        return KIND_FACTS[self]

    @property
    def is_all_clear(self) -> bool:
        """Whether it reports the end of a problem; it goes to the targets that the problem was reported to."""
        return self.facts.ends is not None


@dataclass(frozen=True, slots=True)
class KindFacts:
    """What is the same for all notices of one kind.

    The texts are templates for `str.format`; `alerts.render.titles` and `alerts.render.compose` say which names they
    may use.

    Attributes:
        severity: the usual one; failures are critical when a promise is broken. badge: the label above the title.
        title, lead: the title and first sentence of a notice about no job; jobs_title, jobs_lead: of one about jobs.
        advice: what to do, for all its jobs together; empty where the jobs' errors say it.
        ends: the kind that an all-clear ends; None for all others.
        alertname: what Alertmanager calls it, as in the rules of Prometheus, so that the same routes and inhibitions
            apply; empty where it is no alert. The alert has the severity of its notice.
        is_failure, is_red: whether push services show it as a failure, and messages in red, although it is a warning.
        is_of_node: whether ``Notice.about`` is a node. implies_failure: whether one about jobs also matches ``failed``.
    """

    severity: Severity
    badge: str
    title: str = ""
    lead: str = ""
    jobs_title: str = ""
    jobs_lead: str = ""
    advice: str = ""
    ends: NoticeKind | None = None
    alertname: str = ""
    is_failure: bool = False
    is_red: bool = False
    is_of_node: bool = False
    implies_failure: bool = False


KIND_FACTS: Mapping[NoticeKind, KindFacts] = {
    NoticeKind.FAILED: KindFacts(
        Severity.WARNING,
        "Failed",
        jobs_title="{Who}: {what} failed{cause}, to {to}",
        jobs_lead="{Who} failed{times}.",
        alertname="ZsrJobFailing",
        is_failure=True,
        is_red=True,
    ),
    NoticeKind.STILL_FAILING: KindFacts(
        Severity.WARNING,
        "Still failing",
        jobs_title="{Who}: {what} still fails{cause}, to {to}",
        jobs_lead="{Who} failed{times_or_again}.",
        alertname="ZsrJobFailing",
        is_failure=True,
    ),
    NoticeKind.FLAPPING: KindFacts(
        Severity.WARNING,
        "Failing again and again",
        jobs_title="{Who}: {what} fails again and again{cause}, to {to}",
        jobs_lead="{Who} keeps failing and recovering.",
        alertname="ZsrJobFailing",
        implies_failure=True,
    ),
    NoticeKind.RECOVERED: KindFacts(
        Severity.INFO,
        "Recovered",
        title="Messages to '{about}' arrive again, from {node}",
        lead="The notification target '{about}' of {node} takes messages again.",
        jobs_title="{Who}: {what} recovered, to {to}",
        jobs_lead="{Who} has recovered.",
        ends=NoticeKind.FAILED,
    ),
    NoticeKind.RPO_BREACHED: KindFacts(
        Severity.CRITICAL,
        "Promise broken",
        jobs_title="{Who}: promise broken, {copies} on {to} too old",
        jobs_lead="{Who} is behind: it has no replica as recent as promised.",
        alertname="ZsrRpoBreached",
        is_failure=True,
    ),
    NoticeKind.RPO_KEPT: KindFacts(
        Severity.INFO,
        "Promise kept again",
        jobs_title="{Who}: promise kept again, on {to}",
        jobs_lead="{Who} has caught up: the replica is as recent as promised.",
        ends=NoticeKind.RPO_BREACHED,
    ),
    NoticeKind.REPLICA_LOST: KindFacts(
        Severity.CRITICAL,
        "Replica lost",
        jobs_title="{Who}: {replicas} lost, gone from {to}",
        jobs_lead="{Who} found no complete replica on the target any more.",
        advice="zsr sends a new full copy by itself. Find out on the target what removed the replica (zpool history), "
        "before the next one goes the same way.",
        alertname="ZsrReplicaLost",
        is_failure=True,
    ),
    NoticeKind.REPLICA_BACK: KindFacts(
        Severity.INFO,
        "Copied again",
        jobs_title="{Who}: copied in full again, to {to}",
        jobs_lead="{Who} has a complete replica on the target again.",
        ends=NoticeKind.REPLICA_LOST,
    ),
    NoticeKind.VOLUMES_VANISHED: KindFacts(
        Severity.WARNING,
        "Volumes gone",
        jobs_title="{Who}: volumes are gone, replicas stay on {to}",
        jobs_lead="{Who} found volumes gone from the source; their replicas stay on the target.",
        advice="zsr keeps these replicas for the job's grace; without one, until a person destroys them. If a volume "
        "vanished by mistake, its replica may be the only copy: zsr update JOB --grace never keeps it. If it is not "
        "needed: zsr vanished destroy.",
        alertname="ZsrVolumesVanished",
    ),
    NoticeKind.GRACE_ENDING: KindFacts(
        Severity.WARNING,
        "Grace ends",
        jobs_title="{Who}: replicas of vanished volumes will be destroyed on {to}",
        jobs_lead="{Who} keeps replicas of vanished volumes whose grace ends; zsr destroys them then.",
        advice="To keep them: zsr update JOB --grace never. A volume that comes back keeps its replica too.",
        alertname="ZsrGraceEnding",
    ),
    NoticeKind.GRACE_ENDED: KindFacts(
        Severity.INFO,
        "Destroyed after grace",
        jobs_title="{Who}: replicas of vanished volumes were destroyed on {to}",
        jobs_lead="{Who} destroyed replicas of vanished volumes after their grace.",
        advice="How long they are kept: zsr update JOB --grace.",
    ),
    NoticeKind.GUEST_REPLACED: KindFacts(
        Severity.CRITICAL,
        "All volumes replaced",
        jobs_title="{Who}: all volumes were replaced, old replicas stay on {to}",
        jobs_lead="{Who} found that no volume of the guest has anything in common with its replicas.",
        advice="The guest's number was used again, it was restored, or the common snapshots were destroyed. The old "
        "replicas may be the only copy of what was there: zsr vanished list, zsr diverged list. Until the new volumes "
        "are whole, those are the copy to use.",
        alertname="ZsrGuestReplaced",
        is_failure=True,
    ),
    NoticeKind.SOURCE_WENT_BACK: KindFacts(
        Severity.CRITICAL,
        "Source went back",
        jobs_title="{Who}: the source went back in time, newer sets are kept on {to}",
        jobs_lead="{Who} found the source older than its replicas: it lacks sets that are proven on the target.",
        advice="The guest was rolled back or restored from an image, or its snapshots were destroyed. The newer sets "
        "are kept aside on the target (zsr restore-points). If this was not intended, stop the guest now.",
        alertname="ZsrSourceWentBack",
        is_failure=True,
    ),
    NoticeKind.JOB_VANISHED: KindFacts(
        Severity.CRITICAL,
        "Job gone",
        jobs_title="{Who}: the job is gone from the cluster file, to {to}",
        jobs_lead="{Who} is not in the cluster file any more, and nobody removed it with zsr delete.",
        advice="Put it back within 7 days, and it goes on. If it was meant: zsr delete JOB --force.",
        alertname="ZsrJobsVanished",
        is_failure=True,
    ),
    NoticeKind.GUEST_FROZEN: KindFacts(
        Severity.CRITICAL,
        "Frozen",
        jobs_title="{Who}: may be frozen, thaw failed",
        jobs_lead="{Who} froze the guest for a snapshot and could not thaw it.",
        advice="A frozen guest stands still until it is thawed. zsr tries again every minute.",
        alertname="ZsrGuestFrozen",
        is_failure=True,
    ),
    NoticeKind.GUEST_THAWED: KindFacts(
        Severity.INFO,
        "Thawed",
        jobs_title="{Who}: thawed",
        jobs_lead="{Who} has thawed the guest.",
        ends=NoticeKind.GUEST_FROZEN,
    ),
    NoticeKind.DRILL_FAILED: KindFacts(
        Severity.WARNING,
        "Drill failed",
        jobs_title="{Who}: a drill failed on {to}",
        jobs_lead="{Who} has replicas that may not be usable: a drill of them failed.",
        advice="What was found: zsr guest drills. Once more, with each finding: zsr guest drill ID.",
        alertname="ZsrDrillFailed",
    ),
    NoticeKind.DRILL_PASSED: KindFacts(
        Severity.INFO,
        "Drill passed",
        jobs_title="{Who}: a drill passed on {to}",
        jobs_lead="{Who} has replicas that can be used: a drill of them passed.",
        ends=NoticeKind.DRILL_FAILED,
    ),
    NoticeKind.TARGET_UNREACHABLE: KindFacts(
        Severity.WARNING,
        "Unreachable",
        title="Node {about} is unreachable, seen from {node}",
        lead="Node {about} does not answer {node}.",
        jobs_title="Node {about} is unreachable: {guests}",
        jobs_lead="Node {about} does not answer; {jobs} wait for it.",
        alertname="ZsrTargetUnreachable",
        is_failure=True,
        is_of_node=True,
        implies_failure=True,
    ),
    NoticeKind.TARGET_BACK: KindFacts(
        Severity.INFO,
        "Reachable again",
        title="Node {about} is back, seen from {node}",
        lead="Node {about} answers {node} again.",
        jobs_title="Node {about} is back: {guests}",
        jobs_lead="Node {about} answers again; {jobs} go on.",
        ends=NoticeKind.TARGET_UNREACHABLE,
        is_of_node=True,
    ),
    NoticeKind.REMOVAL_STUCK: KindFacts(
        Severity.WARNING,
        "Removal stuck",
        jobs_title="{Who}: removal is stuck{cause}, on {to}",
        jobs_lead="{Who} does not finish.",
        alertname="ZsrJobFailing",
    ),
    NoticeKind.SETTINGS_REJECTED: KindFacts(
        Severity.WARNING,
        "Settings rejected",
        title="Settings of {node} are rejected: {file}",
        lead="{node} cannot use {about}; zsr keeps using the last valid ones.",
        advice="What is wrong with them: zsr config check",
        alertname="ZsrSettingsRejected",
    ),
    NoticeKind.SETTINGS_ACCEPTED: KindFacts(
        Severity.INFO,
        "Settings accepted",
        title="Settings of {node} are valid again",
        lead="{node} can use {settings} again.",
        ends=NoticeKind.SETTINGS_REJECTED,
    ),
    NoticeKind.STATE_UNWRITABLE: KindFacts(
        Severity.WARNING,
        "State not durable",
        title="state.db of {node} cannot be written",
        lead="{node} makes copies and remembers them in memory only, and destroys nothing.",
        advice="Free space below state_dir (df); all goes on by itself then. A restart before that loses history.",
        alertname="ZsrStateUnwritable",
    ),
    NoticeKind.STATE_WRITABLE: KindFacts(
        Severity.INFO,
        "State durable again",
        title="state.db of {node} can be written again",
        lead="{node} has written what it had in memory into state.db.",
        ends=NoticeKind.STATE_UNWRITABLE,
    ),
    NoticeKind.NODES_DISAGREE: KindFacts(
        Severity.CRITICAL,
        "Disagree",
        title="{node} and {about} disagree on who owns what",
        lead="{node} and {about} disagree, so that guests may be replicated twice or not at all.",
        advice="Find out where the guest runs, and put the same cluster file on all nodes.",
        alertname="ZsrOwnersDisagree",
        is_failure=True,
    ),
    NoticeKind.NODES_AGREE: KindFacts(
        Severity.INFO,
        "Agree again",
        title="{node} agrees with the other nodes again",
        lead="{node} and the other nodes agree on owners and names again.",
        ends=NoticeKind.NODES_DISAGREE,
    ),
    NoticeKind.FILES_DIFFER: KindFacts(
        Severity.WARNING,
        "Files differ",
        title="The cluster files of {node} and {about} differ",
        lead="{node} and {about} have different cluster files.",
        advice="Copy the newer file to the other nodes.",
        alertname="ZsrClusterFilesDiffer",
    ),
    NoticeKind.FILES_ALIKE: KindFacts(
        Severity.INFO,
        "Files alike",
        title="{node} has the cluster file of the other nodes again",
        lead="The cluster files of {node} and the other nodes have the same facts again.",
        ends=NoticeKind.FILES_DIFFER,
    ),
    NoticeKind.UNDELIVERED: KindFacts(
        Severity.WARNING,
        "Not delivered",
        title="Messages to '{about}' do not arrive, from {node}",
        lead="The notification target '{about}' of {node} takes no messages.",
        advice="Try it: zsr notify test {about}",
        alertname="ZsrNotificationsFailing",
    ),
    NoticeKind.DIGEST: KindFacts(Severity.INFO, "Digest"),
    NoticeKind.HEARTBEAT: KindFacts(
        Severity.INFO, "Alive", title="zsr on {node} is alive: {about}", lead="zsr on {node} is alive: {about}."
    ),
    NoticeKind.ALERTMANAGER: KindFacts(Severity.WARNING, "Alertmanager"),
    NoticeKind.TEST: KindFacts(
        Severity.INFO,
        "Test",
        title="zsr test message from {node}",
        lead="This is a test from zsr on {node} through the target '{about}'.",
        alertname="ZsrTest",
    ),
}
"""The only table by kind. A new kind needs an entry here, in notification.schema.json and in two tables of docs."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to report.

    Attributes:
        key: stays the same when the notice is sent again, so that a receiver can drop what it already has.
        time: when it happened, unix time.
        node: the node that reports it.
        thread: the same for all notices of one incident, so that its messages form a thread.
        opens: whether it is the first of its thread; ``closes``: whether it is the all-clear.
        subjects: the jobs that it is about, the worst first; empty when it is about none.
        about: what else: the silent node, the target that takes no messages, the settings file, counts; or empty.
        text: text that only the core has, e.g. the problems of the settings; or empty.
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
