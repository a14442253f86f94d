"""One environment of the crash matrix: two nodes, one guest, one job, and how the runs of each kind are prepared."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from replicator.replication.progress import Step
from tests.lab.lab import Lab, Node, NodeProcess
from tests.lab.torture.cases import Kind
from tests.lab.torture.child import PORT
from tests.lab.torture.faults import SSH_PORT, START_SSHD, STATE_DIR
from tests.lab.torture.ground import Ground
from tests.lab.torture.promises import CHILD, FILES, ZVOL, BrokenError

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
bookmarks = {{bookmarks}}
"""
_SCHEDULE = 'schedule = "2099-1-1"'


@dataclass(slots=True)
class TortureEnv:
    """A lab of its own, with the guest on node1. ``words`` collects what happened, for the evidence."""

    lab: Lab
    ground: Ground = field(default_factory=Ground)
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

    @property
    def _files(self) -> str:
        """The guest's filesystem on the source."""
        return self.ground.name(FILES, there=False)

    @property
    def _asides(self) -> list[str]:
        """What holds the datasets on the target that are kept aside."""
        return [f"{path}/zsr-diverged" for path in self.ground.paths(there=True)]

    # --- set-up

    def begin(self) -> None:
        """Both nodes as if never used, with a guest of three volumes, and things of the user's on both."""
        for node in self.lab.nodes:
            node.fresh()
            paths = self.ground.paths(there=node is self.there)
            make = " && ".join(f"zfs create {path}" for path in paths)
            node.run(f"{make} && zfs create tank/data/precious && zfs snapshot tank/data/precious@mine")
        self.here.fresh_pool("keep", disk=2)
        files, child = self._files, self.ground.name(CHILD, there=False)
        self.here.run(
            f"zfs create -V 8M {ZVOL} && zfs create {files} && zfs create {child} && udevadm settle && "
            f"dd if=/dev/urandom of=/dev/zvol/{ZVOL} bs=1M count=2 conv=fsync status=none && "
            f"for d in {files} {child}; do dd if=/dev/urandom of=/$d/file bs=1M count=1 status=none; done && "
            f"zfs snapshot {ZVOL}@user {files}@user {child}@user"
        )
        self.there.run(START_SSHD)
        self.configure()
        self.start_daemon()
        self.until(lambda: self.status().get("succeeded"), "the first run, which is due at once, succeeded")

    def configure(self, *, rate: bool = False, removal: bool = False, stream: str = "auto", job: bool = True) -> None:
        """Write settings and cluster file; all of /etc is lost with the power."""
        lines = [_SCHEDULE, *([f"rate = {RATE}"] if rate else []), *(['removal = "full"'] if removal else [])]
        text = self.ground.cluster(SSH_PORT, stream, lines if job else ())
        settings = _SETTINGS.format(bookmarks=str(self.ground.bookmarks).lower())
        known = f'awk \'{{ print "[node2]:{SSH_PORT} " $2 " " $3 }}\' /root/.ssh/known_hosts'
        self.here.run(
            f"mkdir -p /etc/zsr && cat >/etc/zsr/new.toml && {known} "
            f">/etc/zsr/known_hosts; printf '%s' '{settings}' >/etc/zsr/zsr.toml && "
            "mv /etc/zsr/new.toml /etc/zsr/cluster.toml",
            stdin=text,
        )

    def start_daemon(self) -> None:
        """Start the daemon whose runs can be held, and wait until it answers."""
        self.daemon = self.here.spawn(
            "cd /opt/zsr && exec env PYTHONPATH=/opt/zsr:/lab/site python3 -m tests.lab.torture.child"
        )
        self.until(lambda: self.ask("status") is not None, "the daemon answers")

    def ask(self, do: str, **more: object) -> Any:
        """Send a request to the daemon; its reply, or None when it does not answer."""
        try:
            with contextlib.closing(self.lab.connect("node1", PORT, timeout=5)) as connection:
                connection.sendall(json.dumps({"do": do, **more}).encode() + b"\n")
                with connection.makefile() as lines:
                    line = lines.readline()
            return json.loads(line) if line.strip() else None
        except (OSError, ValueError):
            return None

    def status(self) -> dict[str, Any]:
        """The state of the daemon and its job; empty when it does not answer."""
        found = self.ask("status")
        return found if isinstance(found, dict) else {}

    def until(self, holds: Callable[[], object], what: str, timeout: float = 60.0) -> None:
        """Wait until something holds; raises BrokenError when it does not in time."""
        end = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > end:
                raise BrokenError(f"stuck: not within {timeout:.0f} s: {what}")
            time.sleep(0.05)

    # --- runs

    def run_job(self) -> bool:
        """Run the job now, to its end; whether it succeeded."""
        before = self.status()
        self.ask("now")
        ended = ("succeeded", "failed")
        self.until(
            lambda: (now := self.status()) and not now["active"] and (
                not now["job"] or any(now[key] != before[key] for key in ended)),
            "a run ended",
        )  # fmt: skip
        after = self.status()
        self.words += [] if after["succeeded"] != before["succeeded"] or not after["job"] else after["words"]
        return not after["job"] or after["succeeded"] != before["succeeded"]

    def _write(self, dice: random.Random, *, least: int = 64) -> None:
        """Change some KiB of each volume, at least so many."""
        sizes = [dice.randint(least, least + 960) for _ in range(3)]
        self.here.run(
            f"dd if=/dev/urandom of=/dev/zvol/{ZVOL} bs=1K count={sizes[0]} seek={dice.randint(0, 4096)} "
            f"conv=notrunc,fsync status=none; dd if=/dev/urandom of=/{self._files}/file bs=1K count={sizes[1]} "
            f"conv=notrunc,fsync status=none; dd if=/dev/urandom of=/{self._files}/child/file bs=1K count={sizes[2]} "
            "conv=notrunc,fsync status=none"
        )

    def prepare(self, kind: Kind, dice: random.Random, *, least: int = 64) -> None:
        """Bring guest and target to where a run of this kind begins, with at least so many KiB to send a volume."""
        for node in self.lab.nodes:
            node.run(f"date -s @{time.time():.0f} >/dev/null")
        self.configure(stream=dice.choice(["asyncssh", "openssh"]))
        self.until(lambda: self.status().get("state") not in (None, "removing"), "the daemon has read the job")
        if kind is Kind.FULL:
            self._reset()
            return
        self._write(dice)
        if not (self.run_job() or self.run_job()):  # a machine that stands still for seconds looks like a cut network
            raise BrokenError(f"a run without a fault failed: {self.status()}")
        self._write(dice, least=2048 if kind is Kind.RESUME else least)
        if kind is Kind.RESUME:
            self._cut_transfer()
        if kind is Kind.ASIDE:
            self.there.run(
                f"zfs set readonly=off {ZVOL} && udevadm settle && echo mine | "
                f"dd of=/dev/zvol/{ZVOL} conv=notrunc,fsync,sync status=none && "
                f"zfs snapshot {ZVOL}@theirs{dice.randint(0, 10**9)} && zfs set readonly=on {ZVOL}"
            )
        if kind is Kind.TREE:
            files = self.ground.name(FILES, there=True)
            self.there.run(
                f"zfs set readonly=off {files} && zfs mount {files} && echo mine >/{files}/mine && "
                f"zfs unmount {files} && zfs snapshot {files}@theirs{dice.randint(0, 10**9)} && "
                f"zfs set readonly=on {files}"
            )

    def _reset(self) -> None:
        """Nothing of the job on either side."""
        replicas = " ".join((*self._asides, ZVOL, self.ground.name(FILES, there=True)))
        self.there.run(f"for d in {replicas}; do zfs destroy -R $d 2>/dev/null; done; true")
        self.here.run(
            "for s in $(zfs list -Ho name -t snapshot,bookmark -r tank | grep '[@#]__replicate_'); do "
            "zfs destroy $s; done"
        )

    def _cut_transfer(self) -> None:
        """Leave a half-received state on the target."""
        self.configure(rate=True)
        self.ask("stop", step=str(Step.TRANSFER), nth=1)
        self.ask("now")
        self.until(lambda: self.status().get("held"), "the run is held at its transfer")
        before = self.status()["failed"]
        self.ask("go")
        time.sleep(0.6)
        self.there.run("kill -9 $(pgrep -x zfs) 2>/dev/null; true")
        self.until(lambda: not self.status().get("active", True), "the run with a killed receive ended")
        if self.status()["failed"] == before:
            self.words.append("the transfer was over before its receive could be killed")

    def dry_run(self, kind: Kind, dice: random.Random) -> list[Step]:
        """The steps that a run of this kind passes when nothing goes wrong."""
        self.prepare(kind, dice)
        self.configure(removal=kind is Kind.REMOVAL)
        self.ask("stop", step="none", nth=0)
        if not self.run_job():
            raise BrokenError(f"a run without a fault failed: {kind}: {self.status()}")
        passed = [Step(step) for step in self.status()["passed"]]
        self.configure()
        self.clear_target()
        return passed

    def keep_refused(self) -> list[str]:
        """Keep the replicas that a removal refuses to destroy, as its message says: without zsr's mark. Their names."""
        if self.status().get("error_class") != "target_active":
            return []
        replicas = " ".join(self.ground.names(there=True))
        kept = self.there.out(
            f"for d in {replicas}; do written=$(zfs get -Hpo value written $d 2>/dev/null) || continue; "
            "[ $written = 0 ] && continue; "
            "case $d in */subvol-*/*) n=${d%/subvol-*}/kept; zfs rename $d $n && d=$n;; esac; "
            "zfs inherit zsr:job $d; echo $d; done"
        )
        return kept.split()

    def clear_target(self, kept: Iterable[str] = ()) -> None:
        """Destroy what runs kept aside on the target, and the replicas that a removal left."""
        for dataset in (*self._asides, *kept):
            self.there.run(f"zfs destroy -R {dataset} 2>/dev/null; true")
