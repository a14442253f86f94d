"""The methods of replication that are compared, each as a shell command for the source node.

All send plainly (no compression on the wire, no buffers in between) with the same cipher, each from its own tree.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bench.peers import ENVIRONMENT, FOLDER

CIPHER = "aes128-gcm@openssh.com"
TARGET = "root@node2"
MASTER = f"-o ControlMaster=auto -o ControlPath=/run/bench-%C -o ControlPersist=600 -c {CIPHER}"

_TRIGGER = (
    'socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un("/run/zsr/control.sock")) or die; '
    'syswrite(S, "$ARGV[0]\\n"); local $/; $_ = <S>; print; exit(/"result": "success"/ ? 0 : 1)'
)
"""Perl, because it starts quickly: the wait is for the daemon."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The volumes of one guest: ``root``/``guest``-disk-0 and so on, whose parent is the way's own dataset."""

    root: str
    guest: int
    volumes: int

    @property
    def names(self) -> list[str]:
        """The datasets, the same on both nodes."""
        return [f"{self.root}/subvol-{self.guest}-disk-{number}" for number in range(self.volumes)]

    @property
    def old(self) -> str:
        """The file in which a way by hand keeps the name of its last snapshot."""
        return f"/run/old-{self.root.replace('/', '-')}"


def zsr(tree: Tree) -> str:
    """Ask the running daemon for the run of the guest's job and wait for its end."""
    request = json.dumps({"verb": "run", "job": f"{tree.guest}-0"})
    return f"perl -MSocket -e '{_TRIGGER}' '{request}'"


def by_hand(tree: Tree, *, changed: bool, login: bool = False) -> str:
    """The least that is needed, over one open connection: both sides at once wherever order does not matter.

    ``login``: each stream's ``ssh`` logs in itself, as the plain ``zfs send | ssh zfs receive`` does.

    Nothing changed: one list a side. Otherwise: list a side, one snapshot of all volumes, a send and a receive for
    each, one list of the target that reads the GUIDs back, a destroy of the old snapshot for each a side.
    """
    far = f"ssh {MASTER} {TARGET}"
    columns = "zfs list -Hp -t all -o name,guid,createtxg,written -r"
    look = f"{far} {columns} {tree.root} >/run/there & {columns} {tree.root} >/run/here; wait"
    if not changed:
        return look
    way = f"ssh -c {CIPHER} {TARGET}" if login else far
    sends = "; ".join(
        f"zfs send -Lce -i @$old {name}@$new | {way} zfs receive -u -o readonly=on {name}" for name in tree.names
    )
    snapshots = " ".join(f"{name}@$new" for name in tree.names)
    guids = f"{far} zfs list -Hp -o name,guid {snapshots} >/run/proof"
    destroys = "; ".join(f"zfs destroy {name}@$old" for name in tree.names)
    return (
        f"set -e; old=$(cat {tree.old}); new=hand$(date +%s%N); {look}; zfs snapshot {snapshots}; {sends}; "
        f'{guids}; {far} "{destroys}" & {destroys}; wait; echo $new >{tree.old}'
    )


def by_hand_first(tree: Tree) -> str:
    """The full transfer that the first increment by hand builds upon."""
    far = f"ssh {MASTER} {TARGET}"
    sends = "; ".join(f"zfs send -Lce {name}@hand0 | {far} zfs receive -u {name}" for name in tree.names)
    snapshots = " ".join(f"{name}@hand0" for name in tree.names)
    return f"set -e; zfs snapshot {snapshots}; {sends}; echo hand0 >{tree.old}"


def syncoid(tree: Tree, *, changed: bool) -> str:
    """One call for the tree; with its own snapshot where something changed."""
    options = "" if changed else "--no-sync-snap"
    return (
        f"{ENVIRONMENT} perl {FOLDER}/sbin/syncoid -r --skip-parent --quiet --compress=none "
        f"--sshcipher={CIPHER} {options} {tree.root} {TARGET}:{tree.root} </dev/null"
    )


def bzfs(tree: Tree, *, changed: bool) -> str:
    """One call for the tree; it takes and destroys no snapshot itself, so ``zfs snapshot`` comes before."""
    take = "zfs snapshot " + " ".join(f"{name}@bzfs$n" for name in tree.names)
    return (
        (f"n=$(date +%s%N); {take}; " if changed else "")
        + f"{ENVIRONMENT} python3 -m bzfs_main.bzfs --quiet -r --skip-parent --compression-program=- "
        f"--mbuffer-program=- --pv-program=- {tree.root} {TARGET}:{tree.root}"
    )


def autobackup(tree: Tree, *, changed: bool) -> str:
    """One call for the tree; it takes the snapshots itself, at most one a second."""
    options = "" if changed else "--no-snapshot"
    return (
        f"{ENVIRONMENT} python3 -m zfs_autobackup.ZfsAutobackup --ssh-target {TARGET} --strip-path 1 --no-thinning "
        f"--exclude-received --no-progress {options} {tree.root.rpartition('/')[2]} tank"
    )
