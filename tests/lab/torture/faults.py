"""Cause each fault of the crash matrix, and undo it."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.lab.lab import Node
from tests.lab.torture.cases import Fault
from tests.lab.torture.ground import Ground
from tests.lab.torture.promises import VOLUMES

SSH_PORT = 2222
STATE_DIR = "/keep/zsr"
"""Where the source's zsr remembers: on a pool, so that it outlives a power cut as a real machine's /var does."""

START_SSHD = f"/usr/sbin/sshd -p {SSH_PORT} -o PidFile=/run/torture-sshd.pid"
_STOP_SSHD = """
kids() { for k in $(ps -o pid= --ppid "$1"); do kids "$k"; echo "$k"; done; }
p=$(cat /run/torture-sshd.pid) && kill -9 $p $(kids $p); rm -f /run/torture-sshd.pid; true
"""
_FILL = "zfs create tank/filler && zfs set refreservation=$(($(zfs list -Hpo avail tank) - {room} - 65536)) tank/filler"

MUST_FAIL = frozenset({Fault.TARGET_FULL, Fault.TARGET_QUOTA, Fault.SOURCE_FULL})
"""Faults that leave no trace but a failed run: one that did not fail was not met by them."""


class Faults:
    """Faults for two nodes, with the random numbers of one case; ``die`` kills the daemon."""

    def __init__(self, here: Node, there: Node, ground: Ground, dice: random.Random, die: Callable[[], object]) -> None:
        self._here = here
        self._there = there
        self._ground = ground
        self._dice = dice
        self._die = die

    def prepare(self, fault: Fault) -> None:
        """Prepare the fault before the run, so that it comes at a random byte."""
        room = self._dice.randint(0, 900) * 1024
        if fault is Fault.TARGET_FULL:
            self._there.run(_FILL.format(room=room))
        if fault is Fault.TARGET_QUOTA:
            self._there.run(
                f"zfs set quota=$(($(zfs list -Hpo used tank/data) + {room} + 65536)) tank/data", check=False
            )

    def do(self, fault: Fault) -> None:
        """Let it happen."""
        here, there = self._here, self._there
        match fault:
            case Fault.KILL:
                self._die()
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
            case Fault.SOURCE_FULL:
                here.run(_FILL.format(room=0))
            case Fault.CLOCK_BACK:
                here.shift_clock(-3600)
            case Fault.TARGET_FULL | Fault.TARGET_QUOTA:
                pass
            case _:
                self._meddle(fault)

    def _meddle(self, fault: Fault) -> None:
        """Do by hand what an admin might."""
        here, there, chosen = self._here, self._there, self._dice.choice(VOLUMES)
        volume = self._ground.name(chosen, there=fault in (Fault.FOREIGN_THERE, Fault.OURS_GONE_THERE))
        snapshot = f"{volume}@foreign{self._dice.randint(0, 10**9)}"
        match fault:
            case Fault.ABORTED:
                replicas = " ".join(self._ground.names(there=True))
                there.run(f"for d in {replicas}; do zfs receive -A $d 2>/dev/null; done; true")
            case Fault.FOREIGN_HERE:
                here.run(f"zfs snapshot {snapshot}")
            case Fault.FOREIGN_THERE:
                there.run(f"zfs snapshot {snapshot}", check=False)  # there may be no replica yet
            case Fault.OURS_GONE_HERE | Fault.OURS_GONE_THERE:
                node = here if fault is Fault.OURS_GONE_HERE else there
                node.run(
                    f"for s in $(zfs list -Ho name -t snapshot -d 1 {volume} 2>/dev/null | grep @__replicate_); do "
                    "zfs destroy $s 2>/dev/null; done; true"
                )

    def undo(self, fault: Fault) -> bool:
        """Undo it; whether the source still has its memory afterwards."""
        here, there = self._here, self._there
        match fault:
            case Fault.POWER_SOURCE:
                here.start()
                if self._dice.random() < 0.5:
                    here.run(f"rm -rf {STATE_DIR}/*")
                    return False
            case Fault.POWER_TARGET:
                there.start()
                there.run(START_SSHD)
            case Fault.DROP | Fault.RESET:
                here.restore_network()
            case Fault.SSHD:
                there.run(START_SSHD)
            case Fault.TARGET_FULL:
                there.run("zfs destroy -r tank/filler", check=False)
            case Fault.TARGET_QUOTA:
                there.run("zfs set quota=none tank/data")
            case Fault.SOURCE_FULL:
                here.run("zfs destroy -r tank/filler")
            case _:
                pass
        return True
