"""One lane of the crash matrix: two nodes, one guest, one job, one fault after the other; and what must hold then."""

from __future__ import annotations

import contextlib
import json
import random
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from replicator.replication.progress import Step
from replicator.replication.proof import MARKS_KEPT
from tests.lab.lab import Lab, Node, NodeProcess
from tests.lab.torture.cases import Case, Fault, Kind
from tests.lab.torture.child import PORT

ZVOL, FILES = "tank/data/vm-100-disk-0", "tank/data/subvol-100-disk-1"
VOLUMES = (ZVOL, FILES)
SSH_PORT = 2222
RATE = 1
"""MB per second while a fault at a byte is awaited."""

_SETTINGS = """\
node = "node1"
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

_START_SSHD = f"/usr/sbin/sshd -p {SSH_PORT} -o PidFile=/run/torture-sshd.pid"
_STOP_SSHD = """
kids() { for k in $(ps -o pid= --ppid "$1"); do kids "$k"; echo "$k"; done; }
p=$(cat /run/torture-sshd.pid) && kill -9 $p $(kids $p); rm -f /run/torture-sshd.pid; true
"""
_LIST = "zfs list -Hp -t all -o name,guid,receive_resume_token,zsr:job,origin -r tank/data"
_SUM = """
sum() {
  zfs destroy tank/look 2>/dev/null
  if [ "$(zfs get -Ho value type "$1")" = volume ]; then
    zfs clone "$1@$2" tank/look && udevadm settle && sha256sum </dev/zvol/tank/look
  else
    zfs clone -o mountpoint=/mnt/look "$1@$2" tank/look &&
      (cd /mnt/look && find . -type f | sort | xargs sha256sum | sha256sum)
  fi
  n=0; until zfs destroy tank/look 2>/dev/null; do n=$((n+1)); [ $n -lt 20 ] || break; sleep 0.1; done
}
"""


class BrokenError(AssertionError):
    """A promise of the crash matrix does not hold."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went: ``broken`` says what does not hold (empty: all does), ``evidence`` what was there then."""

    case: Case
    seconds: float
    broken: str = ""
    evidence: str = ""


@dataclass(slots=True)
class Lane:
    """A lab of its own, with the guest on node1. ``words`` collects what happened, for the evidence."""

    lab: Lab
    daemon: NodeProcess | None = None
    words: list[str] = field(default_factory=list)
    fresh: bool = True

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
        self.here.run(
            f"zfs create -V 8M {ZVOL} && zfs create {FILES} && udevadm settle && "
            f"dd if=/dev/urandom of=/dev/zvol/{ZVOL} bs=1M count=2 conv=fsync status=none && "
            f"dd if=/dev/urandom of=/{FILES}/file bs=1M count=1 status=none && zfs snapshot {ZVOL}@user {FILES}@user"
        )
        self.there.run(_START_SSHD)
        self.fresh = True
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

    def prepare(self, kind: Kind, dice: random.Random) -> None:
        """Bring guest and target to where a run of this kind begins."""
        for node in self.lab.nodes:
            node.run(f"date -s @{time.time():.0f} >/dev/null")
        self._configure(stream=dice.choice(["asyncssh", "openssh"]))
        if kind in (Kind.FULL,):
            self._reset()
            return
        self._write(dice)
        if not (self._run() or self._run()):  # a machine that stands still for seconds looks like a cut network
            raise BrokenError(f"a run without a fault failed: {self._status()}")
        self._write(dice, least=2048 if kind is Kind.RESUME else 64)
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
        except (BrokenError, AssertionError, TimeoutError) as error:
            evidence = self._evidence()
            with contextlib.suppress(Exception):
                self.begin()
            return Result(case, time.monotonic() - began, str(error), evidence)
        return Result(case, time.monotonic() - began)

    def _try(self, case: Case) -> None:
        dice = random.Random(case.seed + 1)
        self.prepare(case.place.kind, dice)
        users = self._users(removal=case.place.kind is Kind.REMOVAL)
        self.words.append("before: " + " | ".join(self._both("zfs list -Ho name -t all -r tank/data | tr '\\n' ' '")))
        fulls = len(self._status()["fulls"])
        self._configure(rate=case.place.at_byte, removal=case.place.kind is Kind.REMOVAL,
                        stream=dice.choice(["asyncssh", "openssh"]))  # fmt: skip
        self._before(case.fault, case.place.at_byte, dice)
        before = self._status()
        self._ask("stop", step=str(case.place.step), nth=case.place.nth)
        self._ask("now")
        self._until(
            lambda: (now := self._status()).get("held") or now.get("failed") != before["failed"]
            or now.get("succeeded") != before["succeeded"],
            f"the run is held at {case.place.step}",
        )  # fmt: skip
        if case.place.at_byte:
            self._ask("go")
            time.sleep(dice.uniform(0.0, 1.2))
        added = self._do(case.fault, dice)
        self._ask("go")
        self._mend(case.fault)
        had = self._had_base()
        lost_memory = case.fault is Fault.POWER_SOURCE
        users |= added if case.place.kind is not Kind.REMOVAL or case.fault is Fault.FOREIGN_HERE else set()
        self._recover(removal=case.place.kind is Kind.REMOVAL)
        self._check(removal=case.place.kind is Kind.REMOVAL, users=users)
        now = self._status()["fulls"]
        self._check_fulls(case, now if lost_memory else now[fulls:], had)
        if case.place.kind is Kind.REMOVAL:
            self._configure()
        self._clear_aside()

    def _recover(self, *, removal: bool) -> None:
        """Within two further runs the job is well."""
        if self._status() == {}:
            self._configure(removal=removal)
            self._start_daemon()
        self._until(lambda: not self._status().get("active", True), "the run with the fault ended", timeout=90)
        self._configure(removal=removal)
        if removal and not self._status()["job"]:
            return
        for _ in range(2):
            if self._run():
                return
        raise BrokenError(f"stuck: two runs after the fault failed too: {self._status()['words'][:3]}")

    # --- faults

    def _before(self, fault: Fault, at_byte: bool, dice: random.Random) -> None:
        """What has to be there before the run, so that it comes at a byte nobody chose."""
        room = dice.randint(0, 900) * 1024
        if fault is Fault.TARGET_FULL:
            self.there.run(
                "zfs create tank/filler && "
                f"zfs set refreservation=$(($(zfs list -Hpo avail tank) - {room} - 65536)) tank/filler"
            )
        if fault is Fault.TARGET_QUOTA:
            self.there.run(
                f"zfs set quota=$(($(zfs list -Hpo used tank/data) + {room} + 65536)) tank/data", check=False
            )

    def _do(self, fault: Fault, dice: random.Random) -> set[str]:
        """Let the fault happen; the snapshots of the user's that it brought (by their last part)."""
        here, there = self.here, self.there
        match fault:
            case Fault.KILL:
                self._ask("die")
            case Fault.POWER_SOURCE:
                here.crash()
            case Fault.POWER_TARGET:
                there.crash()
            case Fault.DROP:
                here.cut_from(there)
            case Fault.RESET:
                here.refuse_from(there)
            case Fault.SSHD:
                there.run(_STOP_SSHD)
            case _:
                return self._meddle(fault, dice)
        return set()

    def _meddle(self, fault: Fault, dice: random.Random) -> set[str]:
        """What people do by hand; the snapshots of theirs that it brought."""
        here, there, name = self.here, self.there, f"foreign{dice.randint(0, 10**9)}"
        match fault:
            case Fault.SOURCE_FULL:
                here.run(
                    "zfs create tank/filler && "
                    "zfs set refreservation=$(($(zfs list -Hpo avail tank) - 65536)) tank/filler"
                )
            case Fault.ABORTED:
                there.run(f"for d in {ZVOL} {FILES}; do zfs receive -A $d 2>/dev/null; done; true")
            case Fault.FOREIGN_HERE:
                here.run(f"zfs snapshot {dice.choice(VOLUMES)}@{name}")
                return {name}
            case Fault.FOREIGN_THERE:
                done = there.run(f"zfs snapshot {dice.choice(VOLUMES)}@{name}", check=False)
                return {name} if done.returncode == 0 else set()
            case Fault.OURS_GONE_HERE | Fault.OURS_GONE_THERE:
                node = here if fault is Fault.OURS_GONE_HERE else there
                volume = dice.choice(VOLUMES)
                node.run(
                    f"for s in $(zfs list -Ho name -t snapshot -d 1 {volume} 2>/dev/null | grep @__replicate_); do "
                    "zfs destroy $s 2>/dev/null; done; true"
                )
            case Fault.CLOCK_BACK:
                here.shift_clock(-3600)
            case Fault.TARGET_FULL | Fault.TARGET_QUOTA:
                pass
        return set()

    def _mend(self, fault: Fault) -> None:
        match fault:
            case Fault.POWER_SOURCE:
                self.here.start()
            case Fault.POWER_TARGET:
                self._wait_for_end()
                self.there.start()
                self.there.run(_START_SSHD)
            case Fault.DROP | Fault.RESET:
                self._wait_for_end()
                self.here.mend_network()
            case Fault.SSHD:
                self._wait_for_end()
                self.there.run(_START_SSHD)
            case Fault.TARGET_FULL:
                self._wait_for_end()
                self.there.run("zfs destroy -r tank/filler", check=False)
            case Fault.TARGET_QUOTA:
                self._wait_for_end()
                self.there.run("zfs set quota=none tank/data")
            case Fault.SOURCE_FULL:
                self._wait_for_end()
                self.here.run("zfs destroy -r tank/filler")
            case _:
                pass

    def _wait_for_end(self) -> None:
        self._until(lambda: not self._status().get("active", True), "the run with the fault ended", timeout=90)

    # --- what must hold

    def _both(self, command: str) -> tuple[str, str]:
        with ThreadPoolExecutor(2) as threads:
            found = threads.map(lambda node: node.out(command), self.lab.nodes)
        here, there = found
        return here, there

    def _users(self, *, removal: bool) -> set[str]:
        """The user's snapshots on both sides, by their own names; a replica that is to be removed goes with its own."""
        here, there = (
            {name for name in (line.split("\t")[0] for line in text.splitlines()) if "@" in name}
            for text in self._both(_LIST)
        )
        there = {name for name in there if not (removal and name.startswith(VOLUMES))}
        return {name.partition("@")[2] for name in here | there if "@__replicate_" not in name}

    def _had_base(self) -> set[str]:
        """The volumes of which the target has something to go on from: a snapshot that the source has, or a token."""
        try:
            here, there = self._both(_LIST)
        except AssertionError:
            return set()
        ours: dict[str, set[str]] = {}
        for line in here.splitlines():
            name, guid, *_ = line.split("\t")
            ours.setdefault(re.split("[@#]", name)[0], set()).add(guid)
        found = set()
        for line in there.splitlines():
            name, guid, token, *_ = line.split("\t")
            volume = name.partition("@")[0]
            if token != "-" or ("@" in name and guid in ours.get(volume, set())):
                found.add(volume)
        return found

    def _check(self, *, removal: bool, users: set[str]) -> None:
        here, there = self._both(_LIST)
        names = {line.split("\t")[0].partition("@")[2] for line in (*here.splitlines(), *there.splitlines())}
        if missing := users - names:
            raise BrokenError(f"lost: the user's snapshots {missing} are gone")
        left = [
            line for line in (here + "\n" + there).splitlines() if re.search(r"[@#]__replicate_", line.split("\t")[0])
        ]
        if removal:
            gone = [line for line in there.splitlines() if line.split("\t")[0].startswith(VOLUMES)]
            left = [line for line in left if "/zsr-diverged/" not in line]
            if left or gone:
                raise BrokenError(f"left over after the removal: {left + gone}")
            return
        kept_alive = {line.split("\t")[4].partition("@")[0] for line in there.splitlines() if "/zsr-diverged/" in line}
        sets = set()
        for volume in VOLUMES:
            ours = [line.split("\t") for line in here.splitlines() if line.startswith(f"{volume}@__replicate_")]
            theirs = [line.split("\t") for line in there.splitlines() if line.startswith(f"{volume}@__replicate_")]
            marks = [line for line in here.splitlines() if line.startswith(f"{volume}#__replicate_")]
            if len(ours) != 1 or len(marks) > MARKS_KEPT + 1:
                raise BrokenError(f"left over on the source: {ours} {len(marks)} bookmarks")
            if not theirs or (len(theirs) != 1 and volume not in kept_alive):
                raise BrokenError(f"left over on the target: {theirs}")
            if theirs[-1][:2] != ours[0][:2]:
                raise BrokenError(f"lost: {theirs[-1]} on the target is not {ours[0]}")
            sets.add(ours[0][0].partition("@")[2])
        if any(line.split("\t")[2] != "-" for line in there.splitlines()):
            raise BrokenError("left over: a half-received state")
        if len(sets) != 1:
            raise BrokenError(f"lost: the volumes are not of one set: {sets}")
        (name,) = sets
        command = _SUM + "".join(f"sum {volume} {name};" for volume in VOLUMES)
        command += " pgrep -x zfs >/dev/null && echo a zfs process is left; true"
        one, two = self._both(command)
        if "a zfs process" in one + two:
            raise BrokenError(f"left over: {one[-40:]!r} {two[-40:]!r}")
        if one != two or len(one.splitlines()) != len(VOLUMES):
            raise BrokenError(f"lost: contents differ: {one!r} {two!r}")

    def _check_fulls(self, case: Case, fulls: list[str], had: set[str]) -> None:
        """No volume that had a base or a token after the fault was sent in full again by the recovering runs."""
        if case.place.kind in (Kind.REMOVAL,):
            return
        for volume in VOLUMES:
            count = sum(f":{volume.rpartition('/')[2]}: full" in line for line in fulls)
            allowed = 1 if case.place.kind is Kind.FULL else 0
            if volume not in had:
                allowed += 1
            if case.fault is Fault.ABORTED:
                allowed += 1
            if count > allowed:
                raise BrokenError(f"avoidable: {volume} was sent in full {count} times")

    def _clear_aside(self) -> None:
        self.there.run("zfs destroy -R tank/data/zsr-diverged 2>/dev/null; true")

    def _evidence(self) -> str:
        parts = [*self.words, json.dumps(self._status(), indent=1)]
        for node in self.lab.nodes:
            with contextlib.suppress(Exception):
                parts += [node.name, node.out(f"date; {_LIST}; ps ax | grep -v '\\[' | tail -30"), node.logs(80)]
        return "\n".join(parts)
