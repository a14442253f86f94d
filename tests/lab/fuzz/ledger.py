"""The fuzz's own bookkeeping: who made what, by node and GUID, where data were written, which sets are proven. No I/O.

Nothing here asks zsr. What appears while others act is theirs; what appears while zsr runs is zsr's; what a guest's
volume holds is known by its checksum from when it was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.lab.fuzz.configuration import Configuration, JobPlan
from tests.lab.fuzz.listing import ASIDE, Entry, World
from tests.lab.fuzz.volumes import Pair, pairs

Identity = tuple[str, str, str]
Line = tuple[str, str, str]
"""A volume's replication: the source node, the target node, and the GUID of the volume's dataset on the source."""

HOURS = 3600.0
_GRACES = {"0": 0.0, "1h": HOURS, "7d": 7 * 24 * HOURS}


def seconds_of(grace: str) -> float:
    """A job's grace in seconds; without one it is forever."""
    return _GRACES.get(grace, float("inf"))


@dataclass(frozen=True, slots=True)
class Said:
    """How a command of zsr ended, and what it says of the job after it.

    ``fulls`` are the volumes that were sent in full. A killed one has a negative ``status``.
    """

    status: int
    words: str
    error_class: str = ""
    message: str = ""
    advice: str = ""
    last_sync: float | None = None
    fulls: tuple[str, ...] = ()
    began: float = 0.0
    ended: float = 0.0
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ran:
    """Something that zsr did for a job: ``order`` is run, die, delete or adopt; ``died_at`` the step of a death."""

    node: str
    job: JobPlan
    order: str
    configuration: Configuration
    before: World
    after: World
    said: Said
    died_at: str = ""

    @property
    def well(self) -> bool:
        return self.said.status == 0

    @property
    def key(self) -> str:
        return f"{self.node}:{self.job.id}"

    @property
    def gone(self) -> list[Entry]:
        """What was there before, and is not there any more."""
        return [entry for identity, entry in self.before.identities.items() if identity not in self.after.identities]

    def pairs(self) -> list[Pair]:
        """The guest's volumes on the source, as they were when it ended."""
        return pairs(self.configuration, self.node, self.job, self.after)


@dataclass(frozen=True, slots=True)
class Written:
    """A replica that was written to: its name, and the GUIDs of the snapshots that it had then."""

    name: str
    snapshots: frozenset[str]


@dataclass(frozen=True, slots=True)
class Point:
    """A snapshot on a target that is of a whole set; ``proven`` by a run that succeeded.

    A run that died may have brought a whole set too. It counts as a restore point, and is promised to nobody.
    """

    guid: str
    proven: bool = True


@dataclass(frozen=True, slots=True)
class Moment:
    """What a guest's volumes held while a run of a job looked."""

    key: str
    began: float
    ended: float
    digests: frozenset[str]

    @classmethod
    def of(cls, ran: Ran, live: Mapping[str, str]) -> Moment:
        """What the volumes held during a run."""
        digests = frozenset(live.get(pair.source.name, "") for pair in ran.pairs())
        return cls(ran.key, ran.said.began - 1, ran.said.ended + 1, digests)


@dataclass
class Ledger:
    """What is known of all nodes.

    Attributes:
        theirs: what others made, with its name then.
        brought: what zsr made or brought, with the source whose zsr did it.
        contents: the checksum of each snapshot of a volume, by GUID.
        live: the checksum of what each volume holds now, by dataset.
        points: for each line the restore points on the target, oldest first: those that are proven have to be there.
        newest: the GUIDs of the set that each job proved last.
        written: replicas that were written to, by node and GUID of the dataset.
        moments: what was there when runs looked.
        gone_since: when a successful run of a job first saw that the volume of a replica was gone, by job and GUID.
        aside_since: when a dataset was first seen kept aside, by node and GUID.
        losses: how often others destroyed something on a node; ``known_losses``: at the last success of a job.
        removing: the jobs whose removal was ordered and is not done.
    """

    theirs: dict[Identity, str] = field(default_factory=dict)
    brought: dict[Identity, str] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)
    points: dict[Line, list[Point]] = field(default_factory=dict)
    newest: dict[str, frozenset[str]] = field(default_factory=dict)
    written: dict[tuple[str, str], Written] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    gone_since: dict[tuple[str, str], float] = field(default_factory=dict)
    aside_since: dict[tuple[str, str], float] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    known_losses: dict[str, int] = field(default_factory=dict)
    removing: set[str] = field(default_factory=set)

    def others_did(self, before: World, after: World) -> None:
        """Note what others made and destroyed."""
        gone = self._note(before, after)
        for identity in set(after.identities) - set(before.identities):
            self.theirs[identity] = after.identities[identity].name
        places = {entry.place for entry in gone if entry.kind != "bookmark"}
        self.losses.update(places)
        self._forget_points(after)

    def zsr_did(self, ran: Ran) -> None:
        """Note what zsr made, brought, destroyed and proved."""
        self._note(ran.before, ran.after)
        for identity in set(ran.after.identities) - set(ran.before.identities):
            self.brought[identity] = ran.node
        for entry in ran.after.datasets():
            if ASIDE in entry.name:
                self.aside_since.setdefault((entry.place, entry.guid), ran.said.began)
        if ran.order == "adopt" and ran.well:
            self._adopted(ran)
        if ran.order == "delete" and not ran.well:
            self.removing.add(ran.key)
        elif ran.order == "delete":
            self.removing.discard(ran.key)
        if ran.order in ("run", "die"):
            found = ran.pairs()
            self.moments.append(Moment.of(ran, self.live))
            self.points = self.points_after(ran)
            if ran.well:
                self.newest[ran.key] = frozenset(self.whole_set(ran, found).values())
                self.known_losses[ran.key] = self.losses[ran.job.target]
                self._saw_gone(ran, found)
        self._forget_points(ran.after)  # what has just been destroyed lawfully

    def _note(self, before: World, after: World) -> list[Entry]:
        gone = [entry for identity, entry in before.identities.items() if identity not in after.identities]
        for entry in gone:
            self.theirs.pop(entry.identity, None)
            self.brought.pop(entry.identity, None)
            self.written.pop((entry.place, entry.guid), None)
        self.saw(after)
        return gone

    def saw(self, world: World) -> None:
        """Note what new snapshots of volumes hold."""
        for entry in world.entries:
            if entry.kind == "snapshot" and entry.guid not in self.contents and entry.dataset in self.live:
                self.contents[entry.guid] = self.live[entry.dataset]

    def _forget_points(self, world: World) -> None:
        for (node, place, guid), points in self.points.items():
            self.points[node, place, guid] = [point for point in points if world.has(place, point.guid)]

    def _adopted(self, ran: Ran) -> None:
        """What travelled to an adopted replica counts as brought, and what has the job's name on the source as made."""
        for entry in ran.after.entries:
            marked = ran.after.names.get(entry.dataset)
            named = entry.place == ran.node and entry.short.startswith(f"__replicate_{ran.job.id}_")
            replica = entry.place == ran.job.target and marked is not None and marked.job == ran.job.id
            if named or replica:
                travelled = entry.is_dataset or ran.after.has(ran.node, entry.guid)
                if self.theirs.get(entry.identity) is not None and travelled:
                    del self.theirs[entry.identity]
                    self.brought[entry.identity] = ran.node

    def points_after(self, ran: Ran) -> dict[Line, list[Point]]:
        """The points after a run: a success replaces those of its own volumes, as many as its ``keep`` has."""
        keep = int(ran.job.keep) if ran.job.keep.isdecimal() else 1
        found = dict(self.points)
        for volume, guid in self.whole_set(ran, ran.pairs()).items():
            line = (ran.node, ran.job.target, volume)
            before = found.get(line, [])
            if ran.well and not {point.guid for point in before} & self.newest.get(ran.key, frozenset()):
                before = []  # it was no part of the job's newest set: sets without it have taken its places
            if ran.well:
                found[line] = [*(point for point in before if point.guid != guid), Point(guid)][-keep:]
            elif all(point.guid != guid for point in before):
                found[line] = [*before, Point(guid, False)]
        return found

    def whole_set(self, ran: Ran, found: Iterable[Pair]) -> Mapping[str, str]:
        """The newest set by name that holds, on the target, what all volumes hold: GUIDs by the volumes' own GUIDs."""
        held: list[dict[str, str]] = []
        some = list(found)
        for pair in some:
            there = ran.after.snapshots(pair.replica)
            live = self.live.get(pair.source.name)
            held.append({each.short: each.guid for each in there if self.contents.get(each.guid) == live})
        common = set.intersection(*map(set, held)) if held else set()
        newest = [short for short in (held[0] if held else ()) if short in common]
        return {pair.source.guid: names[newest[-1]] for pair, names in zip(some, held, strict=True)} if newest else {}

    def _saw_gone(self, ran: Ran, found: Iterable[Pair]) -> None:
        replicas = {pair.replica for pair in found}
        for entry in ran.after.datasets():
            if entry.place == ran.job.target and entry.job == ran.job.id and entry.source == ran.node:
                if entry.name in replicas:
                    self.gone_since.pop((ran.key, entry.guid), None)
                else:
                    self.gone_since.setdefault((ran.key, entry.guid), ran.said.began)
