"""The decisions of a run, foreseen from what both sides hold: resumes, plan, and the volumes after it. Pure.

They are made by the same functions as in a run (`replicator.replication.run`), in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from replicator.errors import ZsrError
from replicator.models import Job, KnownSets, Synced, Volume
from replicator.replication.destruction import KeepAside, Stays
from replicator.replication.discovery import Discovered
from replicator.replication.foreign_names import giving_way
from replicator.replication.former_jobs import LeftBehind
from replicator.replication.half_received import BASE_GONE, base_is_gone, examine
from replicator.replication.keys import check_keys
from replicator.replication.plan import (
    Conflict,
    Full,
    Incremental,
    Plan,
    VolumePair,
    make_plan,
    needs_bookmarks,
    refuse_foreign,
)
from replicator.replication.preview import Resume
from replicator.replication.provenance import Direction
from replicator.replication.snapshot_sets import (
    arrived,
    claim_of,
    is_as_remembered,
    is_unchanged,
    new_set_time,
    with_taken,
)
from replicator.replication.stamps import Refusal
from replicator.zfs.model import Snapshot
from replicator.zfs.permits import ReplicaPermit
from replicator.zfs.resume_token import ResumeToken
from replicator.zfs.snapshot_names import snapshot_name


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run would find.

    Attributes:
        job: the job; ``way`` is its direction.
        synced: what was last proven.
        discovered: both sides.
        tokens: for each volume with a resume token on the target, the bytes that the source would still send; None if
            it does not say, or its error.
        bookmarks: whether the sets are bookmarked on the source.
        programs: the source runs channel programs, which list no bookmarks.
        may_snapshot_first: as `replicator.replication.context.may_snapshot_first` says.
        now: the unix time.
        vanished: the decision about each replica whose volume is gone, by name.
        refusal: how owner and epoch on the volumes refuse the run, if they do.
        left_behind: what the jobs of other guests left on volumes of the source, and may go after the proof.
        former_keeps: as in `replicator.replication.context.RunContext`.
    """

    job: Job
    way: Direction
    synced: Synced
    discovered: Discovered
    tokens: Mapping[Volume, int | ZsrError | None]
    bookmarks: bool
    programs: bool
    may_snapshot_first: bool
    now: float
    vanished: Mapping[str, ReplicaPermit | KeepAside | Stays] = field(default_factory=dict)
    refusal: Refusal | None = None
    left_behind: Sequence[LeftBehind] = ()
    former_keeps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The decisions of a run.

    Attributes:
        pairs: the volumes as they will be when the plan is made: half-received states are resumed or dropped.
        resumes: what is done with the half-received states, by volume.
        before: the plan of a run that looks at everything first, with which it destroys what failed runs left; None for
            a run that takes its snapshot first.
        known: the record of the job's sets then; ``sets`` is the record when the new one is proven.
        unchanged: nothing was written; no snapshot is taken and nothing is sent.
        plan: what is done with each volume.
        new: the name of the set that is proven at the end.
        done: the volumes when that set is on the target.
    """

    pairs: tuple[VolumePair, ...]
    resumes: Mapping[Volume, Resume]
    before: Plan | None
    known: KnownSets
    sets: KnownSets
    unchanged: bool
    plan: Plan
    new: str
    done: tuple[VolumePair, ...]

    @property
    def actions(self) -> Mapping[Volume, Full | Incremental | Conflict]:
        """What is done with each volume."""
        return {each.pair.volume: each for each in (*self.plan.actions, *self.plan.conflicts)}


def foresee(facts: Facts) -> Foreseen:
    """Return the decisions that a run would make."""
    found, synced = facts.discovered, facts.synced
    if facts.refusal is not None:
        return _refused(facts, facts.refusal)
    if not (facts.may_snapshot_first and is_as_remembered(facts.way, found.volumes, synced.last_set)):
        return _look_first(facts)
    proven = snapshot_name(facts.job.id, synced.last_set or 0)
    unchanged = is_unchanged(facts.way, found.volumes, synced.last_set)
    nothing = Plan((), (), found.orphans)  # a run that finds nothing written makes no plan
    foreseen = Foreseen(found.volumes, {}, None, synced.sets, synced.sets, unchanged, nothing, proven, found.volumes)
    return foreseen if unchanged else _with_snapshot(facts, foreseen, synced, [])


def _refused(facts: Facts, refusal: Refusal) -> Foreseen:
    """Foresee a run that owner and epoch refuse: each volume is in conflict, and nothing is done."""
    found, sets = facts.discovered, facts.synced.sets
    plan = _plan(facts, sets, found.volumes, ())
    if not (refusal.disputed and plan.conflicts):
        plan = Plan((), tuple(Conflict(pair, refusal.error) for pair in found.volumes), found.orphans)
    proven = snapshot_name(facts.job.id, facts.synced.last_set or 0)
    return Foreseen(found.volumes, {}, None, sets, sets, False, plan, proven, found.volumes)


def _look_first(facts: Facts) -> Foreseen:
    """Foresee a run in doubt; the content of the target may change the record, before the run plans again."""
    diverged = facts.discovered.diverged
    pairs, resumes, refused = _after_resumes(facts)
    plan = _plan(facts, facts.synced.sets, pairs, refused)
    claim = claim_of(facts.way, facts.synced, plan.actions, diverged, facts.now)
    proven = snapshot_name(facts.job.id, claim.last_set or 0)
    unchanged = is_unchanged(facts.way, pairs, claim.last_set)
    foreseen = Foreseen(pairs, resumes, plan, claim.sets, claim.sets, unchanged, plan, proven, pairs)
    return foreseen if unchanged or plan.conflicts else _with_snapshot(facts, foreseen, claim, refused)


def _with_snapshot(facts: Facts, foreseen: Foreseen, synced: Synced, refused: Sequence[Conflict]) -> Foreseen:
    """Foresee the plan that a run makes with its new snapshot, and the volumes when that is on the target."""
    set_time = new_set_time(facts.job.id, foreseen.pairs, synced, facts.now)
    new = snapshot_name(facts.job.id, set_time)
    taken = with_taken(synced, set_time).sets
    plan = _plan(facts, taken, _as_listed_then(facts, foreseen.pairs), refused)
    done = (arrived(_with_new(action, new, set_time), new, facts.job.snapshots) for action in plan.actions)
    return replace(foreseen, sets=taken, plan=plan, new=new, done=tuple(done))


def _as_listed_then(facts: Facts, pairs: Sequence[VolumePair]) -> Sequence[VolumePair]:
    """Return the volumes as the run lists them with its snapshot: without bookmarks, unless it needs them."""
    without = [replace(pair, source=replace(pair.source, bookmarks=())) for pair in pairs]
    return pairs if not facts.programs or any(needs_bookmarks(pair) for pair in without) else without


def _plan(facts: Facts, known: KnownSets, pairs: Sequence[VolumePair], refused: Sequence[Conflict]) -> Plan:
    found = facts.discovered
    way = replace(facts.way, known=known)
    plan = giving_way(way, make_plan(way, pairs, found.orphans, found.diverged))
    return _with_refusals(facts.job, plan, refused)


def _with_refusals(job: Job, plan: Plan, refused: Sequence[Conflict]) -> Plan:
    """Return the plan with the conflicts that a run finds later: of encryption, and of half-received states."""
    conflicts = {conflict.pair.volume: conflict for conflict in (*plan.conflicts, *refused)}
    for action in plan.actions:
        try:
            check_keys(job, action)
        except ZsrError as error:
            conflicts.setdefault(action.pair.volume, Conflict(action.pair, error))
    left = tuple(action for action in plan.actions if action.pair.volume not in conflicts)
    return replace(plan, actions=left, conflicts=tuple(conflicts.values()))


def _after_resumes(facts: Facts) -> tuple[tuple[VolumePair, ...], dict[Volume, Resume], list[Conflict]]:
    """Return the volumes after half-received states were resumed or dropped, what was done, and the refusals."""
    volumes = facts.discovered.volumes
    if not facts.tokens:
        return volumes, {}, []
    try:
        refuse_foreign(facts.way, volumes)
    except ZsrError:  # nothing is resumed; the plan has the same conflict
        return volumes, {}, []
    after: list[VolumePair] = []
    resumes: dict[Volume, Resume] = {}
    refused: list[Conflict] = []
    for pair in volumes:
        if pair.volume not in facts.tokens:
            after.append(pair)
            continue
        try:
            token, resume = _resume(facts, pair)
        except ZsrError as error:
            refused.append(Conflict(pair, error))
            after.append(pair)
            continue
        resumes[pair.volume] = resume
        after.append(_resumed(facts, pair, token) if resume.resumed else _dropped(pair))
    return tuple(after), resumes, refused


def _resume(facts: Facts, pair: VolumePair) -> tuple[ResumeToken, Resume]:
    """Return the token of a half-received state, and what is done with the state.

    Raises:
        ZsrError: the state stays, and the run fails.
    """
    token, useless = examine(facts.job, pair, facts.way.target)
    left = facts.tokens[pair.volume]
    if isinstance(left, ZsrError):
        if useless is None and not base_is_gone(token, pair, left):
            raise left
        left, useless = None, useless or BASE_GONE
    return token, Resume(token.to_name, left, useless)


def _resumed(facts: Facts, pair: VolumePair, token: ResumeToken) -> VolumePair:
    """Return a volume whose half-received snapshot is whole."""
    replica, sent = pair.target, pair.source.by_guid(token.to_guid)
    if replica is None or sent is None:
        return pair
    newest = max((each.createtxg for each in replica.snapshots), default=0)
    first = not replica.snapshots
    return replace(
        pair,
        target=replace(
            replica,
            token=None,
            snapshots=(*replica.snapshots, replace(sent, createtxg=newest + 1)),
            job=replica.job or str(facts.job.id),
            source=replica.source or facts.way.source,
            written=0 if first else replica.written,
            encryption_root=replica.name if first and token.raw else replica.encryption_root,
        ),
    )


def _dropped(pair: VolumePair) -> VolumePair:
    """Return a volume without its half-received state: a replica that has no snapshot goes with it."""
    if pair.target is None or not pair.target.snapshots:
        return replace(pair, target=None)
    return replace(pair, target=replace(pair.target, token=None))


def _with_new(action: Full | Incremental, name: str, at: int) -> Full | Incremental:
    """Return an action whose volume has the new snapshot."""
    source = action.pair.source
    newest = max((each.createtxg for each in source.snapshots), default=0)
    new = Snapshot(name, 0, newest + 1, at, source.written)
    taken = replace(source, snapshots=(*source.snapshots, new), written=0)
    return replace(action, pair=replace(action.pair, source=taken))
