"""What must hold after the last disturbance: a job is well within two runs, or says an expected reason. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tests.lab.fuzz.ledger import Ran
from tests.lab.fuzz.volumes import Pair, dataset_of

MOST_BOOKMARKS = 17


def expected(ran: Ran) -> set[str]:
    """The classes with which a job may go on failing, since a person has to do something."""
    guest = ran.configuration.guest(ran.node, ran.job.guest)
    if guest is None:
        return {"config"}
    found = ran.pairs()
    classes = {"hook"} if guest.hooks in ("thaw fails", "freeze must not fail") else set()
    listed = [f"{each.storage}:{each.name}" for each in guest.volumes] if guest.listed else []
    wanted = [dataset_of(ran.configuration, ran.node, each) for each in listed if each not in guest.excluded]
    if not found or any(name not in ran.before.names for name in wanted):
        classes.add("config")
    for pair in found:
        classes |= _of_volume(ran, pair)
    return classes


def _of_volume(ran: Ran, pair: Pair) -> set[str]:
    replica = ran.before.names.get(pair.replica)
    if replica is None:
        return {"target_active"} if _has_active_replica(ran) else set()
    classes = set()
    if (replica.job, replica.source) != (ran.job.id, ran.node) or replica.mounted or not replica.readonly:
        classes.add("target_active")
    if ran.before.datasets(pair.replica):
        classes.add("target_active")
    if ran.job.encryption != "decrypted" and pair.source.root != "-" and replica.root == "-":
        classes.add("encryption")
    return classes


def _has_active_replica(ran: Ran) -> bool:
    return any(
        entry.place == ran.job.target and entry.job == ran.job.id and (entry.mounted or not entry.readonly)
        for entry in ran.before.datasets()
    )


def stuck(ran: Ran) -> Iterator[str]:
    """A second run after the last disturbance succeeds, or fails with a class that is expected, and says what to do."""
    if not ran.well and ran.said.error_class not in expected(ran):
        said = ran.said
        yield f"{ran.key} still fails with {said.error_class or 'no class'}: {said.message or said.words[-300:]}"


def left_over(ran: Ran, *, forgot: bool = False) -> Iterator[str]:
    """After a success nothing of zsr's is left that no run needs; one that ``forgot`` keeps what it does not know."""
    if not ran.well:
        return
    prefix = f"__replicate_{ran.job.id}_"
    for pair in ran.pairs():
        parts = [part for part in ran.after.parts.get(pair.source.name, []) if part.short.startswith(prefix)]
        cloned = {entry.origin for entry in ran.after.datasets()}
        snapshots = [part.name for part in parts if part.kind == "snapshot" and part.name not in cloned]
        if len(snapshots) > 1 and pair.source.origin == "-" and not forgot:
            yield f"{ran.key} leaves {snapshots}"
        if len(parts) - len(snapshots) > MOST_BOOKMARKS:
            yield f"{ran.key} leaves {len(parts) - len(snapshots)} bookmarks of {pair.source.name}"
        if (replica := ran.after.names.get(pair.replica)) is not None and replica.token != "-":
            yield f"{ran.key} leaves a half-received state of {pair.replica}"
