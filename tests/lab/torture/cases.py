"""Which faults are tried where: the matrix of kinds of run, their steps and faults, and a random walk over it. Pure.

The steps of each kind are not listed here: a dry run of the kind finds them, so a new step is tried too.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from replicator.replication.progress import Step


class Kind(StrEnum):
    """What the run does into which the fault comes."""

    FULL = "full"
    INCREMENTAL = "incremental"
    RESUME = "resume"
    ASIDE = "put aside"
    TREE = "put aside with a child"
    REMOVAL = "removal"


class Fault(StrEnum):
    """What happens to it."""

    KILL = "kill -9 of the daemon"
    POWER_SOURCE = "power cut of the source"
    POWER_TARGET = "power cut of the target"
    DROP = "network silent"
    RESET = "network reset"
    SSHD = "SSH server gone"
    TARGET_FULL = "target pool full"
    TARGET_QUOTA = "quota on the target"
    SOURCE_FULL = "source pool full"
    ABORTED = "receive aborted by hand"
    FOREIGN_HERE = "foreign snapshot on the source"
    FOREIGN_THERE = "foreign snapshot on the replica"
    OURS_GONE_HERE = "our snapshots destroyed on the source"
    OURS_GONE_THERE = "our snapshots destroyed on the replica"
    CLOCK_BACK = "clock set back an hour"


ANYWHERE = (
    Fault.KILL,
    Fault.POWER_SOURCE,
    Fault.POWER_TARGET,
    Fault.DROP,
    Fault.RESET,
    Fault.SSHD,
    Fault.FOREIGN_HERE,
    Fault.FOREIGN_THERE,
    Fault.OURS_GONE_HERE,
    Fault.OURS_GONE_THERE,
    Fault.CLOCK_BACK,
)
"""Faults that can come at the beginning of every step."""

AT_A_BYTE = (
    Fault.KILL,
    Fault.POWER_SOURCE,
    Fault.POWER_TARGET,
    Fault.DROP,
    Fault.RESET,
    Fault.SSHD,
    Fault.TARGET_FULL,
    Fault.TARGET_QUOTA,
)
"""Faults that come at a random byte of a transfer."""

_BYTE = "at a byte"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault comes: the nth beginning of a step in a kind of run, or (``at_byte``) somewhere in its transfer."""

    kind: Kind
    step: Step
    nth: int
    at_byte: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One fault. ``seed`` gives its random numbers; with the same matrix it gives place and fault too (`draw`)."""

    seed: int
    place: Place
    fault: Fault

    def __str__(self) -> str:
        place = self.place
        where = (str(self.seed), place.kind, place.step, str(place.nth), self.fault)
        return ", ".join((*where, _BYTE) if place.at_byte else where)

    @classmethod
    def parse(cls, text: str) -> Case:
        """The case that a string of one names; unlike a seed alone it means the same when the steps have changed.

        Raises:
            ValueError: it is not one.
        """
        seed, kind, step, nth, fault, *byte = (part.strip() for part in text.split(","))
        return cls(int(seed), Place(Kind(kind), Step(step), int(nth), at_byte=byte == [_BYTE]), Fault(fault))


_OF_A_RESEED = {Step.SWAP}
"""What only ``zsr reseed`` does; tests/zfs/test_reseed.py kills it at each step."""


def places(passed: Mapping[Kind, Sequence[Step]]) -> list[Place]:
    """Every place of the matrix, given the steps that a run of each kind passes, as often as it passes them."""
    found = []
    for kind, steps in passed.items():
        seen: Counter[Step] = Counter()
        for step in steps:
            seen[step] += 1
            found.append(Place(kind, step, seen[step]))
            if step in (Step.TRANSFER, Step.RESUME):
                found.append(Place(kind, step, seen[step], at_byte=True))
    return found


def forgotten(passed: Mapping[Kind, Sequence[Step]]) -> set[Step]:
    """The steps that no kind of run passes: a hole in the matrix."""
    return set(Step) - _OF_A_RESEED - {step for steps in passed.values() for step in steps}


def faults(place: Place) -> tuple[Fault, ...]:
    """The faults that make sense at a place."""
    if place.at_byte:
        return AT_A_BYTE
    more: tuple[Fault, ...] = ()
    if place.step is Step.SNAPSHOT:
        more += (Fault.SOURCE_FULL,)
    if place.kind is Kind.RESUME:
        more += (Fault.ABORTED,)
    return ANYWHERE + more


def draw(seed: int, matrix: Sequence[Place]) -> Case:
    """The case of a seed. Seeds that follow each other go through all cells of the table, in an order by dice.

    A byte of a transfer is three cells, for there is more than one such place.
    """
    cells = sorted({(_column(place), fault) for place in matrix for fault in faults(place)})
    cells += 2 * [cell for cell in cells if cell[0] == _BYTE]
    turn, number = divmod(seed, len(cells))
    random.Random(f"turn {turn}").shuffle(cells)
    column, fault = cells[number]
    there = [place for place in matrix if _column(place) == column and fault in faults(place)]
    return Case(seed, random.Random(f"seed {seed}").choice(there), fault)


def table(cases: Iterable[Case]) -> str:
    """How often each fault was tried at each step, as a table in Markdown."""
    counts = Counter((case.fault, _column(case.place)) for case in cases)
    columns = [column for column in (*(_column(Place(Kind.FULL, step, 1)) for step in Step), _BYTE)
               if any(key[1] == column for key in counts)]  # fmt: skip
    lines = [f"| fault | {' | '.join(columns)} | all |", "|---|" + "---:|" * (len(columns) + 1)]
    for fault in Fault:
        numbers = [counts[fault, column] for column in columns]
        if sum(numbers):
            lines.append(f"| {fault} | {' | '.join(str(n or '') for n in numbers)} | {sum(numbers)} |")
    totals = [sum(counts[fault, column] for fault in Fault) for column in columns]
    lines.append(f"| **all** | {' | '.join(map(str, totals))} | {sum(totals)} |")
    return "\n".join(lines)


def _column(place: Place) -> str:
    return _BYTE if place.at_byte else str(place.step)
