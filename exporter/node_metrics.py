"""The metrics of a node's daemon itself, a part of the catalogue (`exporter.catalogue`)."""

from __future__ import annotations

from exporter.metric import Kind, Metric

RUN_START_FAILURES = Metric(
    "zsr_run_start_failures_total",
    Kind.COUNTER,
    ("class",),
    "Runs that could not begin, by class: the guest was locked (busy), or the start could not be recorded. "
    "Since the daemon's start.",
    "sum without (class) (increase(zsr_run_start_failures_total[10m])) > 0",
)
CLUSTER_NODE = Metric(
    "zsr_cluster_node",
    Kind.GAUGE,
    ("node",),
    "1 for each node of the cluster file as this daemon has read it, itself too, that runs zsr and is not disabled: "
    "the nodes that should be scraped.",
    "count by (node) (zsr_cluster_node) unless on (node) zsr_node_info",
)
ZFS_READABLE = Metric(
    "zsr_zfs_readable",
    Kind.GAUGE,
    (),
    "1 if the last look at this node's ZFS, one a minute, read all of it; 0 if not, and until the first look.",
    "zsr_zfs_readable == 0",
)
LAST_INVENTORY = Metric(
    "zsr_last_inventory_timestamp_seconds",
    Kind.GAUGE,
    ("node",),
    "Unix time at which the node's ZFS was last listed: this node's all of it, once a minute; another's by a run.",
    "time() - (zsr_last_inventory_timestamp_seconds and on (instance, node) zsr_node_info) > 900",
    "until the first time since the daemon's start",
)
UNMEASURED = Metric(
    "zsr_job_unreplicated_unknown",
    Kind.GAUGE,
    ("zsr_job", "reason"),
    "1 while the job's unreplicated bytes are not known. Reason: a storage of its guest cannot be read (storage); it "
    "is not clear which volumes the guest has (volumes); this node's ZFS does not report it (zfs).",
    "count by (reason) (zsr_job_unreplicated_unknown)",
    "while they are known, and until the first look",
)
STATE_CREATED = Metric(
    "zsr_state_created_timestamp_seconds",
    Kind.GAUGE,
    (),
    "Unix time at which this node's state.db was made; what was before it does not know.",
    "time() - zsr_state_created_timestamp_seconds < 86400",
)
PROMISE_UNKNOWN = Metric(
    "zsr_job_promise_unknown_since_timestamp_seconds",
    Kind.GAUGE,
    ("zsr_job",),
    "Unix time since when the job's last sync is not known: state.db is new, the job's sets on the source are older, "
    "and no run has looked at the target since.",
    "time() - zsr_job_promise_unknown_since_timestamp_seconds > on (instance, zsr_job) zsr_job_rpo_seconds",
    "as a rule",
)

NODE_INFO = Metric(
    "zsr_node_info",
    Kind.INFO,
    ("node", "boot"),
    "The node that the daemon speaks for, by its own settings, and the boot of the machine on which it runs; the value "
    "is always 1.",
    "count by (node) (count by (node, boot) (zsr_node_info)) > 1",
)
CLUSTER_INFO = Metric(
    "zsr_cluster_info",
    Kind.INFO,
    ("digest", "store"),
    "A digest of this node's view of the cluster: owner and epoch of each guest, target of each job, paths of the "
    "storages. It is the same on all nodes that agree; the value is always 1.",
    "count by (digest) (zsr_cluster_info)",
)

CLOCK = Metric(
    "zsr_clock_timestamp_seconds",
    Kind.GAUGE,
    (),
    "This daemon's clock at the scrape (unix time). It stands still in an answer that something between the daemon and "
    "Prometheus has kept.",
    "abs(zsr_clock_timestamp_seconds - timestamp(zsr_clock_timestamp_seconds)) > 30",
)

SAME_MACHINE = Metric(
    "zsr_node_same_machine",
    Kind.GAUGE,
    ("node", "other"),
    "1 for a node that is the same machine as another one, by the boot id of its kernel: as this node, or else as "
    "another of the nodes that this one contacts.",
    "zsr_node_same_machine",
    "where there is none, for nodes that were not contacted, and where the address is 'local'",
)

PLUGIN_RESTARTS = Metric(
    "zsr_plugin_restarts_total",
    Kind.COUNTER,
    ("plugin",),
    "How often a plugin ended with an error and was started again after half a minute. Since the daemon's start.",
    "increase(zsr_plugin_restarts_total[1h]) > 0",
)
CONFIG_PENDING = Metric(
    "zsr_config_pending_restart",
    Kind.GAUGE,
    (),
    "Keys of this node's settings that have other valid values since the daemon's start; it uses those of before.",
    "zsr_config_pending_restart > 0",
)
WEB_CONFIG_OK = Metric(
    "zsr_web_config_last_reload_successful",
    Kind.GAUGE,
    (),
    "1 if the last reading of the web configuration, with its certificates, succeeded; 0 if older ones are used.",
    "zsr_web_config_last_reload_successful == 0",
)
CERTIFICATE_BEGIN = Metric(
    "zsr_exporter_certificate_begin_timestamp_seconds",
    Kind.GAUGE,
    ("file",),
    "Unix time from which on the certificate that the exporter presents is valid, with its chain.",
    "zsr_exporter_certificate_begin_timestamp_seconds > time()",
    "without TLS",
)
CERTIFICATE_END = Metric(
    "zsr_exporter_certificate_expiry_timestamp_seconds",
    Kind.GAUGE,
    ("file",),
    "Unix time at which the certificate that the exporter presents ends, or one of its chain before it.",
    "zsr_exporter_certificate_expiry_timestamp_seconds - time() < 14 * 86400",
    "without TLS",
)
JOBS_UNREPORTED = Metric(
    "zsr_jobs_without_notification",
    Kind.GAUGE,
    (),
    "Jobs with a promise of which no notification target would get a message or ping when it is broken. Counted once a "
    "minute.",
    "zsr_jobs_without_notification > 0",
    "while no notification target is enabled",
)
STATE_DAMAGED = Metric(
    "zsr_state_damaged_files",
    Kind.GAUGE,
    (),
    "Damaged files state.db that were moved aside and are still there.",
    "zsr_state_damaged_files > 0",
)
STATE_WRITABLE = Metric(
    "zsr_state_writable",
    Kind.GAUGE,
    (),
    "1 while state.db is written; 0 while all is remembered in memory only and nothing is destroyed.",
    "zsr_state_writable == 0",
)
TARGET_USABLE = Metric(
    "zsr_notification_target_usable",
    Kind.GAUGE,
    ("target",),
    "1 for a notification target that gets messages, 0 for one that was left out because of its settings.",
    "zsr_notification_target_usable == 0",
    "while no notification target is enabled",
)
JOB_UNTIDY = Metric(
    "zsr_job_tidying_failing_since_timestamp_seconds",
    Kind.GAUGE,
    ("zsr_job",),
    "Unix time since when the job's runs succeed, but cannot destroy what is to go on one side or the other.",
    "time() - zsr_job_tidying_failing_since_timestamp_seconds > 7200",
    "while the last run that succeeded destroyed all that was to go",
)

NODE_METRICS = (
    NODE_INFO,
    CLUSTER_NODE,
    STATE_CREATED,
    CLUSTER_INFO,
    ZFS_READABLE,
    LAST_INVENTORY,
    PROMISE_UNKNOWN,
    UNMEASURED,
    RUN_START_FAILURES,
    CLOCK,
    SAME_MACHINE,
    PLUGIN_RESTARTS,
    CONFIG_PENDING,
    WEB_CONFIG_OK,
    CERTIFICATE_BEGIN,
    CERTIFICATE_END,
    JOBS_UNREPORTED,
    STATE_DAMAGED,
    STATE_WRITABLE,
    TARGET_USABLE,
    JOB_UNTIDY,
)
