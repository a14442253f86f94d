"""What a plan shows to have happened to the source: its volumes were replaced, or it went back in time."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.replication.context import RunRecorder
from replicator.replication.plan import Incremental, Plan, SetAside
from replicator.replication.progress import Log
from replicator.replication.provenance import Direction, sets_of
from replicator.replication.vanished import replaced_replicas


@dataclass(frozen=True, slots=True)
class WentBack:
    """A volume of the source is older than its replica: it lacks sets that are proven on the target.

    It was rolled back or restored from an image, or its snapshots were destroyed.

    Attributes:
        replica: the replica's dataset, which is set aside with these sets.
        sets: their times, oldest first (unix seconds).
    """

    replica: str
    sets: tuple[int, ...]


def volumes_gone_back(way: Direction, plan: Plan) -> tuple[WentBack, ...]:
    """Return the volumes of a plan that lack sets which are proven on the target. Pure."""
    proven = way.known.proven
    found = []
    for action in plan.actions:
        replica = action.pair.target
        aside = any(isinstance(step, SetAside) for step in action.preparations)
        if replica is None or not aside or not isinstance(action, Incremental) or proven is None:
            continue
        base = replica.by_guid(action.base.guid)
        newer = sorted(
            at
            for at, each in sets_of(way.job, replica).items()
            if base is not None and each.createtxg > base.createtxg and at <= proven and each.guid in way.known.sent
        )
        if newer:
            found.append(WentBack(replica.name, tuple(newer)))
    return tuple(found)


async def report_source_changes(way: Direction, plan: Plan, recorder: RunRecorder, log: Log) -> None:
    """Report that all volumes of a guest were replaced, or that some went back in time, before anything is changed."""
    if replicas := replaced_replicas(way, plan):
        what = f"no volume of guest {way.job.guest} has anything in common with its replicas on {way.target}"
        log("warning", f"{what}: all were replaced; the replicas stay")
        volumes = [action.pair.source.guid for action in plan.actions]
        await recorder.replaced(volumes, [each.name for each in replicas])
    if back := volumes_gone_back(way, plan):
        for each in back:
            log(
                "warning",
                f"the source of '{each.replica}' went back in time: it lacks {len(each.sets)} sets that are proven on "
                f"{way.target}, the newest of them {each.sets[-1]}; they are kept aside there",
            )
        await recorder.went_back({each.replica: each.sets for each in back})
