"""How long a guest is off while it moves; `python -m bench.move`.

In each round the same guest, a filesystem and a zvol to which it writes all the time, is off twice: for ``zsr guest
move``, with the daemons that run anyway, and for a move by hand. By hand is what a careful person does at least, each
command typed in advance: all was sent while the guest ran; it is stopped, a snapshot is taken, both volumes are sent
over an open connection and become read-only here, writable and mounted there, and the guest is started. It is started
where it was, since what is sent by hand has another place. Both change as much before.
"""

from __future__ import annotations

import argparse
import re
import sys
from statistics import median

from bench.env import booted, save
from tests.lab.lab import Lab
from tests.lab.moving import GUEST, Moving
from tests.lab.scenario import FS, A

_CHANGE = "dd if=/dev/urandom of={} bs=1M count={} conv=notrunc,fsync status=none"
_SSH = "ssh -o ControlPath=/run/hand -o ControlMaster=auto -o ControlPersist=600"
_WRITES = f"dd if=/dev/urandom of=/dev/zvol/tank/data/{A} bs=1M seek=$((n%32)) count=1 conv=notrunc status=none; "
"""A megabyte more between two numbers of the guest."""
_SEND = "zfs send -w {since} tank/data/{name}@{new} | {ssh} {there} zfs receive -u -o readonly=on -F tank/hand/{name}"


_OPEN_THERE = f"zfs set readonly=off tank/hand/{FS} tank/hand/{A}; zfs mount tank/hand/{FS}"


def by_zsr(guest: Moving, megabytes: int) -> float:
    """Move the guest; the seconds that it was off."""
    old, new = guest.source, guest.target
    old.run(_CHANGE.format(f"/dev/zvol/tank/data/{A}", megabytes), timeout=300)
    said = old.zsr("guest", "move", "100", new.name, "--yes", timeout=600).stdout
    guest.turn()
    found = re.search(r"was down for ([0-9.]+) s", said)
    if found is None:
        raise ValueError(said)
    return float(found[1])


def by_hand(guest: Moving, megabytes: int, number: int) -> float:
    """Send the guest's volumes as a move by hand would; the seconds between its stop and its start."""
    old, new = guest.source, guest.target
    before, synced, last = f"hand{number}a", f"hand{number}b", f"hand{number}c"
    names = (FS, A)

    def snapshot(name: str) -> None:
        old.run("zfs snapshot " + " ".join(f"tank/data/{each}@{name}" for each in names))

    def send(upto: str, since: str = "") -> str:
        step = f"-i @{since}" if since else ""
        return " && ".join(_SEND.format(since=step, new=upto, name=each, ssh=_SSH, there=new.name) for each in names)

    new.run("zfs destroy -r tank/hand 2>/dev/null; zfs create -o canmount=off tank/hand")
    snapshot(before)
    old.run(send(before), timeout=600)
    old.run(_CHANGE.format(f"/dev/zvol/tank/data/{A}", megabytes), timeout=300)
    snapshot(synced)
    old.run(send(synced, before), timeout=600)
    script = (
        f"s=$(date +%s.%N); /usr/local/bin/guest-100 stop; zfs snapshot tank/data/{FS}@{last} tank/data/{A}@{last} && "
        f"{send(last, synced)} && zfs unmount tank/data/{FS} && zfs set readonly=on tank/data/{FS} tank/data/{A} && "
        f"{_SSH} {new.name} '{_OPEN_THERE}'; e=$(date +%s.%N); "
        f"zfs set readonly=off tank/data/{FS} tank/data/{A}; zfs mount tank/data/{FS}; "
        "f=$(date +%s.%N); /usr/local/bin/guest-100 start; g=$(date +%s.%N); echo $s $e $f $g"
    )
    stopped, ready, started, runs = map(float, old.out(script, timeout=600).split()[-4:])
    old.run("for s in $(zfs list -Ho name -t snapshot -r tank/data | grep @hand); do zfs destroy $s; done")
    return ready - stopped + runs - started


def measure(lab: Lab, megabytes: int, change: int, rounds: int) -> dict[str, object]:
    """Rounds of both ways; zsr's time off by the hand's of the same round, as median."""
    node1, node2 = lab.nodes[:2]
    for node in (node1, node2):
        node.fresh()
    guest = Moving(lab, node1, node2)
    guest.begin(zvol_mb=megabytes)
    for node in (node1, node2):
        node.write("/usr/local/bin/guest-100", GUEST.replace("sleep 0.05", f"{_WRITES}sleep 0.05"))
    guest.daemon()
    node2.spawn(["zsr", "daemon"])
    node1.run("/usr/local/bin/guest-100 stop; /usr/local/bin/guest-100 start")
    seconds: dict[str, list[float]] = {"zsr": [], "hand": []}
    for number in range(rounds):
        seconds["hand"].append(round(by_hand(guest, change, number), 2))
        seconds["zsr"].append(by_zsr(guest, change))
        sys.stdout.write(f"hand {seconds['hand'][-1]} s, zsr {seconds['zsr'][-1]} s\n")
        sys.stdout.flush()
    ratio = median(own / hand for own, hand in zip(seconds["zsr"], seconds["hand"], strict=True))
    sizes = {"megabytes": megabytes, "change": change, "rounds": rounds}
    return {**sizes, "seconds": seconds, "zsr_to_hand": round(ratio, 2)}


def main() -> None:
    """Boot the lab, measure, write bench/results/move.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--change", type=int, default=64, help="megabytes that change before each move")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    with booted() as lab:
        result = measure(lab, options.megabytes, options.change, options.rounds)
        sys.stdout.write(f"{result}\nwritten: {save('move', {'move': result})}\n")


if __name__ == "__main__":
    main()
