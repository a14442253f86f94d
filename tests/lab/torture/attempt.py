"""One case of the crash matrix: a fault in a run, the runs after it, and the promises that must hold then."""

from __future__ import annotations

import contextlib
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.lab.torture.cases import Case, Fault, Kind
from tests.lab.torture.env import TortureEnv
from tests.lab.torture.faults import MUST_FAIL, Faults
from tests.lab.torture.ground import FROZEN, Ground
from tests.lab.torture.promises import (
    FILES,
    VOLUMES,
    ZVOL,
    Both,
    BrokenError,
    Fulls,
    Users,
    avoidable,
    bases,
    left_after_removal,
    lost,
    users,
    whole_set,
)

_SUM = """
files() { (cd "$1" && find . -type f | sort | xargs sha256sum | sha256sum); }
sum() {
  zfs destroy tank/look 2>/dev/null
  if [ "$(zfs get -Ho value type "$1")" = volume ]; then
    zfs clone "$1@$2" tank/look && udevadm settle && sha256sum </dev/zvol/tank/look
  else
    zfs clone -o mountpoint=/mnt/look "$1@$2" tank/look && files /mnt/look
  fi
  n=0; until zfs destroy tank/look 2>/dev/null; do n=$((n+1)); [ $n -lt 20 ] || break; sleep 0.1; done
}
"""

_LEFT = """
n=0; while pgrep -x zfs >/dev/null; do
  n=$((n+1)); [ $n -lt 25 ] || { echo a zfs process is left; break; }; sleep 0.2
done
"""
"""The daemon itself lists something now and then: only a process that stays is left over."""

STAYS = "this node does not know that it sent them: they stay"
ANY = 1000
"""More sets than any attempt makes."""


class MissedError(Exception):
    """The fault did not come where it was to come, so nothing was tried."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went: ``broken`` says what does not hold (empty: all does), ``evidence`` what was there then.

    ``missed`` says why the fault did not come where it was to come: such a case counts for nothing.
    """

    case: Case
    seconds: float
    broken: str = ""
    evidence: str = ""
    missed: str = ""


def try_case(env: TortureEnv, case: Case) -> Result:
    """Try one fault in the configuration of its seed; report a broken promise, and begin again with fresh nodes."""
    began = time.monotonic()
    ground = Ground.of_case(case.seed)
    env.words = [str(case), str(ground)]
    try:
        if env.ground != ground:
            env.ground = ground
            env.begin()
        _Attempt(env, case).run()
    except MissedError as missed:
        env.begin()
        return Result(case, time.monotonic() - began, missed=str(missed))
    except (AssertionError, TimeoutError) as error:
        evidence = _evidence(env)
        with contextlib.suppress(Exception):
            env.begin()
        return Result(case, time.monotonic() - began, str(error), evidence)
    return Result(case, time.monotonic() - began)


def _evidence(env: TortureEnv) -> str:
    parts = [*env.words, json.dumps(env.status(), indent=1)]
    for node in env.lab.nodes:
        with contextlib.suppress(Exception):
            listing = env.ground.listing(there=node is env.there)
            parts += [node.name, node.out(f"date; {listing}; ps ax | grep -v '\\[' | tail -30"), node.logs(80)]
    return "\n".join(parts)


class _Attempt:
    """The fault of a case, tried once in an environment."""

    def __init__(self, env: TortureEnv, case: Case) -> None:
        self._env = env
        self._case = case
        self._dice = random.Random(case.seed + 1)
        self._removal = case.place.kind is Kind.REMOVAL
        self._kept: list[str] = []
        self._faults = Faults(env.here, env.there, env.ground, self._dice, lambda: env.ask("die"))
        self._sum_live = (
            f"{_SUM}\nudevadm settle; sha256sum </dev/zvol/{ZVOL}; files /{env.ground.name(FILES, there=False)}"
        )

    def run(self) -> None:
        """Prepare, let the fault happen in a run, undo it, and check all promises."""
        env, case, dice = self._env, self._case, self._dice
        env.prepare(case.place.kind, dice, least=512 if case.place.at_byte else 64)
        live = env.here.out(self._sum_live)
        env.configure(rate=case.place.at_byte, removal=self._removal, stream=dice.choice(["asyncssh", "openssh"]))
        self._faults.prepare(case.fault)
        before = env.status()
        self._go_to(before)
        mine = self._users_at()
        powerless = case.fault in (Fault.POWER_SOURCE, Fault.POWER_TARGET)
        in_run = None if powerless else bases(self._holdings(), tokens=False)
        env.ask("go")
        remembers = self._undo(before)
        had_after = bases(self._holdings(), tokens=case.fault is not Fault.OURS_GONE_HERE)
        self._recover()
        self._check(mine, live)
        if not self._removal:
            self._check_fulls(before["run"] if remembers else 0, had_after if in_run is None else in_run, had_after)
        env.configure()
        env.clear_target(self._kept)

    def _undo(self, before: dict[str, Any]) -> bool:
        """Undo the fault once its run has ended; whether the source still has its memory afterwards."""
        fault = self._case.fault
        dead = fault in (Fault.KILL, Fault.POWER_SOURCE)
        if not dead:
            self._wait_for_end()
        if fault in MUST_FAIL and self._env.status()["failed"] == before["failed"]:
            self._faults.undo(fault)
            raise MissedError(f"the run went well in spite of '{fault}'")
        remembers = self._faults.undo(fault)
        if dead:
            self._env.configure(removal=self._removal)
            self._env.start_daemon()
        return remembers

    def _go_to(self, before: dict[str, Any]) -> None:
        """Let a run come to the place of the fault."""
        place = self._case.place
        self._env.ask("stop", step=str(place.step), nth=place.nth)
        self._env.ask("now")
        now = before

        def held_or_over() -> bool:
            nonlocal now
            now = self._env.status() or now
            return bool(now["held"]) or any(now[key] != before[key] for key in ("failed", "succeeded", "job"))

        self._env.until(held_or_over, f"the run is held at {place.step}")
        if not now["held"]:
            raise MissedError(f"the run ended before {place.step} {place.nth}: {now['words'][:2]}")
        if not place.at_byte or self._case.fault in MUST_FAIL:
            return
        self._env.ask("go")
        share = self._dice.random()

        def far_enough() -> bool:
            nonlocal now
            now = self._env.status() or now
            return now["done"] >= share * max(now["expected"], 1) or not now["transferring"]

        self._env.until(
            lambda: (self._env.status() or {}).get("transferring") or not self._env.status().get("active"), "it sends"
        )
        self._env.until(far_enough, "the byte of the fault")
        if not now["transferring"]:
            raise MissedError("the transfer was over before the byte of the fault")
        self._env.words.append(f"at byte {now['done']} of about {now['expected']}")

    def _users_at(self) -> Users:
        """Let the fault happen; the user's data then, which some faults change."""
        fault, removal = self._case.fault, self._removal
        if fault in (Fault.FOREIGN_HERE, Fault.FOREIGN_THERE):
            self._faults.do(fault)
            return users(self._holdings(), removal=removal)
        mine = users(self._holdings(), removal=removal)
        self._faults.do(fault)
        return mine

    def _wait_for_end(self) -> None:
        self._env.until(lambda: not self._env.status().get("active", True), "the run with the fault ended", timeout=90)

    def _recover(self) -> None:
        """Within two further runs the job succeeds, or after what its removal asks a person to do."""
        self._wait_for_end()
        if self._removal and not self._env.status()["job"]:
            return
        self._env.configure(removal=self._removal)
        for _ in range(2):
            if self._env.run_job():
                return
        # A replica without its newest set looks as if it was written to: its removal refuses, and says what to do.
        if self._removal and self._case.fault is Fault.OURS_GONE_THERE:
            self._kept = self._env.keep_refused()
            if self._kept and self._env.run_job():
                return
        raise BrokenError(f"stuck: two runs after the fault failed too: {self._env.status()['words'][:3]}")

    # --- what must hold

    def _both(self, here: str, there: str) -> tuple[str, str]:
        """What two commands write, one on each node, at the same time."""
        with ThreadPoolExecutor(2) as threads:
            one, two = threads.map(lambda node, line: node.out(line), self._env.lab.nodes, (here, there))
        return one, two

    def _holdings(self) -> Both:
        ground = self._env.ground
        here, there = self._both(ground.listing(there=False), ground.listing(there=True))
        return ground.holding(here, there=False), ground.holding(there, there=True)

    def _check(self, mine: Users, live: str) -> None:
        both = self._holdings()
        if gone := lost(mine, both):
            raise BrokenError(f"lost: the user's {', '.join(gone)}")
        if self._env.here.out(self._sum_live) != live:
            raise BrokenError("lost: the guest's own content on the source has changed")
        if self._env.here.out(f"cat {FROZEN} 2>&1 || true") == "":
            raise BrokenError("stuck: the guest is left frozen")
        if self._removal:
            kept = [self._env.ground.volume(each, there=True) for each in self._kept]
            if left := left_after_removal(both, kept):
                raise BrokenError(f"left over after the removal: {left}")
            return
        name = whole_set(both, ANY if self._forgot() else self._env.ground.most)
        one, two = self._both(self._sums(name, there=False), self._sums(name, there=True))
        if "a zfs process" in one + two:
            raise BrokenError(f"left over: {one[-40:]!r} {two[-40:]!r}")
        if one != two or len(one.splitlines()) != len(VOLUMES):
            raise BrokenError(f"lost: contents differ: {one!r} {two!r}")

    def _forgot(self) -> bool:
        """Whether the node lost its memory with its power, and said that what it does not know stays on the target."""
        return any(STAYS in text for text in self._env.status()["words"])

    def _sums(self, name: str, *, there: bool) -> str:
        """The command that writes the checksums of a set on a node, and whether a zfs process is left there."""
        sums = "".join(f"sum {dataset} {name};" for dataset in self._env.ground.names(there=there))
        return f"{_SUM}{sums}{_LEFT}"

    def _check_fulls(self, before: int, had: set[str], had_after: set[str]) -> None:
        """No volume that had a base was sent in full; ``before`` is the last run before the fault."""
        fulls = self._env.status()["fulls"]
        faulted = [text for run, text in fulls if before and run == before + 1]
        after = [text for run, text in fulls if not before or run > before + 1]
        if found := avoidable(
            Fulls(faulted, after), first=self._case.place.kind is Kind.FULL, had=had, had_after=had_after
        ):
            raise BrokenError(f"avoidable: {'; '.join(found)}")
