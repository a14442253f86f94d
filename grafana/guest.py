"""The dashboard "zsr / Guest": one guest, and what would be left of it if its node died now.

From top to bottom: the answer at a glance, its jobs, the replicas according to each target, lag against promise over
time, and the outcomes of the runs.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import stat, timeseries

from grafana.layout import GUEST, AnyPanel, Row, board, filled
from grafana.panel import BLUE, Panel, Query, graph, stat_panel
from grafana.panels import common, drills, hooks, jobs_table, moves, stats
from grafana.promql import GUEST as GUEST_LABEL
from grafana.promql import JOB, KEY, LAG, PROMISING, RPO, UNPROTECTED, per_job, total


def _name(number: int, place: common.Place) -> stat.Panel:
    return stat_panel(
        Panel(
            number,
            "Guest",
            "The guest's name and the node where it lives, as its jobs report them. Good: the one you look for.",
            *place,
            unit="none",
            empty="no job has it",
        ),
        Query(f"max by (guest_name, source) (zsr_job_info{{{JOB}}})", "{{guest_name}} on {{source}}"),
        steps=((None, BLUE),),
        only_names=True,
    )


def _freshest(number: int, place: common.Place) -> stat.Panel:
    return stats.amount(
        Panel(
            number,
            "Newest copy",
            "Age of the newest proven copy on any target: what a recovery there would lose. Good: less than the "
            "shortest promise.",
            *place,
            unit="s",
            empty="no copy yet",
        ),
        f"min({LAG})",
        decimals=1,
    )


def _against_promise(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Lag against promise",
            "Age of each job's last proven copy (without one: since the job was made), and the promise as a "
            "dashed line. Good: saw teeth that stay below the dashed line.",
            *place,
            unit="s",
            empty="no promise",
            runbook="ZsrRpoBreached",
        ),
        Query(per_job(f"{UNPROTECTED} {PROMISING}"), "{{zsr_job}}"),
        Query(per_job(f"{RPO} {PROMISING}"), "{{zsr_job}} promised"),
        limits="promised$",
    )


def _unreplicated(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Written since the last copy",
            "Bytes written on the source since the last sync, as of the last look: what a dead node would cost. Good: "
            "small, back to almost 0 with each run.",
            *place,
            unit="decbytes",
            empty="not known yet",
        ),
        Query(per_job(f"zsr_job_unreplicated_bytes{{{JOB}}}"), "{{zsr_job}}"),
    )


def _progress(number: int, place: common.Place) -> timeseries.Panel:
    share = f"zsr_job_transfer_bytes{{{JOB}}} / (zsr_job_transfer_expected_bytes{{{JOB}}} > 0)"
    return graph(
        Panel(
            number,
            "Progress of transfers",
            "What a transfer has sent so far, as a part of the estimate by ZFS; 0 while none goes on. Good: it climbs "
            "to 100 % and falls to 0. A flat line between is a transfer that hangs.",
            *place,
            unit="percentunit",
            runbook="ZsrTransferStalled",
        ),
        Query(per_job(f"clamp_max({share}, 1) or {KEY} 0 * zsr_job_resume_pending{{{JOB}}}"), "{{zsr_job}}"),
        top=1,
    )


def _waiting(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Half-received states",
            "1 while a half-received state of a job waits on its target to be resumed. Good: 0, or 1 for one interval.",
            *place,
            unit="none",
            runbook="ZsrResumeWaiting",
        ),
        Query(per_job(f"zsr_job_resume_pending{{{JOB}}}"), "{{zsr_job}}"),
        decimals=0,
    )


def _snapshots(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Snapshots on the source",
            "Highest number of each job's snapshots and bookmarks on one volume of its source. Good: flat, at most "
            "seventeen or so; a line that climbs means that nothing new is proven on the target. Snapshots of others "
            "are shown too, on the source and on the replicas.",
            *place,
            unit="none",
            empty="not known yet",
            runbook="ZsrSourceSnapshotsPilingUp",
        ),
        Query(per_job(f"zsr_source_snapshots{{{JOB}}}"), "{{zsr_job}}"),
        Query(per_job(f"zsr_source_foreign_snapshots{{{JOB}}}"), "{{zsr_job}}: of others"),
        Query(
            f"max by (instance, guest) (zsr_replica_foreign_snapshots{{{GUEST_LABEL}}})", "of others on {{instance}}"
        ),
        decimals=0,
    )


def _vanished(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Replicas of vanished volumes",
            "Replicas that each job keeps on its target although their volumes are gone from the source. Good: 0; zsr "
            "keeps them for the job's grace, so an admin has until then to decide. The days left until the first one "
            "goes are shown too, 0 where none will, and the volumes of the newest proven set.",
            *place,
            unit="none",
            runbook="ZsrVolumesVanished",
        ),
        Query(per_job(f"zsr_job_volumes_vanished{{{JOB}}}"), "{{zsr_job}}"),
        Query(
            per_job(
                f"(zsr_job_vanished_grace_end_timestamp_seconds{{{JOB}}} - time()) / 86400 "
                f"or {KEY} 0 * zsr_job_volumes_vanished{{{JOB}}}"
            ),
            "{{zsr_job}}: days left",
        ),
        Query(
            per_job(f"zsr_job_volumes{{{JOB}}} or {KEY} 0 * zsr_job_volumes_vanished{{{JOB}}}"), "{{zsr_job}} proven"
        ),
        decimals=0,
    )


def _within_a_day(time: str) -> str:
    return per_job(f"time() - {time}{{{JOB}}} < bool 86400 or {KEY} 0 * zsr_job_volumes_vanished{{{JOB}}}")


def _different_moments(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Replicas of different moments",
            "1 while one of the guest's replicas is ahead of another, as their node itself sees it. Good: 0, and 1 for "
            "minutes during a run. A 1 that stays when the source is dead: zsr restore-points says which set is whole. "
            "Also 1 for a day after a run found all volumes of the guest replaced, or its source gone back in time.",
            *place,
            unit="none",
            runbook="ZsrDaemonDown",
        ),
        Query(f"max by (instance, guest) (zsr_replica_heads_differ{{{GUEST_LABEL}}})", "{{instance}}"),
        Query(_within_a_day("zsr_job_guest_replaced_timestamp_seconds"), "{{zsr_job}}: replaced"),
        Query(_within_a_day("zsr_job_source_went_back_timestamp_seconds"), "{{zsr_job}}: went back"),
        decimals=0,
    )


def _newest_set(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Since the guest wrote",
            "Age of the newest proven set. Last sync moves on while nothing is written, and this grows. Good: it "
            "follows the guest's habits; a guest that never writes again may live elsewhere.",
            *place,
            unit="s",
            empty="no copy yet",
            runbook="ZsrGuestIdle",
        ),
        Query(per_job(f"time() - zsr_job_last_set_timestamp_seconds{{{JOB}}}"), "{{zsr_job}}"),
    )


def _conflicts(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Replicated by Proxmox VE too",
            "1 while Proxmox VE has a replication job with the number of a job, or for its guest and target. Good: 0.",
            *place,
            unit="none",
            empty="not known",
            runbook="ZsrForeignReplication",
        ),
        Query(per_job(f"zsr_job_foreign_tool_conflict{{{JOB}}}"), "{{zsr_job}}"),
        decimals=0,
    )


def _unconfirmed(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Unconfirmed targets",
            "1 after a job's target, its address or a path was edited, until a run finds the same target there or has "
            "proven a first copy on the new one. Good: 0.",
            *place,
            unit="none",
        ),
        Query(per_job(f"1 - zsr_job_claim_confirmed{{{JOB}}}"), "{{zsr_job}}"),
        decimals=0,
    )


def _sent(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Bytes sent",
            "What each job sent, by time. Good: about what the guest writes; much more is one full copy to a target.",
            *place,
            unit="decbytes",
        ),
        Query(f"sum by (zsr_job) (increase(zsr_job_sent_bytes_total{{{JOB}}}[$__rate_interval]))", "{{zsr_job}}"),
        bars=True,
    )


def _owner(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Owner",
            "1 for each node that owns the guest, as the cluster file of any node says. Good: one line at a time; two "
            "are nodes whose files do not agree.",
            *place,
            unit="none",
            empty="not known yet",
        ),
        Query(f"max by (guest, node) (zsr_guest_owner{{{GUEST_LABEL}}})", "guest {{guest}} on {{node}}"),
        decimals=0,
    )


def _epoch(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Epoch",
            "The guest's epoch in the cluster file of each node; it goes up by one with each change of owner. Good: "
            "the same on all nodes.",
            *place,
            unit="none",
            empty="not known yet",
        ),
        Query(f"max by (guest, instance) (zsr_guest_epoch{{{GUEST_LABEL}}})", "guest {{guest}} on {{instance}}"),
        decimals=0,
    )


def _top() -> list[AnyPanel]:
    sent = Panel(
        7,
        "Sent in the shown time",
        "Bytes sent to all targets in the time range shown. Good: about what the guest writes, times its targets.",
        *(20, 4, 4, 4),
        unit="decbytes",
    )
    return [
        _name(1, (0, 0, 8, 4)),
        stats.broken(2, (8, 0, 4, 4)),
        stats.kept(3, (12, 0, 4, 4)),
        stats.worst_promise(4, (16, 0, 4, 4)),
        _freshest(5, (20, 0, 4, 4)),
        stats.failing(6, (0, 4, 5, 4)),
        stats.never_copied(8, (5, 4, 5, 4)),
        stats.running(9, (10, 4, 5, 4)),
        stats.kept_aside(11, (15, 4, 5, 4)),
        stats.amount(sent, total(f"increase(zsr_job_sent_bytes_total{{{JOB}}}[$__range])"), decimals=1),
        jobs_table.jobs(10, (0, 8, 24, 7)),
        common.held(12, (0, 15, 24, 7)),
    ]


def _owner_and_drills() -> list[timeseries.Panel]:
    return [
        _owner(39, (0, 89, 12, 8)),
        _epoch(40, (12, 89, 12, 8)),
        drills.awaited(43, (0, 97, 6, 8)),
        drills.results(44, (6, 97, 6, 8)),
        drills.last(46, (12, 97, 6, 8)),
        drills.times(45, (18, 97, 6, 8)),
        moves.counts(47, (0, 105, 12, 8)),
        moves.downtime(48, (12, 105, 12, 8)),
    ]


def _rows() -> list[Row]:
    return [
        Row(
            100,
            "How old what each target holds is",
            22,
            [
                _against_promise(20, (0, 23, 12, 9)),
                common.held_over_time(21, (12, 23, 12, 9)),
                _unreplicated(22, (0, 32, 8, 8)),
                common.aside(23, (8, 32, 8, 8)),
                _snapshots(24, (16, 32, 8, 8)),
                _vanished(25, (0, 40, 8, 8)),
                _unconfirmed(26, (8, 40, 8, 8)),
                _conflicts(29, (16, 40, 8, 8)),
                _different_moments(27, (0, 48, 12, 8)),
                _newest_set(28, (12, 48, 12, 8)),
                common.uncovered(41, (0, 56, 24, 8)),
            ],
        ),
        Row(
            101,
            "Runs",
            64,
            [
                common.runs(30, (0, 65, 8, 8)),
                common.durations(31, (8, 65, 8, 8)),
                _sent(32, (16, 65, 8, 8)),
                common.failures(33, (0, 73, 6, 8)),
                common.in_a_row(34, (6, 73, 6, 8)),
                _progress(35, (12, 73, 6, 8)),
                _waiting(36, (18, 73, 6, 8)),
                hooks.frozen(37, (0, 81, 8, 8)),
                hooks.failures(38, (8, 81, 8, 8)),
                hooks.failed_freezes(42, (16, 81, 8, 8)),
                *_owner_and_drills(),
            ],
        ),
    ]


def dashboard() -> build.Dashboard:
    """The dashboard as the SDK's builder; ``grafana.build`` turns it into JSON."""
    empty = board(
        GUEST,
        "zsr / Guest",
        "One guest: its jobs, what each target holds of it and how old that is, and how its runs went.",
        ["guest"],
        one_guest=True,
    )
    return filled(empty, _top(), _rows())
