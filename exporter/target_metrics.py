"""The metrics of targets that run no zsr, a part of the catalogue (`exporter.catalogue`).

The target's own daemon would export them under the names without ``target``; its sources do it for it.
"""

from __future__ import annotations

from exporter.metric import Kind, Metric

_ABSENT = "for a target that runs zsr itself, and while the last look at it failed"

TARGET_REPLICA_LAST_SYNC = Metric(
    "zsr_target_replica_last_sync_timestamp_seconds",
    Kind.GAUGE,
    ("node", "guest", "source", "storage"),
    "As zsr_replica_last_sync_timestamp_seconds, of a target that runs no zsr, as this node last saw it; it looks "
    "every five minutes.",
    "time() - zsr_target_replica_last_sync_timestamp_seconds",
    f"{_ABSENT}; while the target holds no complete replica of the guest",
)
TARGET_DIVERGED = Metric(
    "zsr_target_diverged_volumes",
    Kind.GAUGE,
    ("node", "guest"),
    "As zsr_diverged_volumes, of a target that runs no zsr, as this node last saw it.",
    "zsr_target_diverged_volumes > 0",
    f"{_ABSENT}; for a guest of another node",
)
TARGET_POOL_SIZE = Metric(
    "zsr_target_pool_size_bytes",
    Kind.GAUGE,
    ("node", "pool", "role"),
    "As zsr_pool_size_bytes, of a target that runs no zsr, as this node last saw it.",
    "zsr_target_pool_free_bytes / zsr_target_pool_size_bytes < 0.1",
    _ABSENT,
)
TARGET_POOL_FREE = Metric(
    "zsr_target_pool_free_bytes",
    Kind.GAUGE,
    ("node", "pool", "role"),
    "As zsr_pool_free_bytes, of a target that runs no zsr, as this node last saw it.",
    "zsr_target_pool_free_bytes / 2^30",
    _ABSENT,
)

TARGET_METRICS = (TARGET_REPLICA_LAST_SYNC, TARGET_DIVERGED, TARGET_POOL_SIZE, TARGET_POOL_FREE)
