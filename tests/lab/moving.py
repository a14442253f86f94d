"""A guest that runs in the lab: what starts and stops it, and what it wrote."""

from __future__ import annotations

from tests.lab.lab import Node
from tests.lab.losses import KEEP, Holdings
from tests.lab.node_files import share_files
from tests.lab.scenario import FS, A

GUEST = f"""#!/bin/sh
# A guest: it appends numbers to a file of its filesystem, and holds its zvol open.
pid=/run/guest-100.pid
case $1 in
start) setsid sh -c 'exec 8<>/dev/zvol/tank/data/{A}; n=$(tail -n1 /tank/data/{FS}/numbers 2>/dev/null); n=${{n:-0}}
	while :; do n=$((n+1)); echo $n >>/tank/data/{FS}/numbers; sleep 0.05; done' </dev/null >/dev/null 2>&1 &
	echo $! >$pid ;;
stop) kill "$(cat $pid)"; while kill -0 "$(cat $pid)" 2>/dev/null; do sleep 0.1; done; sync ;;
status) [ -s $pid ] && kill -0 "$(cat $pid)" 2>/dev/null || exit 3 ;;
esac
"""
RUNTIME = "".join(f'{verb} = "/usr/local/bin/guest-100 {verb}"\n' for verb in ("start", "stop", "status"))


_ON_DISK = "etc/zsr var/lib/zsr usr/local/bin"
"""What a node of the lab has in memory only, and a real one on its disk."""


def loses_power(node: Node) -> None:
    """Cut a node's power and boot it, with the files that a real node has on its disk."""
    kept = node.out(f"sync; tar cz -C / {_ON_DISK} | base64 -w0", timeout=60)
    node.crash()
    node.start()
    node.run("base64 -d | tar xz -C /", stdin=kept)


class Moving(Holdings):
    """A guest that runs, with the same cluster file on both nodes."""

    def begin(self, *, zvol_mb: int = 8) -> None:
        """Give the guest a filesystem and a zvol, replicate once, distribute the files, and start it."""
        self.zvol(A, zvol_mb)
        self.filesystem(FS, 1)
        self.job(*KEEP)
        self.well()
        old, new = self.source, self.target
        self.cluster('node = "node1"\n', f'node = "node1"\n{RUNTIME}')
        share_files(old, new)
        for node in (old, new):
            node.write("/usr/local/bin/guest-100", GUEST)
            node.run("chmod 755 /usr/local/bin/guest-100")
        old.run("/usr/local/bin/guest-100 start")

    def runs_on(self) -> list[str]:
        """The nodes on which the guest runs."""
        return [each.name for each in (self.source, self.target)
                if each.run("/usr/local/bin/guest-100 status", check=False).returncode == 0]  # fmt: skip

    def numbers(self, node: Node) -> list[int]:
        """What the guest wrote."""
        return [int(line) for line in node.read(f"/tank/data/{FS}/numbers").split()]

    def turn(self) -> None:
        """Swap source and target."""
        self.source, self.target = self.target, self.source

    def has_moved(self) -> None:
        """Check that it runs on the other node alone, with all that it wrote, and that its job replicates back."""
        old, new = self.source, self.target
        assert self.runs_on() == [new.name]
        numbers = self.numbers(new)
        assert numbers == list(range(1, len(numbers) + 1))
        self.turn()
        new.run(f"echo more | dd of=/dev/zvol/tank/data/{A} conv=notrunc,sync status=none")
        self.well(within=2)
        assert ": full" not in self.log()
        assert self.aside() == []
        assert old.out("zfs get -Ho value readonly tank/data/" + A) == "on"
