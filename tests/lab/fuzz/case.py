"""One case: a configuration and steps, played on the node, and the laws asked after everything that zsr does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.lab.fuzz import calm, laws, zsr
from tests.lab.fuzz.acts import Stage, act, create_homes, create_volumes
from tests.lab.fuzz.configuration import Configuration, frozen_mark
from tests.lab.fuzz.laws import Violation
from tests.lab.fuzz.ledger import Ledger, Ran, Said, Written
from tests.lab.fuzz.listing import Entry
from tests.lab.fuzz.machine import ActFailedError
from tests.lab.fuzz.played_on import Machine
from tests.lab.fuzz.steps import Scene, Step, draw_step, resolved

SECONDS_BETWEEN = 61
"""By which the clock goes on before each run."""

FIRST_COPIES = 0.7
"""How often a case begins with a run of each job."""


@dataclass
class Played:
    """How a case went: the steps that were done, what zsr said, and the laws that were broken by the last one."""

    steps: list[Step] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)


class Case:
    """A configuration on the node, and what the ledger knows of it."""

    def __init__(self, machine: Machine, configuration: Configuration) -> None:
        self._machine = machine
        self.played = Played()
        self._configuration = configuration
        self._ledger = Ledger()
        self._seed = 1000
        self._read: dict[tuple[str, str], str] = {}
        machine.clear()
        create_homes(machine, configuration)
        before = self._machine.look()
        for dataset in create_volumes(machine, configuration):
            self._ledger.live[dataset] = ""
        self.world = self._machine.look()
        self._refresh({entry.name for entry in self.world.entries})
        self._ledger.others_did(before, self.world)
        zsr.write_files(configuration)

    # --- playing

    def play(self, steps: Iterator[Step]) -> Played:
        """Do the steps until a law is broken, then let it calm down."""
        for step in steps:
            self.played.steps.append(step)
            self.do(step)
            if self.played.violations:
                return self.played
        self._calm()
        return self.played

    def drawn(self, dice: random.Random, count: int) -> Iterator[Step]:
        """Steps drawn from what is there, adoptions and first copies before them."""
        for node in self._configuration.sources():
            for job in self._configuration.of(node)[1]:
                if job.adopted:
                    yield Step("by tool", f"{node}:{job.id}", job.adopted)
                    yield Step("adopt", f"{node}:{job.id}")
        if dice.random() < FIRST_COPIES:
            yield from (Step("run", f"{node}:{job.id}") for node, job in self._scene(dice).jobs())
        for _ in range(count):
            yield draw_step(self._scene(dice))

    def _scene(self, dice: random.Random) -> Scene:
        return Scene(dice, self.world, self._configuration)

    def do(self, step: Step) -> None:
        """Do one step, and ask the laws if zsr had a part in it."""
        self._seed += 1
        step = replace(step, at=resolved(self.world, step.at))
        if step.is_run:
            self._ask(step)
            return
        try:
            self._configuration = act(step, Stage(self.world, self._configuration, self._seed, self._machine))
            said = ""
        except ActFailedError as error:
            said = f" ({error})"
        self.played.words.append(f"{step}{said}")
        before, self.world = self.world, self._machine.look()
        self._note_written(step)
        self._refresh({step.at.partition("@")[0], step.to.partition("@")[0]})
        self._ledger.others_did(before, self.world)
        zsr.write_files(self._configuration)

    def _note_written(self, step: Step) -> None:
        """A replica that others wrote to must stay."""
        entry = self.world.names.get(step.at)
        if step.act in ("activate", "scribble") and entry is not None and entry.written:
            self._ledger.written[entry.place, entry.guid] = Written(
                entry.name, frozenset(each.guid for each in self.world.snapshots(entry.name))
            )

    def _refresh(self, touched: set[str]) -> None:
        """Read again what the volumes hold that others may have changed."""
        live = self._ledger.live
        for name in set(live) - set(self.world.names):
            del live[name]
        for name in touched:
            entry = self.world.names.get(name)
            if entry is not None and entry.is_dataset and entry.place in self._configuration.sources():
                live[name] = self._machine.live(name, entry.kind)

    # --- zsr

    def _ask(self, step: Step) -> Ran | None:
        job = self._configuration.job(step.node, step.id)
        if job is None:
            return None
        self._machine.shift_clock(SECONDS_BETWEEN)
        configuration, before = self._configuration, self.world
        said = self._order(step)
        self.world = self._machine.look()
        if step.act == "delete":
            jobs = tuple(each for each in configuration.of(step.node)[1] if each.id != step.id)
            self._configuration = configuration.with_jobs(step.node, jobs) if said.status == 0 else configuration
        zsr.write_files(self._configuration)
        ran = Ran(step.node, job, step.act, configuration, before, self.world, said, step.to if said.status < 0 else "")
        self.played.words.append(f"{step}: {_shown(said)}")
        self._ledger.saw(self.world)
        self.played.violations += laws.all_laws(ran, self._ledger, self._digest)
        self.played.violations += [Violation("thawed", why) for why in self._frozen(ran)]
        self._ledger.zsr_did(ran)
        return ran

    def _order(self, step: Step) -> Said:
        if step.act == "run":
            return zsr.run(step.node, step.id)
        if step.act == "die":
            return zsr.die(self._machine, step.node, step.id, step.to, step.number)
        began = time.time()
        arguments = ("adopt", step.id, "--yes") if step.act == "adopt" else ("delete", step.id, "--yes")
        status, words = zsr.command(step.node, *arguments)
        if step.act == "delete" and status == 0:
            return zsr.run(step.node, step.id)
        return Said(status, words, began=began, ended=time.time())

    def _digest(self, entry: Entry) -> str:
        """What a snapshot on a target holds, read once."""
        key = entry.place, entry.guid
        if key not in self._read:
            dataset = self.world.names[entry.dataset]
            try:
                self._read[key] = self._machine.digest(entry.name, dataset.kind, locked=dataset.key == "unavailable")
            except ActFailedError as error:
                return str(error)
        return self._read[key]

    def _frozen(self, ran: Ran) -> Iterator[str]:
        guest = self._configuration.guest(ran.node, ran.job.guest)
        if guest is None or guest.hooks == "thaw fails" or ran.said.status < 0:
            return
        if Path(frozen_mark(ran.node, guest.id)).exists():
            yield f"guest {guest.id} of {ran.node} is still frozen after {ran.order}"

    # --- the end

    def _calm(self) -> None:
        """Undo what only people can undo, and run each job twice."""
        for entry in self.world.datasets():
            replica = entry.job not in ("-", "nobody") and entry.place not in self._configuration.sources()
            if replica and (not entry.readonly or entry.mounted):
                self.do(Step("settle", entry.name))
        for node in self._configuration.sources():
            for job in self._configuration.of(node)[1]:
                self._two_runs(Step("run", f"{node}:{job.id}"))
                if self.played.violations:
                    return

    def _two_runs(self, step: Step) -> None:
        forgot = any(done.act == "forget" and done.at == step.node for done in self.played.steps)
        for number in (1, 2):
            ran = self._ask(step)
            if ran is None or self.played.violations:
                return
            if ran.well or number == 2:
                self.played.violations += [Violation("stuck", why) for why in calm.stuck(ran)]
                self.played.violations += [Violation("left over", why) for why in calm.left_over(ran, forgot=forgot)]
                return


def _shown(said: Said) -> str:
    if said.status == 0:
        return "well" + (f", full {list(said.fulls)}" if said.fulls else "")
    if said.status < 0:
        return "died"
    return f"{said.error_class or said.status}: {said.message or said.words.strip()[-200:]}"


def play_drawn(
    machine: Machine, draw: Callable[[random.Random], Configuration], seed: int, count: int
) -> tuple[Configuration, Played]:
    """Draw a case and play it."""
    dice = random.Random(seed)
    configuration = draw(dice)
    case = Case(machine, configuration)
    return configuration, case.play(case.drawn(dice, count))


def play(machine: Machine, configuration: Configuration, steps: list[Step]) -> Played:
    """Play a case that was written down."""
    return Case(machine, configuration).play(iter(steps))
