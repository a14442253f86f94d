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

GUEST_METRICS = (GUEST_OWNER, GUEST_EPOCH, GUEST_FROZEN, HOOK_FAILURES)
