"""The steps of a move, each tied to its name in the model of the protocol, and commands that end at one of them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.lab import Node, NodeProcess


@dataclass(frozen=True)
class Step:
    """A step of the model, the function that does it, and which of its calls does."""

    task: str
    name: str
    function: str
    call: int = 1

    def __str__(self) -> str:
        return f"{self.task}: {self.name} ({self.function.rpartition('.')[2]})"


STORE, MOVE = "replicator.cluster.store:ClusterStore", "replicator.cli.guest_move"
GIVING = [
    Step("move", "announce", f"{STORE}.announce_move"),
    Step("move", "announce", "replicator.cli.cluster_copies:Copies.write", 2),
    Step("move", "stop", "replicator.guests.power:stop"),
    Step("move", "read-only", f"{MOVE}:make_read_only"),
    Step("move", "snapshot", f"{MOVE}:_Move._sync", 3),
    Step("move", "hand over", "replicator.cli.cluster_copies:Copies.write_file", 3),
    Step("move", "hand over", f"{STORE}.hand_over", 2),
    Step("release", "read-only", "replicator.guests.release:make_read_only"),
    Step("release", "stamp", "replicator.guests.release:mark_replicas", 2),
]
TAKING = [
    Step("take", "stamp", "replicator.guests.recovery:begin_activation"),
    Step("take", "end receives", "replicator.zfs.client:ZfsClient.end_stale_receives"),
    Step("take", "writable", "replicator.guests.recovery:open_volumes"),
    Step("take", "compare", "replicator.guests.recovery:_refuse_late"),
    Step("take", "fork", "replicator.zfs.client:ZfsClient.snapshot"),
    Step("take", "settle", "replicator.guests.power:start"),
]
GIVING_UP = [
    Step("give up", "settle", "replicator.cli.cluster_copies:Copies.write"),
    Step("give up", "settle", f"{STORE}.announce_move", 2),
    Step("reopen", "writable", f"{MOVE}:make_writable"),
    Step("reopen", "done", "replicator.guests.power:start_again"),
]
RETURNING = [
    Step("take", "set aside", "replicator.guests.older_set:keep_aside", 2),
    Step("take", "clone", "replicator.guests.older_set:clone_unmounted"),
    Step("take", "promote", "replicator.zfs.client:ZfsClient.promote", 2),
    Step("take", "fork", "replicator.zfs.client:ZfsClient.snapshot"),
]
"""The return to an older set, by which a recovery begins to take the guest."""
COMMITTED = 5
"""From this one on of `GIVING`, after it, the guest belongs to the other node."""
WHEN = ("before", "after")
_PROGRAM = "cd /opt/zsr && PYTHONPATH=/opt/zsr:/lab/site exec python3 -m tests.lab.die_at"


def dies(node: Node, when: str, step: Step, *arguments: str) -> None:
    """Let a command of zsr on a node die at a step."""
    program = f"{_PROGRAM} killed {when} {step.function} {step.call} {' '.join(arguments)}"
    done = node.run(f"({program}); echo status $?", check=False, timeout=300)
    assert "status 137" in done.stdout, done.stdout + done.stderr


def stands_still(node: Node, when: str, step: Step, *arguments: str) -> NodeProcess:
    """Start a command of zsr on a node, and return when it stands still at a step."""
    node.run("rm -f /run/held /run/go")
    command = node.spawn(f"{_PROGRAM} held {when} {step.function} {step.call} {' '.join(arguments)}")
    done = node.run(
        "for i in $(seq 600); do [ -e /run/held ] && exit 0; sleep 0.5; done; exit 1", check=False, timeout=400
    )
    assert done.returncode == 0, command.output()
    return command
