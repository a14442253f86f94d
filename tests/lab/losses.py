"""The tests about losses: what happens to guests and replicas, and the checks that nothing is gone."""

from __future__ import annotations

import json
import re
from typing import Any, Self

from tests.lab.lab import Node
from tests.lab.scenario import FS, A, Scenario

KEEP = ("--keep", "10")
"""More restore points than any of these tests makes: none of them may go."""


class Holdings(Scenario):
    """A `Scenario` that compares what is left by GUID: a dataset that was set aside or renamed is not lost."""

    def with_zvol(self) -> Self:
        """Give the guest a zvol with 4 MiB of content, and a job that keeps ten restore points; nothing runs it."""
        self.zvol(A, 8)
        self.job(*KEEP)
        return self

    def replicated_once(self) -> Self:
        """Give the guest a zvol and a filesystem, and a job that keeps ten restore points; run it once."""
        self.zvol(A, 8)
        self.filesystem(FS, 1)
        self.job(*KEEP)
        self.well()
        return self

    def grow(self, name: str, runs: int) -> set[str]:
        """Replicate so often, with a change of a volume before each; its restore points then, by GUID."""
        for _ in range(runs):
            self.write(name, 1)
            self.well()
        return self.points(self.target, name)

    def points(self, node: Node, name: str) -> set[str]:
        """The job's snapshots of a volume on a node, by GUID."""
        return {self.value(node, f"{name}@{snapshot}", "guid") for snapshot in self.ours(node, name)}

    def guids(self, node: Node) -> set[str]:
        """All datasets and snapshots of a node, by GUID."""
        return set(node.out(f"zfs list -Hpo guid -t filesystem,volume,snapshot -r {node.pool}").split())

    def lines(self) -> list[dict[str, Any]]:
        """The newest run's log, line by line: time, level and text."""
        found: list[dict[str, Any]] = json.loads(self.zsr("log", "100-0", "--format", "json"))["lines"]
        return found

    def in_the_clear(self) -> list[str]:
        """The commands by which the newest run sent something without ``-w``."""
        sends = [line["m"] for line in self.lines() if line["m"].startswith("zfs send")]
        return [send for send in sends if "-w" not in send.partition(" | ")[0].split()]

    def removed_or_failed(self) -> str | None:
        """Let the daemon remove the job; None when it is gone, or the class of the error that keeps it."""
        self.zsr("delete", "100-0", "--yes")
        self.daemon()
        self.until(lambda: all(job["error_class"] for job in self._jobs()), "the job is gone, or says why not")
        return next((str(job["error_class"]) for job in self._jobs()), None)

    def _jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.zsr("status", "--format", "json"))
        return found

    # --- acts

    def activate(self, name: str, text: str = "orders") -> None:
        """Start to live on a replica, as one does when the source is dead: make it writable, use it, write to it."""
        dataset = self.target.path(name)
        self.target.run(f"zfs set readonly=off {dataset} && udevadm settle")
        if self.volumes[name] == "filesystem":
            self.target.run(f"zfs set canmount=on {dataset} && zfs mount {dataset} && echo {text} >/{dataset}/live")
        else:
            self.target.run(f"echo {text} | dd of=/dev/zvol/{dataset} conv=notrunc,fsync,sync status=none")
        self.target.run("zpool sync")

    def destroy_on_source(self, name: str) -> None:
        """Destroy a volume with its snapshots; it counts as the guest's no more."""
        self.source.run(f"zfs destroy -r {self.source.path(name)}")
        del self.volumes[name]

    def roll_back(self, name: str, snapshot: str) -> None:
        """Roll a volume of the source back to a snapshot of the user's."""
        self.source.run(f"zfs rollback -r {self.source.path(name)}@{snapshot}")
        self.settle()

    def hooks(self, freeze: str, thaw: str) -> None:
        """Give the guest freeze and thaw commands."""
        self.cluster(
            'name = "web"\n', f"name = \"web\"\nfreeze = '{freeze}'\nthaw = '{thaw}'\nhook_timeout = \"20s\"\n"
        )

    def claim_on_target(self) -> None:
        """Let the files of the target name it as the guest's owner, and the source as its target."""
        here, there = self.source, self.target
        there.write(
            "/etc/zsr/zsr.toml", _renamed(here, "zsr.toml", {f'node = "{here.name}"': f'node = "{there.name}"'})
        )
        there.write(
            "/etc/zsr/cluster.toml",
            _renamed(
                here,
                "cluster.toml",
                {
                    f'node = "{here.name}"': f'node = "{there.name}"',
                    f'target = "{there.name}"': f'target = "{here.name}"',
                },
            ),
        )

    def move_by_hand(self) -> None:
        """Let source and target change places, as an admin does: stop here, make writable there, edit both files.

        The old source's volumes are taken as replicas where zsr asks for that.
        """
        self.claim_on_target()
        self.source.write("/etc/zsr/cluster.toml", self.target.read("/etc/zsr/cluster.toml"))
        for name, kind in self.volumes.items():
            dataset = self.source.path(name)
            files = kind == "filesystem"
            self.source.run(f"{f'zfs unmount {dataset};' if files else ''} zfs set readonly=on {dataset}")
            self.target.run(f"zfs set readonly=off {'canmount=on' if files else ''} {dataset} && udevadm settle")
            self.target.run(f"zfs mount {dataset}" if files else "true")
        self.source, self.target = self.target, self.source
        self.zsr("adopt", "100-0", "--yes", check=False)


def remove_pvesrs_job(node: Node, job: str) -> list[str]:
    """What ``pvesr delete`` does on the target: snapshots with the job's name go, and each volume that had one."""
    listing = node.out(f"zfs list -Ho name -t filesystem,volume -d 1 {node.path()}").split()
    gone = []
    for volume in listing[1:]:
        theirs = node.out(f"zfs list -Ho name -t snapshot {volume} | grep '@__replicate_{job}_' || true").split()
        for snapshot in theirs:
            node.run(["zfs", "destroy", snapshot])
        if theirs:
            node.run(["zfs", "destroy", "-r", volume])
            gone.append(volume)
    return gone


def _renamed(node: Node, file: str, words: dict[str, str]) -> str:
    text = node.read(f"/etc/zsr/{file}")
    return re.sub("|".join(map(re.escape, words)), lambda found: words[found[0]], text)


class Stranger:
    """A second zsr on the source's machine, which knows nothing of the first: its own files, volumes and name."""

    config = "/etc/zsr/stranger/zsr.toml"

    def __init__(self, node: Node, target: Node) -> None:
        self.node = node
        address = "local" if target.number == node.number else target.host
        node.run("zfs create tank/strange")
        node.write(
            self.config,
            'node = "gamma"\nstate_dir = "/var/lib/zsr/stranger"\ncontrol = "/run/zsr/stranger/control.sock"\n'
            '[cluster]\npath = "/etc/zsr/stranger/cluster.toml"\n',
        )
        node.write(
            "/etc/zsr/stranger/cluster.toml",
            f'[nodes.gamma]\naddress = "node1"\n[nodes.vault]\naddress = "{address}"\n'
            f'[storages.pond]\npath = "tank/strange"\npaths = {{ vault = "{target.path()}" }}\n'
            '[guests.100]\nname = "shop"\nnode = "gamma"\n[jobs.100-0]\ntarget = "vault"\nkeep = 10\n',
        )

    def zvol(self, name: str) -> None:
        """Create a small volume of the stranger's guest."""
        self.node.run(f"zfs create -V 8M tank/strange/{name} && udevadm settle")
        self.write(name)

    def write(self, name: str) -> None:
        """Change a volume."""
        self.node.run(f"dd if=/dev/urandom of=/dev/zvol/tank/strange/{name} bs=1M count=1 conv=fsync status=none")

    def zsr(self, *arguments: str) -> int:
        """Run one of the stranger's commands; its exit status."""
        return self.node.zsr("--config", self.config, *arguments, check=False).returncode

    def error_class(self) -> str:
        """The class of the error that its job has."""
        said = self.node.zsr("--config", self.config, "status", "--format", "json").stdout
        return str(json.loads(said)[0]["error_class"])

    def jobs(self) -> str:
        """Its jobs, as a table."""
        return self.node.zsr("--config", self.config, "list").stdout
