"""The metrics of guests, a part of the catalogue (`exporter.catalogue`)."""

from __future__ import annotations

from exporter.metric import Kind, Metric

GUEST_OWNER = Metric(
    "zsr_guest_owner",
    Kind.GAUGE,
    ("guest", "node"),
    "1 for the node that owns the guest, as the cluster file of this node says.",
    "count by (guest) (count by (guest, node) (zsr_guest_owner)) > 1",
    "for guests that this node neither owns nor receives",
)
GUEST_EPOCH = Metric(
    "zsr_guest_epoch",
    Kind.GAUGE,
    ("guest",),
    "The guest's epoch, which goes up by one with each change of owner, as the cluster file of this node says.",
    "max by (guest) (zsr_guest_epoch) != min by (guest) (zsr_guest_epoch)",
    "for guests that this node neither owns nor receives",
)
GUEST_FROZEN = Metric(
    "zsr_guest_frozen_since_timestamp_seconds",
    Kind.GAUGE,
    ("guest",),
    "Unix time since when a guest of this node may be frozen: right before its freeze hook, until a thaw succeeded.",
    "time() - zsr_guest_frozen_since_timestamp_seconds > 300",
    "for a guest that is not frozen",
)
HOOK_FAILURES = Metric(
    "zsr_hook_failures_total",
    Kind.COUNTER,
    ("guest", "hook"),
    "Failures of a guest's hooks, by hook (freeze, thaw); each try to thaw a guest that was left frozen counts.",
    "increase(zsr_hook_failures_total[1d]) > 0",
    "for a guest without that hook, and for guests of other nodes",
)
FAILED_FREEZES = Metric(
    "zsr_guest_failed_freezes",
    Kind.GAUGE,
    ("guest",),
    "Of the last five times that the guest's freeze hook ran, those in which it failed within the last 30 days. A run "
    "that finds nothing written does not freeze, and does not count.",
    "zsr_guest_failed_freezes > 2",
    "for a guest without a freeze hook, and for guests of other nodes",
)
GUEST_JOBS = Metric(
    "zsr_guest_jobs",
    Kind.GAUGE,
    ("guest",),
    "Jobs of a guest of this node, disabled ones too, without those being removed; 0: nothing replicates it.",
    "zsr_guest_jobs == 0",
    "for guests of other nodes, and until the first look at this node's ZFS",
)
GUEST_UNCOVERED = Metric(
    "zsr_guest_uncovered_volumes",
    Kind.GAUGE,
    ("guest", "reason"),
    "Volumes on this node that no job replicates although their guest has one, as of the last look at its ZFS. Reason: "
    "the guest's list of volumes leaves them out (not-listed); its storages, or the nodes of a storage, do (storage); "
    "they lie below one of its volumes, and the settings say 'children = false' (child); the settings exclude them "
    "(excluded).",
    "sum by (guest) (zsr_guest_uncovered_volumes)",
    "where there is none",
)
UNKNOWN_GUESTS = Metric(
    "zsr_unknown_guests",
    Kind.GAUGE,
    (),
    "Guests that have volumes below this node's storages and are not in the cluster file, without those that another "
    "program replicates; as of the last look at its ZFS.",
    "zsr_unknown_guests > min_over_time(zsr_unknown_guests[7d])",
    "until the first look at this node's ZFS",
)
JOB_VANISHED = Metric(
    "zsr_job_vanished_since_timestamp_seconds",
    Kind.GAUGE,
    ("zsr_job", "guest"),
    "Unix time since when a job of this node is gone from the cluster file though nobody removed it with 'zsr delete'.",
    "time() - zsr_job_vanished_since_timestamp_seconds",
    "for jobs that are there, seven days after it vanished, and once 'zsr delete --force' confirmed it",
)
DRILL_LAST_SUCCESS = Metric(
    "zsr_drill_last_success_timestamp_seconds",
    Kind.GAUGE,
    ("guest", "node"),
    "Unix time at which the last drill of the guest on a target ended that passed.",
    "time() - zsr_drill_last_success_timestamp_seconds",
    "until one has passed",
)
DRILL_LAST = Metric(
    "zsr_drill_last_timestamp_seconds",
    Kind.GAUGE,
    ("guest", "node"),
    "Unix time at which the last drill of the guest on a target ended that could be done.",
    "time() - zsr_drill_last_timestamp_seconds",
    "until one could be done",
)
DRILL_FAILED = Metric(
    "zsr_drill_failed",
    Kind.GAUGE,
    ("guest", "node"),
    "1 if the last drill of the guest on a target that could be done has failed, 0 if it passed.",
    "zsr_drill_failed == 1",
    "until one could be done",
)
DRILL_UNDONE = Metric(
    "zsr_drill_undone",
    Kind.GAUGE,
    ("guest", "node"),
    "1 if the last drill of the guest on a target could not be done: it says nothing of the replicas.",
    "zsr_drill_undone == 1",
    "for guests of other nodes, and those without a schedule of drills that were never drilled",
)
DRILL_DURATION = Metric(
    "zsr_drill_last_duration_seconds",
    Kind.GAUGE,
    ("guest", "node"),
    "Seconds that the last drill of the guest on a target took that could be done.",
    "topk(5, zsr_drill_last_duration_seconds)",
    "until one could be done",
)
DRILL_SET_AGE = Metric(
    "zsr_drill_last_set_age_seconds",
    Kind.GAUGE,
    ("guest", "node"),
    "How old the set was, in seconds, when the last drill of the guest on a target ended that could be done.",
    "max by (guest) (zsr_drill_last_set_age_seconds)",
    "until one could be done",
)
DRILL_AWAITED = Metric(
    "zsr_drill_awaited_since_timestamp_seconds",
    Kind.GAUGE,
    ("guest", "node"),
    "Unix time since when a drill of the guest on a target that passes is awaited: since the last such one; without"
    " one since there is a schedule, or since the first try.",
    "time() - zsr_drill_awaited_since_timestamp_seconds > zsr_drill_limit_seconds",
    "for guests of other nodes, those without a schedule that were never drilled, and where the settings say off",
)
DRILL_LIMIT = Metric(
    "zsr_drill_limit_seconds",
    Kind.GAUGE,
    ("guest", "node"),
    "How long a drill that passes may be awaited: 30 days, or one and a half times the schedule's longest gap.",
    "zsr_drill_limit_seconds / 86400",
    "for guests of other nodes, and those without a schedule of drills that were never drilled",
)
DRILL_CLONES = Metric(
    "zsr_drill_clones_since_timestamp_seconds",
    Kind.GAUGE,
    ("guest", "node"),
    "Unix time at which a drill began whose clones may still be on the target although it does not go on.",
    "time() - zsr_drill_clones_since_timestamp_seconds > 86400",
    "where there are none",
)
DRILLS = Metric(
    "zsr_drills_total",
    Kind.COUNTER,
    ("guest", "node", "result"),
    "Drills of the guest on a target that ended, by result: passed, failed, or undone (it could not be done).",
    "increase(zsr_drills_total[30d])",
    "for guests of other nodes, and those without a schedule of drills that were never drilled",
)
GUEST_MOVES = Metric(
    "zsr_guest_moves_total",
    Kind.COUNTER,
    ("guest", "how"),
    "How often the guest was moved from this node (moved), or went on on it while its own node was dead (recovered).",
    "increase(zsr_guest_moves_total[1d])",
    "for guests that this node neither moved nor recovered",
)
GUEST_MOVE_TIME = Metric(
    "zsr_guest_last_move_timestamp_seconds",
    Kind.GAUGE,
    ("guest",),
    "Unix time at which the guest was last moved from this node, or recovered on it.",
    "time() - zsr_guest_last_move_timestamp_seconds",
    "for guests that this node neither moved nor recovered",
)
GUEST_MOVE_DOWNTIME = Metric(
    "zsr_guest_last_move_downtime_seconds",
    Kind.GAUGE,
    ("guest",),
    "Seconds that the guest was off when it was last moved from this node.",
    "topk(5, zsr_guest_last_move_downtime_seconds)",
    "for guests that this node did not move, after a recovery, and after a move that another command finished",
)
GUEST_MOVING = Metric(
    "zsr_guest_moving_since_timestamp_seconds",
    Kind.GAUGE,
    ("guest", "node"),
    "Unix time since when a guest of this node is being moved to another one, as its daemon saw it first: from right "
    "before the guest stops until it was handed over. A move that died stays.",
    "time() - zsr_guest_moving_since_timestamp_seconds > 900",
    "for a guest that is not being moved",
)

GUEST_METRICS = (
    GUEST_OWNER,
    GUEST_EPOCH,
    GUEST_FROZEN,
    HOOK_FAILURES,
    FAILED_FREEZES,
    GUEST_JOBS,
    GUEST_UNCOVERED,
    UNKNOWN_GUESTS,
    JOB_VANISHED,
    GUEST_MOVES,
    GUEST_MOVE_TIME,
    GUEST_MOVE_DOWNTIME,
    GUEST_MOVING,
    DRILL_LAST_SUCCESS,
    DRILL_LAST,
    DRILL_FAILED,
    DRILL_UNDONE,
    DRILL_DURATION,
    DRILL_SET_AGE,
    DRILL_AWAITED,
    DRILL_LIMIT,
    DRILL_CLONES,
    DRILLS,
)
