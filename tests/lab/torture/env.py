"""One lane of the crash matrix: two nodes, one guest, one job, one fault after the other; and what must hold then."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from replicator.replication.progress import Step
from tests.lab.lab import Lab, Node, NodeProcess
from tests.lab.torture.cases import Case, Fault, Kind
from tests.lab.torture.child import PORT
from tests.lab.torture.faults import MUST_FAIL, SSH_PORT, START_SSHD, STATE_DIR, Faults
from tests.lab.torture.promises import (
    FILES,
    LIST,
    VOLUMES,
    ZVOL,
    Both,
    BrokenError,
    Fulls,
    Holding,
    Users,
    avoidable,
    bases,
    left_after_removal,
    lost,
    users,
    whole_set,
)

RATE = 1
"""MB per second while a fault at a byte is awaited."""

_SETTINGS = f"""\
node = "node1"
state_dir = "{STATE_DIR}"
[ssh]
connect_timeout = "6s"
keepalive = "2s"
known_hosts = "/etc/zsr/known_hosts"
[zfs]
stall_timeout = "20s"
"""
_CLUSTER = """\
[nodes.node1]
address = "node1"
[nodes.node2]
address = "node2"
port = {port}
stream = "{stream}"
[storages.tank]
path = "tank/data"
[guests.100]
name = "web"
node = "node1"
"""
_JOB = '[jobs.100-0]\ntarget = "node2"\nschedule = "2099-1-1"\n'

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
_SUM_LIVE = f"{_SUM}\nudevadm settle; sha256sum </dev/zvol/{ZVOL}; files /{FILES}"


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


@dataclass(slots=True)
class TortureEnv:
    """A lab of its own, with the guest on node1. ``words`` collects what happened, for the evidence."""

    lab: Lab
    daemon: NodeProcess | None = None
    words: list[str] = field(default_factory=list)

    @property
    def here(self) -> Node:
        """The source."""
        return self.lab.node(1)

    @property
    def there(self) -> Node:
        """The target."""
        return self.lab.node(2)

    # --- set-up

    def begin(self) -> None:
        """Both nodes as if never used, with a guest of two volumes, and things of the user's on both."""
        for node in self.lab.nodes:
            node.fresh()
            node.run("zfs create tank/data && zfs create tank/data/precious && zfs snapshot tank/data/precious@mine")
        self.here.fresh_pool("keep", disk=2)
        self.here.run(
            f"zfs create -V 8M {ZVOL} && zfs create {FILES} && udevadm settle && "
            f"dd if=/dev/urandom of=/dev/zvol/{ZVOL} bs=1M count=2 conv=fsync status=none && "
            f"dd if=/dev/urandom of=/{FILES}/file bs=1M count=1 status=none && zfs snapshot {ZVOL}@user {FILES}@user"
        )
        self.there.run(START_SSHD)
        self._configure()
        self._start_daemon()
        self._until(lambda: self._status().get("succeeded"), "the first run, which is due at once, succeeded")

    def _configure(self, *, rate: bool = False, removal: bool = False, stream: str = "auto", job: bool = True) -> None:
        """Write settings and cluster file; all of /etc is lost with the power."""
        text = _CLUSTER.format(port=SSH_PORT, stream=stream)
        if job:
            text += _JOB + (f"rate = {RATE}\n" if rate else "") + ('removal = "full"\n' if removal else "")
        known = f'awk \'{{ print "[node2]:{SSH_PORT} " $2 " " $3 }}\' /root/.ssh/known_hosts'
        self.here.run(
            f"mkdir -p /etc/zsr && cat >/etc/zsr/new.toml && {known} "
            f">/etc/zsr/known_hosts; printf '%s' '{_SETTINGS}' >/etc/zsr/zsr.toml && "
            "mv /etc/zsr/new.toml /etc/zsr/cluster.toml",
            stdin=text,
        )

    def _start_daemon(self) -> None:
        self.daemon = self.here.spawn(
            "cd /opt/zsr && exec env PYTHONPATH=/opt/zsr:/lab/site python3 -m tests.lab.torture.child"
        )
        self._until(lambda: self._ask("status") is not None, "the daemon answers")

    def _ask(self, do: str, **more: object) -> Any:
        """A word to the child; None when it does not answer."""
        try:
            with contextlib.closing(self.lab.connect("node1", PORT, timeout=5)) as connection:
                connection.sendall(json.dumps({"do": do, **more}).encode() + b"\n")
                with connection.makefile() as lines:
                    line = lines.readline()
            return json.loads(line) if line.strip() else None
        except (OSError, ValueError):
            return None

    def _status(self) -> dict[str, Any]:
        found = self._ask("status")
        return found if isinstance(found, dict) else {}

    def _until(self, holds: Callable[[], object], what: str, timeout: float = 60.0) -> None:
        end = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > end:
                raise BrokenError(f"stuck: not within {timeout:.0f} s: {what}")
            time.sleep(0.05)

    # --- runs

    def _run(self) -> bool:
        """Let the job run now, to its end; whether it succeeded."""
        before = self._status()
        self._ask("now")
        ended = ("succeeded", "failed")
        self._until(
            lambda: (now := self._status()) and not now["active"] and (
                not now["job"] or any(now[key] != before[key] for key in ended)),
            "a run ended",
        )  # fmt: skip
        after = self._status()
        self.words += [] if after["succeeded"] != before["succeeded"] or not after["job"] else after["words"]
        return not after["job"] or after["succeeded"] != before["succeeded"]

    def _write(self, dice: random.Random, *, least: int = 64) -> None:
        """Change some KiB of each volume, at least so many."""
        sizes = [dice.randint(least, least + 960) for _ in VOLUMES]
        self.here.run(
            f"dd if=/dev/urandom of=/dev/zvol/{ZVOL} bs=1K count={sizes[0]} seek={dice.randint(0, 4096)} "
            f"conv=notrunc,fsync status=none; dd if=/dev/urandom of=/{FILES}/file bs=1K count={sizes[1]} "
            "conv=notrunc,fsync status=none"
        )

    def prepare(self, kind: Kind, dice: random.Random, *, least: int = 64) -> None:
        """Bring guest and target to where a run of this kind begins, with at least so many KiB to send a volume."""
        for node in self.lab.nodes:
            node.run(f"date -s @{time.time():.0f} >/dev/null")
        self._configure(stream=dice.choice(["asyncssh", "openssh"]))
        self._until(lambda: self._status().get("state") not in (None, "removing"), "the daemon has read the job")
        if kind is Kind.FULL:
            self._reset()
            return
        self._write(dice)
        if not (self._run() or self._run()):  # a machine that stands still for seconds looks like a cut network
            raise BrokenError(f"a run without a fault failed: {self._status()}")
        self._write(dice, least=2048 if kind is Kind.RESUME else least)
        if kind is Kind.RESUME:
            self._cut_transfer()
        if kind is Kind.ASIDE:
            self.there.run(
                f"zfs set readonly=off {ZVOL} && udevadm settle && echo mine | "
                f"dd of=/dev/zvol/{ZVOL} conv=notrunc,fsync,sync status=none && "
                f"zfs snapshot {ZVOL}@theirs{dice.randint(0, 10**9)} && zfs set readonly=on {ZVOL}"
            )

    def _reset(self) -> None:
        """Nothing of the job on either side."""
        self.there.run(f"for d in tank/data/zsr-diverged {ZVOL} {FILES}; do zfs destroy -R $d 2>/dev/null; done; true")
        self.here.run(
            "for s in $(zfs list -Ho name -t snapshot,bookmark -r tank/data | grep '[@#]__replicate_'); do "
            "zfs destroy $s; done"
        )

    def _cut_transfer(self) -> None:
        """Leave a half-received state on the target."""
        self._configure(rate=True)
        self._ask("stop", step=str(Step.TRANSFER), nth=1)
        self._ask("now")
        self._until(lambda: self._status().get("held"), "the run is held at its transfer")
        before = self._status()["failed"]
        self._ask("go")
        time.sleep(0.6)
        self.there.run("kill -9 $(pgrep -x zfs) 2>/dev/null; true")
        self._until(lambda: not self._status().get("active", True), "the run with a killed receive ended")
        if self._status()["failed"] == before:
            self.words.append("the transfer was over before its receive could be killed")

    def dry_run(self, kind: Kind, dice: random.Random) -> list[Step]:
        """The steps that a run of this kind passes when nothing goes wrong."""
        self.prepare(kind, dice)
        self._configure(removal=kind is Kind.REMOVAL)
        self._ask("stop", step="none", nth=0)
        if not self._run():
            raise BrokenError(f"a run without a fault failed: {kind}: {self._status()}")
        passed = [Step(step) for step in self._status()["passed"]]
        self._configure()
        self._clear_aside()
        return passed

    # --- one case

    def try_case(self, case: Case) -> Result:
        """Try one fault; what is broken afterwards is told, and the lane is begun anew."""
        began = time.monotonic()
        self.words = [str(case)]
        try:
            self._try(case)
        except MissedError as missed:
            self.begin()
            return Result(case, time.monotonic() - began, missed=str(missed))
        except (AssertionError, TimeoutError) as error:
            evidence = self._evidence()
            with contextlib.suppress(Exception):
                self.begin()
            return Result(case, time.monotonic() - began, str(error), evidence)
        return Result(case, time.monotonic() - began)

    def _try(self, case: Case) -> None:
        dice = random.Random(case.seed + 1)
        kind, removal = case.place.kind, case.place.kind is Kind.REMOVAL
        self.prepare(kind, dice, least=512 if case.place.at_byte else 64)
        faults = Faults(self.here, self.there, dice, lambda: self._ask("die"))
        live = self.here.out(_SUM_LIVE)
        self._configure(rate=case.place.at_byte, removal=removal, stream=dice.choice(["asyncssh", "openssh"]))
        faults.prepare(case.fault)
        before = self._status()
        self._go_to(case, before, dice)
        mine = self._users_at(case, faults)
        powerless = case.fault in (Fault.POWER_SOURCE, Fault.POWER_TARGET)
        in_run = None if powerless else bases(self._holdings(), tokens=False)
        self._ask("go")
        dead = case.fault in (Fault.KILL, Fault.POWER_SOURCE)
        if not dead:
            self._wait_for_end()
        if case.fault in MUST_FAIL and self._status()["failed"] == before["failed"]:
            faults.mend(case.fault)
            raise MissedError(f"the run went well in spite of '{case.fault}'")
        remembers = faults.mend(case.fault)
        if dead:
            self._configure(removal=removal)
            self._start_daemon()
        had_after = bases(self._holdings(), tokens=case.fault is not Fault.OURS_GONE_HERE)
        self._recover(removal=removal)
        self._check(removal=removal, users=mine, live=live)
        if not removal:
            self._check_fulls(
                kind, before["run"] if remembers else 0, had_after if in_run is None else in_run, had_after
            )
        self._configure()
        self._clear_aside()

    def _go_to(self, case: Case, before: dict[str, Any], dice: random.Random) -> None:
        """Let a run come to where the fault is to be."""
        place = case.place
        self._ask("stop", step=str(place.step), nth=place.nth)
        self._ask("now")
        now = before

        def held_or_over() -> bool:
            nonlocal now
            now = self._status() or now
            return bool(now["held"]) or any(now[key] != before[key] for key in ("failed", "succeeded", "job"))

        self._until(held_or_over, f"the run is held at {place.step}")
        if not now["held"]:
            raise MissedError(f"the run ended before {place.step} {place.nth}: {now['words'][:2]}")
        if not place.at_byte or case.fault in MUST_FAIL:
            return
        self._ask("go")
        share = dice.random()

        def far_enough() -> bool:
            nonlocal now
            now = self._status() or now
            return now["done"] >= share * max(now["expected"], 1) or not now["transferring"]

        self._until(lambda: (self._status() or {}).get("transferring") or not self._status().get("active"), "it sends")
        self._until(far_enough, "the byte of the fault")
        if not now["transferring"]:
            raise MissedError("the transfer was over before the byte of the fault")
        self.words.append(f"at byte {now['done']} of about {now['expected']}")

    def _users_at(self, case: Case, faults: Faults) -> Users:
        """Do the fault; what is the user's then, which some faults change."""
        removal = case.place.kind is Kind.REMOVAL
        if case.fault in (Fault.FOREIGN_HERE, Fault.FOREIGN_THERE):
            faults.do(case.fault)
            return users(self._holdings(), removal=removal)
        mine = users(self._holdings(), removal=removal)
        faults.do(case.fault)
        return mine

    def _wait_for_end(self) -> None:
        self._until(lambda: not self._status().get("active", True), "the run with the fault ended", timeout=90)

    def _recover(self, *, removal: bool) -> None:
        """Within two further runs the job is well."""
        self._wait_for_end()
        if removal and not self._status()["job"]:
            return
        self._configure(removal=removal)
        for _ in range(2):
            if self._run():
                return
        raise BrokenError(f"stuck: two runs after the fault failed too: {self._status()['words'][:3]}")

    # --- what must hold

    def _both(self, command: str) -> tuple[str, str]:
        with ThreadPoolExecutor(2) as threads:
            here, there = threads.map(lambda node: node.out(command), self.lab.nodes)
        return here, there

    def _holdings(self) -> Both:
        here, there = self._both(LIST)
        return Holding.read(here), Holding.read(there)

    def _check(self, *, removal: bool, users: Users, live: str) -> None:
        both = self._holdings()
        if gone := lost(users, both):
            raise BrokenError(f"lost: the user's {', '.join(gone)}")
        if self.here.out(_SUM_LIVE) != live:
            raise BrokenError("lost: the guest's own content on the source has changed")
        if removal:
            if left := left_after_removal(both):
                raise BrokenError(f"left over after the removal: {left}")
            return
        name = whole_set(both)
        command = _SUM + "".join(f"sum {volume} {name};" for volume in VOLUMES)
        command += " pgrep -x zfs >/dev/null && echo a zfs process is left; true"
        one, two = self._both(command)
        if "a zfs process" in one + two:
            raise BrokenError(f"left over: {one[-40:]!r} {two[-40:]!r}")
        if one != two or len(one.splitlines()) != len(VOLUMES):
            raise BrokenError(f"lost: contents differ: {one!r} {two!r}")

    def _check_fulls(self, kind: Kind, before: int, had: set[str], had_after: set[str]) -> None:
        """No volume that had something to go on from was sent in full; ``before`` is the last run before the fault."""
        told = self._status()["fulls"]
        faulted = [text for run, text in told if before and run == before + 1]
        after = [text for run, text in told if not before or run > before + 1]
        if found := avoidable(Fulls(faulted, after), first=kind is Kind.FULL, had=had, had_after=had_after):
            raise BrokenError(f"avoidable: {'; '.join(found)}")

    def _clear_aside(self) -> None:
        self.there.run("zfs destroy -R tank/data/zsr-diverged 2>/dev/null; true")

    def _evidence(self) -> str:
        parts = [*self.words, json.dumps(self._status(), indent=1)]
        for node in self.lab.nodes:
            with contextlib.suppress(Exception):
                parts += [node.name, node.out(f"date; {LIST}; ps ax | grep -v '\\[' | tail -30"), node.logs(80)]
        return "\n".join(parts)
