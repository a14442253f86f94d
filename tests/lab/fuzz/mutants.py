"""``python -m tests.lab.fuzz.mutants [LAW...]``: the laws of the fuzz notice what they are there for.

Each mutant is one change of the decisions of zsr that breaks a law. Drawn cases are played with a copy of the sources
that has it, until the law is broken: in memory, and with LAB=1 then on a node of the lab, where the case that broke it
in memory is the first. Settings (environment): SEED, STEPS (the most for a mutant). What was found is printed as a
table for docs/reliability.md.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.fuzz.campaign import Driver, Outcome
from tests.lab.lab import Lab

ROOT = Path(__file__).parents[3]
_PLACE = "/run/fuzz-mutant"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A text of one file of zsr, and the one that takes its place.

    Attributes:
        law: the one that it should break.
        what: the wrong decision.
        file, old, new: the change.
        also: a file and the two texts of a last look, which would refuse what was decided.
    """

    law: str
    what: str
    file: str
    old: str
    new: str
    also: tuple[str, str, str] | None = None

    def applied(self, root: Path = ROOT) -> dict[str, str]:
        """The changed files.

        Raises:
            ValueError: a text is not there exactly once.
        """
        changed: dict[str, str] = {}
        for file, old, new in ((self.file, self.old, self.new), *([self.also] if self.also else [])):
            text = changed.get(file) or (root / file).read_text()
            if text.count(old) != 1:
                raise ValueError(f"{file} has {text.count(old)} times: {old}")
            changed[file] = text.replace(old, new)
        return changed


_DECISIONS = "replicator/replication/destruction.py"
_PLAN = "replicator/replication/plan.py"
_RUN = "replicator/replication/run.py"
_SETS = "replicator/replication/snapshot_sets.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "ours",
        "what others made on a replica counts as brought",
        _DECISIONS,
        "if s.name == new or is_brought(way, source, s)])",
        "if s.name == new or True])",
    ),
    Mutant(
        "ours",
        "what others took with a name of ours counts as ours",
        _DECISIONS,
        "        and is_made(way, dataset, snapshot)\n        and (not dataset",
        "        and (not dataset",
    ),
    Mutant(
        "ours",
        "a removal destroys a replica with snapshots of others",
        _DECISIONS,
        "if snapshot.job != way.job and (snapshot.made_here or is_newer):",
        "if False:",
    ),
    Mutant(
        "snapshots of others",
        "what travelled is stale at once",
        _DECISIONS,
        "    return snapshot.guid not in here\n",
        "    return snapshot.name.startswith('__') or True\n",
    ),
    Mutant(
        "snapshots of others",
        "what travelled with other volumes than the first is stale",
        _DECISIONS,
        "    here = {each.guid for source, _ in volumes for each in source.snapshots}  #",
        "    here = {each.guid for source, _ in volumes[:1] for each in source.snapshots}  #",
    ),
    Mutant(
        "snapshots of others",
        "a job that keeps snapshots of others mirrors them",
        "replicator/replication/gone_snapshots.py",
        "    if job.foreign is not Foreign.MIRROR:\n",
        "    if False:\n",
    ),
    Mutant(
        "proven stays",
        "all restore points but the newest are stale",
        _DECISIONS,
        "    stale = keep.stale(sorted(own.keys() - never), now) | never\n",
        "    stale = set(own)\n",
    ),
    Mutant(
        "proven stays",
        "proven sets of a replica count as unproven",
        _DECISIONS,
        "    stale = [s for s in sets.values() if s.name != base and is_unproven(s, way.known)]\n",
        "    stale = list(sets.values())[:-1]\n",
    ),
    Mutant(
        "proven stays",
        "restore points are rolled back",
        _DECISIONS,
        "    ours = all(snapshot.job == way.job and is_unproven(snapshot, way.known) for snapshot in newer)\n",
        "    ours = all(snapshot.job == way.job for snapshot in newer)\n",
    ),
    Mutant(
        "only copy",
        "a grace is over at once",
        "replicator/schedule/grace.py",
        "    return announced and left(seen, terms) <= 0\n",
        "    return True\n",
    ),
    Mutant(
        "only copy",
        "any time between two runs is a whole grace",
        "replicator/schedule/grace.py",
        "return min(max(passed, 0.0), _most_counted(terms))",
        "return terms.grace",
    ),
    Mutant(
        "only copy",
        "asides with restore points go at once",
        _DECISIONS,
        "    over = waited is not None and waited >= grace\n",
        "    over = True\n",
    ),
    Mutant(
        "written stays",
        "what was written to a replica is rolled back",
        _DECISIONS,
        "if target.written or not ours or not is_marked(way, target):",
        "if not ours or not is_marked(way, target):",
        ("replicator/zfs/client.py", "base.name != to.name or found.written or any(", "base.name != to.name or any("),
    ),
    Mutant(
        "written stays",
        "a removal destroys what was written",
        _DECISIONS,
        "    if replica.written and (replica.snapshots or replica.token is None):",
        "    if False:",
        ("replicator/zfs/replica_checks.py", '[0] != "on" or written):', '[0] != "on"):'),
    ),
    Mutant(
        "written stays",
        "an aside goes whatever it holds",
        _DECISIONS,
        "    if aside.holds is None:\n",
        "    if aside.holds is not Holds.POINTS:\n",
    ),
    Mutant(
        "success is true",
        "a written volume counts as unchanged",
        _SETS,
        "    return bool(replicas) and all(\n        is_marked",
        "    return bool(replicas) or all(\n        is_marked",
    ),
    Mutant(
        "success is true",
        "zvols are not found",
        "replicator/zfs/dataset_names.py",
        '_KINDS = ("vm", "subvol", "base", "basevol")',
        '_KINDS = ("subvol", "base", "basevol")',
    ),
    Mutant(
        "success is true",
        "volumes of other storages than the first are not found",
        "replicator/replication/discovery.py",
        "    for storage in usable:\n",
        "    for storage in usable[:1]:\n",
    ),
    Mutant(
        "last sync is true",
        "a lost set is still claimed",
        _SETS,
        "        return replace(remembered, last_sync=None, last_set=None)\n    claim",
        "        return remembered\n    claim",
    ),
    Mutant(
        "last sync is true",
        "what is there is claimed as of a minute later",
        _SETS,
        "last_sync=float(held) if claim is None else claim, last_set",
        "last_sync=60.0 + held, last_set",
    ),
    Mutant(
        "last sync is true",
        "a set is claimed before it is sent",
        _RUN,
        "        await self._note_sent(plan, snapshot.name)\n",
        "        await self._remember(replace(self._synced, last_sync=self._clock()))\n"
        "        await self._note_sent(plan, snapshot.name)\n",
    ),
    Mutant(
        "sentence",
        "a conflict is an unexpected exception",
        _RUN,
        "            raise plan.conflicts[0].error\n",
        "            raise KeyError(plan.conflicts[0])\n",
    ),
    Mutant(
        "sentence",
        "errors have no advice",
        "replicator/errors.py",
        "        self.advice = shortened(displayable(advice), LONGEST_SENTENCE) or self.default_advice\n",
        '        self.advice = ""\n',
    ),
    Mutant(
        "sentence",
        "errors have no sentence",
        "replicator/errors.py",
        "        self.what = what\n",
        '        self.what = ""\n',
    ),
    Mutant(
        "no avoidable full",
        "a replica that was written to is no base",
        _PLAN,
        "    if base is not None:\n        return _onto_base(way, pair, target, base)\n",
        "    if base is not None and not target.written:\n        return _onto_base(way, pair, target, base)\n",
    ),
    Mutant(
        "no avoidable full",
        "bookmarks are no base",
        _PLAN,
        "    common += [each for each in source.bookmarks if",
        "    common += [each for each in source.bookmarks if False and",
    ),
    Mutant(
        "no avoidable full",
        "only sets of zsr are a base",
        _PLAN,
        "[each for each in source.snapshots if target.by_guid(each.guid) is not None]",
        "[each for each in source.snapshots if each.job is not None and target.by_guid(each.guid) is not None]",
    ),
    Mutant(
        "stuck",
        "the oldest common snapshot is the base",
        _PLAN,
        "    return max(common, key=",
        "    return min(common, key=",
    ),
    Mutant(
        "stuck",
        "a volume of the plan is forgotten",
        _PLAN,
        "_marked_early(way, action)) for action in planned if not isinstance(action, Conflict)]",
        "_marked_early(way, action)) for action in planned[:2] if not isinstance(action, Conflict)]",
    ),
    Mutant(
        "stuck",
        "newer snapshots of a replica are not put aside",
        _PLAN,
        "    if permit is None:\n",
        "    if permit is None and target.written:\n",
    ),
    Mutant(
        "left over",
        "older sets stay on the source",
        "replicator/replication/verification.py",
        "            await attempt(self._prune_source(pool, some), self._log)\n",
        "            self._log('info', f'{pool} {len(some)}')\n",
    ),
    Mutant(
        "left over",
        "sets that were never whole stay",
        _RUN,
        "        gone = await destroy_unproven(self._direction(), plan, self._source, self._target, self._log)\n",
        "        gone: set[int] = set()\n",
    ),
    Mutant(
        "left over",
        "half-received states are not resumed",
        _RUN,
        "            await half.resume_all(discovered.volumes)\n",
        "",
    ),
    Mutant(
        "thawed",
        "the thaw hook is forgotten",
        "replicator/replication/hooks.py",
        "        await finish_despite_cancel(hooks.end())\n",
        "        await finish_despite_cancel(asyncio.sleep(0))\n",
    ),
    Mutant(
        "thawed",
        "a guest that failed to freeze is not thawed",
        "replicator/replication/hooks.py",
        "        if self.guest.thaw is None:\n            return\n",
        "        if self.guest.thaw is None or self.freeze_failed:\n            return\n",
    ),
    Mutant(
        "thawed",
        "guests that a killed run left frozen are forgotten",
        "replicator/daemon/one_shot.py",
        "        await thaws.thaw_all()\n",
        "",
    ),
)
"""Three for each law."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a mutant fared: the case in which its law was broken (None: it survived), its seed, and the steps played."""

    outcome: Outcome | None
    seed: int
    steps: int


def try_on_lab(lab: Lab, mutant: Mutant, found: Trial, most: int) -> Trial:
    """Play the case that broke a mutant's law in memory, then drawn ones, until the law is broken on a node."""
    node = lab.node(1)
    node.run(f"rm -rf {_PLACE}; mkdir -p {_PLACE}; cp -r /opt/zsr/replicator {_PLACE}/")
    for file, text in mutant.applied().items():
        node.write(f"{_PLACE}/{file}", text)
    return played(Driver.on(node, f"{_PLACE}:"), mutant, found.seed, most, found.outcome)


def try_in_memory(mutant: Mutant, seed: int, most: int) -> Trial:
    """The same in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        shutil.copytree(ROOT / "replicator", Path(folder) / "replicator", ignore=shutil.ignore_patterns("__pycache__"))
        for file, text in mutant.applied().items():
            (Path(folder) / file).write_text(text)
        return played(Driver.in_memory(Path(folder) / "fuzz", f"{folder}:"), mutant, seed, most)


def played(driver: Driver, mutant: Mutant, seed: int, most: int, first: Outcome | None = None) -> Trial:
    """Play case after case until the mutant's law is broken; ``first``: a case that was seen to break it elsewhere."""
    steps = 0
    try:
        if first is not None:
            outcome = driver.play(first.configuration, first.steps)
            steps += len(outcome.steps)
            if mutant.law in outcome.laws:
                return Trial(outcome, seed, steps)
        while steps < most:
            outcome = driver.draw(seed, 24)
            steps += len(outcome.steps)
            if mutant.law in outcome.laws:
                return Trial(outcome, seed, steps)
            seed += 1
    finally:
        driver.end()
    return Trial(None, seed, steps)


def main(laws: Sequence[str]) -> int:
    """Try the mutants of these laws, or all; exit status 1 if one survives."""
    seed, most = int(os.environ.get("SEED") or "1"), int(os.environ.get("STEPS") or "600")
    survivors = 0
    lab, on_lab = Lab(f"zsr-fuzz-{os.getpid()}"), bool(os.environ.get("LAB"))
    try:
        if on_lab:
            lab.up(1)
        for mutant in MUTANTS:
            if laws and mutant.law not in laws:
                continue
            trial = try_in_memory(mutant, seed, most)
            if on_lab:
                trial = try_on_lab(lab, mutant, trial, most)
            survivors += trial.outcome is None
            noticed = "SURVIVES" if trial.outcome is None else ", ".join(sorted(trial.outcome.laws))
            sys.stdout.write(f"| {mutant.law} | {mutant.what} | {noticed} | {trial.steps} |\n")
            sys.stdout.flush()
    finally:
        if on_lab:
            lab.down()
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
