"""The metrics of what a node holds for others, and of its pools, a part of the catalogue (`exporter.catalogue`)."""

from __future__ import annotations

from exporter.metric import Kind, Metric

REPLICA_LAST_SYNC = Metric(
    "zsr_replica_last_sync_timestamp_seconds",
    Kind.GAUGE,
    ("guest", "source", "storage"),
    "When the oldest of the guest's replicas that this node holds was taken, read from its own ZFS once a minute.",
    "time() - zsr_replica_last_sync_timestamp_seconds",
    "while this node holds no complete replica of the guest",
)
REPLICA_AHEAD = Metric(
    "zsr_replica_heads_differ",
    Kind.GAUGE,
    ("guest", "source", "storage"),
    "1 while a replica here is ahead of the guest's others, so that only an older set is whole (zsr restore-points): a "
    "run is between two volumes, or was cut off there. 0 otherwise.",
    "max by (instance, guest) (zsr_replica_heads_differ) == 1",
    "while this node holds no complete replica of the guest",
)
REPLICA_USED = Metric(
    "zsr_replica_used_bytes",
    Kind.GAUGE,
    ("guest", "source", "storage"),
    "What the guest's replicas and their snapshots take on this node, read from its own ZFS once a minute.",
    "sum by (instance) (zsr_replica_used_bytes)",
    "while this node holds no complete replica of the guest",
)
POOL_SIZE = Metric(
    "zsr_pool_size_bytes",
    Kind.GAUGE,
    ("pool", "role"),
    "Usable size of a pool of this node that zsr works with, after parity and ZFS' reserve, read once a minute.",
    "zsr_pool_free_bytes / zsr_pool_size_bytes < 0.1",
    "until the first look, and for a pool that cannot be read",
)
POOL_FREE = Metric(
    "zsr_pool_free_bytes",
    Kind.GAUGE,
    ("pool", "role"),
    "What is free in a pool of this node; role: guests replicate from it (source), into it (target), or both.",
    'zsr_pool_free_bytes{role!="source"} / 2^30',
    "until the first look, and for a pool that cannot be read",
)
DIVERGED = Metric(
    "zsr_diverged_volumes",
    Kind.GAUGE,
    ("node", "guest"),
    "Volumes of the guest kept aside on this node because they differed from their source, as of the last look.",
    "sum by (node, guest) (zsr_diverged_volumes) > 0",
    "for a guest that has no job to this node and nothing kept aside here",
)
STORAGE_SIZE = Metric(
    "zsr_storage_size_bytes",
    Kind.GAUGE,
    ("storage", "pool", "role"),
    "Bytes used below the path of a storage of this node, plus those that it may still take, read once a minute.",
    "zsr_storage_available_bytes / zsr_storage_size_bytes < 0.1",
    "until the first look, and for a storage that cannot be read",
)
STORAGE_FREE = Metric(
    "zsr_storage_available_bytes",
    Kind.GAUGE,
    ("storage", "pool", "role"),
    "What the path of a storage of this node may still take: less than what is free in its pool where a quota on the "
    "path or above it, or a reservation of others, says so. Role as of zsr_pool_free_bytes.",
    "zsr_storage_available_bytes < on (instance, pool) group_left () zsr_pool_free_bytes",
    "until the first look, and for a storage that cannot be read",
)
REPLICA_VOLUMES = Metric(
    "zsr_replica_volumes",
    Kind.GAUGE,
    ("guest", "source", "storage"),
    "Replicas of the guest's volumes that this node holds, without those of volumes that left the guest.",
    "sum by (guest) (zsr_replica_volumes)",
    "while this node holds no complete replica of the guest",
)
REPLICA_POINTS = Metric(
    "zsr_replica_restore_points",
    Kind.GAUGE,
    ("guest", "source", "storage"),
    "Restore points of the guest that this node holds: sets that all of its replicas have.",
    "zsr_replica_restore_points < 2",
    "while this node holds no complete replica of the guest",
)
REPLICA_OLDEST_POINT = Metric(
    "zsr_replica_oldest_restore_point_timestamp_seconds",
    Kind.GAUGE,
    ("guest", "source", "storage"),
    "When the oldest restore point of the guest that this node holds was taken.",
    "time() - zsr_replica_oldest_restore_point_timestamp_seconds",
    "while this node holds no restore point of the guest",
)
REPLICA_POINTS_MISSING = Metric(
    "zsr_replica_restore_points_missing",
    Kind.GAUGE,
    ("guest", "source", "storage"),
    "Restore points that a replica here had, that the job's 'keep' asks for, and that are gone, for up to seven days.",
    "zsr_replica_restore_points_missing > 0",
    "until the first look, and where no job of the cluster file sends the guest here",
)
REPLICA_FOREIGN = Metric(
    "zsr_replica_foreign_snapshots",
    Kind.GAUGE,
    ("guest", "source", "storage"),
    "Highest number of snapshots on one of the guest's replicas here that zsr did not take.",
    "topk(5, zsr_replica_foreign_snapshots)",
    "while this node holds no complete replica of the guest",
)
ASIDES = Metric(
    "zsr_asides",
    Kind.GAUGE,
    ("guest", "kind"),
    "Replicas of the guest that are set aside on this node. Kind: a person has to decide (diverged); the job destroys "
    "them in time (aging); no job sends the guest here any more, so that none destroys them (left).",
    "sum by (kind) (zsr_asides)",
    "where there is none",
)
ASIDES_BYTES = Metric(
    "zsr_asides_bytes",
    Kind.GAUGE,
    ("guest", "kind"),
    "What only those replicas hold, in bytes.",
    "topk(5, zsr_asides_bytes)",
    "where there is none, and where this ZFS does not report it",
)
ASIDES_OLDEST = Metric(
    "zsr_asides_oldest_timestamp_seconds",
    Kind.GAUGE,
    ("guest", "kind"),
    "When the first of those replicas was set aside.",
    'time() - zsr_asides_oldest_timestamp_seconds{kind!="aging"} > 7 * 86400',
    "where there is none, or where their names do not say it",
)

REPLICA_METRICS = (
    REPLICA_LAST_SYNC,
    REPLICA_AHEAD,
    REPLICA_USED,
    REPLICA_VOLUMES,
    REPLICA_POINTS,
    REPLICA_OLDEST_POINT,
    REPLICA_POINTS_MISSING,
    REPLICA_FOREIGN,
    DIVERGED,
    ASIDES,
    ASIDES_BYTES,
    ASIDES_OLDEST,
)
POOL_METRICS = (POOL_SIZE, POOL_FREE, STORAGE_SIZE, STORAGE_FREE)
