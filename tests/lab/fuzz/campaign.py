"""Many cases on one node of the lab, from the host: one process there plays them, a failing one shrinks."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.fuzz.configuration import Configuration
from tests.lab.fuzz.printed import as_test
from tests.lab.fuzz.shrink import shrink
from tests.lab.fuzz.steps import Step
from tests.lab.lab import Node

ROOT = Path(__file__).parents[3]
_COMMAND = "cd /run && exec env PYTHONPATH={path}/opt/zsr:/lab/site python3 -m tests.lab.fuzz.driver"
_LONGEST_SECONDS = 240.0


class DriverError(AssertionError):
    """The process in the node ended, hung, or broke in itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went: ``violations`` are laws with why they are broken."""

    configuration: Configuration
    steps: Sequence[Step]
    violations: Sequence[Mapping[str, str]]
    words: Sequence[str]
    seconds: float

    @property
    def laws(self) -> set[str]:
        return {violation["law"] for violation in self.violations}


@dataclass(slots=True)
class Driver:
    """The process that plays cases, started by a command."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    @classmethod
    def on(cls, node: Node, path: str = "") -> Driver:
        """On a node of the lab; ``path`` is where it finds other sources of zsr first, with a colon at its end."""
        ssh = ["ssh", "-F", str(node.state / "ssh_config"), node.name, _COMMAND.format(path=path)]
        return cls(node.inside(ssh))

    @classmethod
    def in_memory(cls, folder: Path, path: str = "") -> Driver:
        """On this machine without a ZFS; ``folder`` is for its files and goes with each case."""
        argv = [sys.executable, "-m", "tests.lab.fuzz.driver", "--model"]
        return cls(argv, {"FUZZ_FOLDER": str(folder), "PYTHONPATH": f"{path}{ROOT}", "PYTHONSAFEPATH": "1"})

    def draw(self, seed: int, steps: int) -> Outcome:
        """Play the case of a seed."""
        return self._ask({"seed": seed, "steps": steps})

    def play(self, configuration: Configuration, steps: Sequence[Step]) -> Outcome:
        """Play a case that was written down."""
        return self._ask({"configuration": configuration.to_json(), "steps": [asdict(step) for step in steps]})

    def end(self) -> None:
        """End the process; the next case starts another one."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _ask(self, request: Mapping[str, Any]) -> Outcome:
        process = self.process or self._start()
        if process.stdin is None or process.stdout is None:
            raise AssertionError("its pipes are there")
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(_LONGEST_SECONDS) else ""
        if not line:
            self.end()
            raise DriverError(f"the process in the node hung or ended in {request}")
        reply = json.loads(line)
        if "broken" in reply:
            raise DriverError(f"{request}\n{reply['broken']}")
        return Outcome(
            Configuration.from_json(reply["configuration"]),
            [Step(**step) for step in reply["steps"]],
            reply["violations"],
            reply["words"],
            reply["seconds"],
        )

    def _start(self) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            self.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **self.environment},
            cwd=ROOT,
        )
        return self.process


def smaller(driver: Driver, found: Outcome, seconds: float) -> Outcome:
    """Shrink a failing case for so long; the smallest that breaks one of the same laws."""
    end = time.monotonic() + seconds
    best = found

    def fails(configuration: Configuration, steps: Sequence[Step]) -> bool:
        nonlocal best
        if time.monotonic() > end:
            return False
        outcome = driver.play(configuration, steps)
        if outcome.laws & found.laws:
            best = outcome
            return True
        return False

    shrink(found.configuration, found.steps, fails)
    return best


def described(outcome: Outcome) -> str:
    """A failing case for people: what is broken, what happened, and the test."""
    broken = [f"{violation['law']}: {violation['why']}" for violation in outcome.violations]
    return "\n".join([*broken, "", *outcome.words, "", as_test(outcome.configuration, outcome.steps)])


def campaign(driver: Driver, seed: int, steps: int, each: int, say: Callable[[str], None]) -> Iterator[Outcome]:
    """Play cases of so many steps each, with seeds from the first on, until so many steps are done; those that fail."""
    done, number = 0, 0
    while done < steps:
        try:
            outcome = driver.draw(seed + number, each)
        except DriverError as error:
            driver.end()
            say(f"seed {seed + number}: {error}")
            raise
        number += 1
        done += len(outcome.steps)
        broken = "; ".join(sorted(outcome.laws)) or "well"
        say(f"{done}/{steps} seed {seed + number - 1}: {len(outcome.steps)} steps, {outcome.seconds:.1f} s, {broken}")
        if outcome.violations:
            yield outcome
