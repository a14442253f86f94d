"""The laws of replication, asked after everything that zsr did (docs/reliability.md, contract: Destruction). Pure.

Each takes what happened and the ledger as it was before, and says what does not hold. `Holds` reads bytes on the node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.lab.fuzz.ledger import Ledger, Line, Moment, Point, Ran, Written, seconds_of
from tests.lab.fuzz.listing import ASIDE, Entry

OURS = "__replicate_"
ADOPTED = "zsr-adopted_"
KNOWS = ("transfer", "prove")
"""The steps at which a run has lowered last sync to what the target has."""

SLACK = 60.0
"""Seconds that a run may be apart from the moment at which the ledger looked."""

Read = Callable[[Entry], str]
"""The checksum of what a snapshot on a target holds, read there."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold, and why."""

    law: str
    why: str

    def __str__(self) -> str:
        return f"{self.law}: {self.why}"


def ours(ran: Ran, ledger: Ledger) -> Iterator[str]:
    """Only what this zsr made or brought is destroyed by it, and never what another zsr did."""
    for entry in ran.gone:
        if entry.identity in ledger.theirs:
            yield f"{entry.name} ({entry.guid}) was made by others, and is gone"
        elif (by := ledger.brought.get(entry.identity)) != ran.node:
            yield f"{entry.name} ({entry.guid}) was made by {by}, and is gone after a run of {ran.node}"


def snapshots_of_others(ran: Ran, ledger: Ledger) -> Iterator[str]:
    """A snapshot of others that travelled stays on its replica as long as the source has it.

    With ``foreign = "keep"`` it stays after that too, but for sets of other jobs and adopted ones, which go as those of
    this job do.
    """
    for entry in ran.gone:
        others = entry.short.startswith(f"{OURS}{ran.job.guest}-") or not entry.short.startswith(OURS)
        if entry.kind != "snapshot" or entry.place != ran.job.target or not others:
            continue
        if entry.short.startswith(f"{OURS}{ran.job.id}_"):
            continue
        dataset = ran.before.names[entry.dataset]
        if dataset.identity not in ran.after.identities:
            continue
        if ran.after.has(ran.node, entry.guid):
            yield f"{entry.name} is gone, and {ran.node} still has it"
        elif ran.job.foreign == "keep" and not entry.short.startswith((OURS, ADOPTED)):
            yield f"{entry.name} is gone, and the job keeps snapshots of others"


def proven_stays(ran: Ran, ledger: Ledger) -> Iterator[str]:
    """What is proven stays on both sides, until something newer is proven; and as many restore points as promised."""
    after = ledger.points_after(ran) if ran.order in ("run", "die") else ledger.points
    keep = int(ran.job.keep) if ran.job.keep.isdecimal() else 1
    for line, points in after.items():
        node, place, volume = line
        mine = node == ran.node and place == ran.job.target
        # a run that died, or failed while it tidied, may have proven a newer set
        proven = [point.guid for point in (points[-keep:] if mine else points) if point.proven]
        excused = ran.order == "delete" and mine
        for point in proven:
            if excused or ran.after.has(place, point) or (mine and _is_of_the_future(ran, place, point, proven[-1])):
                continue
            if not _was_graced(ran, ledger, place, point):
                yield f"{_name_of(ran, place, point)} was proven on {place} for {node}, and is gone"
        source = ran.after.identities.get((node, "", volume))
        needed = bool(proven) and ran.after.has(place, proven[-1]) and not excused
        if (
            needed
            and source is not None
            and _had_base(ran, line, proven[-1])
            and not _left_for(ran, source, line, points)
        ):
            parts = {part.guid for part in ran.after.parts.get(source.name, [])}
            if parts.isdisjoint(point.guid for point in points):
                yield f"{source.name} has nothing in common any more with what was proven on {place}"


def _is_of_the_future(ran: Ran, place: str, point: str, newest: str) -> bool:
    """Whether a wrong clock named a point that is not the newest: of several, that one goes first."""
    entry = ran.before.identities.get((place, "", point))
    named = entry.short.strip("_").rpartition("_")[2] if entry is not None else ""
    return point != newest and named.isdecimal() and int(named) > ran.said.began


def _had_base(ran: Ran, line: Line, point: str) -> bool:
    """Whether the source had the newest proven snapshot, or a bookmark of it, before."""
    return any(entry.guid == point and entry.place == line[0] for entry in ran.before.entries)


def _left_for(ran: Ran, source: Entry, line: Line, points: Sequence[Point]) -> bool:
    """Whether the run's guest has the volume now, and no job with that target; another guest's job proved it there."""
    node, place, _ = line
    mine = {pair.source.guid for pair in ran.pairs()}
    names = [ran.before.identities[place, "", each.guid].short for each in points if ran.before.has(place, each.guid)]
    others = [name for name in names if not name.startswith(f"{OURS}{ran.job.guest}-")]
    goes_on = any(job.guest == ran.job.guest and job.target == place for job in ran.configuration.of(node)[1])
    return ran.well and source.guid in mine and others == names and not goes_on


def _name_of(ran: Ran, place: str, guid: str) -> str:
    entry = ran.before.identities.get((place, "", guid))
    return f"snapshot {guid}" if entry is None else f"{entry.name} ({guid})"


def _was_graced(ran: Ran, ledger: Ledger, place: str, guid: str) -> bool:
    entry = ran.before.identities.get((place, "", guid))
    if entry is None or place != ran.job.target:
        return False
    dataset = ran.before.names[entry.dataset]
    if ASIDE in dataset.name:
        return True  # how long those stay is another law's question
    return dataset.identity not in ran.after.identities and _grace_is_over(ran, ledger, dataset)


def _grace_is_over(ran: Ran, ledger: Ledger, dataset: Entry) -> bool:
    grace = seconds_of(ran.job.grace)
    since = ledger.gone_since.get((ran.key, dataset.guid))
    return grace == 0 or (since is not None and ran.said.ended - since >= grace)


def only_copy(ran: Ran, ledger: Ledger) -> Iterator[str]:
    """A replica goes only when its job is deleted, or its grace is over; an aside only when it holds points alone."""
    for entry in ran.gone:
        if not entry.is_dataset or ran.order == "delete":
            continue
        if entry.place == ran.node and entry.place != ran.job.target:
            yield f"the dataset {entry.name} on the source is gone"
        elif not ran.before.snapshots(entry.name):
            continue  # a first transfer that was never whole
        elif ASIDE in entry.name:
            age = ran.said.ended - ledger.aside_since.get((entry.place, entry.guid), ran.said.ended)
            if age < seconds_of(ran.job.grace) - SLACK:
                yield f"{entry.name}, kept aside for {age:.0f} s, is gone, and the grace is {ran.job.grace or 'never'}"
        elif not _grace_is_over(ran, ledger, entry):
            yield f"{entry.name} is gone, and its grace ({ran.job.grace or 'never'}) is not over"


def written_stays(ran: Ran, ledger: Ledger) -> Iterator[str]:
    """A replica that was written to is never lost: it is still there, under this name or kept aside."""
    for (place, guid), written in ledger.written.items():
        entry = ran.after.identities.get((place, "", guid))
        if entry is None:
            yield f"{written.name} ({guid}) on {place} was written to, and is gone"
        elif not entry.written and not _has_newer(ran, ledger, entry, written):
            yield f"{written.name} on {place} was written to, and what was written is gone from {entry.name}"


def _has_newer(ran: Ran, ledger: Ledger, entry: Entry, written: Written) -> bool:
    """Whether others took a snapshot of it since, which may hold what was written."""
    newer = (each for each in ran.after.snapshots(entry.name) if each.guid not in written.snapshots)
    return any(each.identity in ledger.theirs for each in newer)


def success_is_true(ran: Ran, ledger: Ledger, read: Read) -> Iterator[str]:
    """After a success the target has, in one set, the very bytes that all the guest's volumes have."""
    if not ran.well or ran.order not in ("run", "die"):
        return
    found = ran.pairs()
    proven = ledger.whole_set(ran, found)
    if not found or not proven:
        missing = [pair.replica for pair in found if pair.replica not in ran.after.names]
        yield f"{ran.key} succeeded, and {ran.job.target} has no set of all volumes as they are; missing: {missing}"
        return
    for pair in found:
        entry = next(e for e in ran.after.snapshots(pair.replica) if e.guid == proven[pair.source.guid])
        if (there := read(entry)) != ledger.contents[entry.guid]:
            yield f"{entry.name} holds {there}, and its source held {ledger.contents[entry.guid]}"


def last_sync_is_true(ran: Ran, ledger: Ledger) -> Iterator[str]:
    """The target has what the volumes held at the moment that is claimed as last sync, or later."""
    claimed = ran.said.last_sync
    if claimed is None or ran.order not in ("run", "die") or ran.key in ledger.removing:
        return  # a job that is being removed promises nothing
    if (
        not ran.well
        and ledger.losses[ran.job.target] != ledger.known_losses.get(ran.key, 0)
        and ran.died_at not in KNOWS
    ):
        return  # a run that did not come to look, or met a conflict, may not know yet
    if claimed > ran.said.ended + 1:
        return  # the clock was set back since
    held = {ledger.contents.get(entry.guid) for entry in ran.after.entries if entry.place == ran.job.target}
    moments = [each for each in (*ledger.moments, Moment.of(ran, ledger.live)) if each.key == ran.key]
    first = next((at for at, each in enumerate(moments) if each.began <= claimed <= each.ended), None)
    if first is not None and not any(moment.digests <= held for moment in moments[first:]):
        yield f"{ran.key} claims {claimed:.0f} as last sync, and {ran.job.target} has not what was there then"


def sentence(ran: Ran, _: Ledger) -> Iterator[str]:
    """A failure has a class, a sentence and an advice, and is never an internal error."""
    if ran.well or ran.said.status < 0:
        return
    said = ran.said
    if "Traceback" in said.words or said.error_class == "internal":
        yield f"{ran.key} ended with an internal error: {said.message or said.words[-400:]}"
    elif not (said.words.strip() or said.error_class):
        yield f"{ran.key} failed with status {said.status} and without a word"
    elif said.error_class and not (said.message.strip() and (said.advice.strip() or said.error_class == "config")):
        yield f"{ran.key} failed with {said.error_class} and no sentence or advice: {said.message}"


def no_avoidable_full(ran: Ran, _: Ledger) -> Iterator[str]:
    """No volume is sent in full where its replica has a snapshot in common with it."""
    for pair in ran.pairs():
        replica = ran.before.names.get(pair.replica)
        if replica is None or pair.volume not in ran.said.fulls or replica.kind != pair.source.kind:
            continue
        marked = replica.job == ran.job.id and replica.source == ran.node and replica.readonly
        if marked and ran.before.common(_before(ran, pair.source), pair.replica):
            yield f"{pair.volume} was sent in full to {ran.job.target}, and both sides had a common snapshot"


def _before(ran: Ran, source: Entry) -> str:
    entry = ran.before.identities.get(source.identity)
    return "" if entry is None else entry.name


def all_laws(ran: Ran, ledger: Ledger, read: Read) -> list[Violation]:
    """Ask all laws; ``ledger`` does not know yet what happened."""
    plain = (ours, snapshots_of_others, proven_stays, only_copy, written_stays, last_sync_is_true, sentence,
             no_avoidable_full)  # fmt: skip
    found = [Violation(law.__name__.replace("_", " "), why) for law in plain for why in law(ran, ledger)]
    found += [Violation("success is true", why) for why in success_is_true(ran, ledger, read)]
    return found
