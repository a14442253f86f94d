"""What a run reads of a target with 1,000 other guests x 100 restore points; `python -m bench.rows`.

Rows, bytes, processor time and peak memory of one look at the target, from the bytes that ``zfs list`` prints on. The
time of ZFS itself is not in it. ``whole`` lists the storage with all snapshots, as runs did before, ``guest`` the
guest's rows as a run does whose memory says where they are, ``doubt`` those of a run without such a memory. ``ratio``
is what the others cost: the same look with them, divided by the look without.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Any, cast

from bench.env import save
from replicator.hosts.host import Completed, Host
from replicator.models import Guest, JobId, Storage
from replicator.replication.guest_rows import guest_rows, is_of_guest, remembered_names
from replicator.zfs.client import ZfsClient
from replicator.zfs.commands import LISTED
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.played_zfs import USAGE

PATH = "tank/data"
OWN, GUESTS, POINTS, ROUNDS = 100, 1000, 100, 3
STORAGE, GUEST = Storage("data", PATH), Guest(OWN, "web", "alpha")


class Target:
    """A host whose ``zfs list`` prints the rows of some guests, each with a volume and its restore points."""

    name = "beta"

    def __init__(self, guests: Sequence[int], points: int) -> None:
        self._own = {self._name(guest): self._rows(guest, points) for guest in guests}
        self.printed = 0

    @staticmethod
    def _name(guest: int) -> str:
        return f"{PATH}/vm-{guest}-disk-0"

    @staticmethod
    def _line(name: str, number: int, **values: object) -> str:
        row = {
            "name": name,
            "type": "volume",
            "guid": 2**63 - number,
            "createtxg": number,
            "creation": number,
            **values,
        }
        return "\t".join(str(row.get(column, "-")) for column in LISTED) + "\n"

    def _rows(self, guest: int, points: int) -> list[str]:
        name, first = self._name(guest), guest * 100_000
        marks = {"zsr:job": f"{guest}-0", "zsr:source": "alpha", "readonly": "on", "written": 0}
        sets = (snapshot_name(JobId(guest, 0), 1_700_000_000 + 900 * number) for number in range(points))
        lines = [self._line(f"{name}@{each}", first + 1 + at, type="snapshot") for at, each in enumerate(sets)]
        return [self._line(name, first, **marks), *lines]

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """Print what zfs would."""
        match argv[1:]:
            case []:
                return Completed(tuple(argv), 2, "", USAGE.read_text())
            case ["list", *words]:
                return Completed(tuple(argv), 0, self._listed(words), "")
            case ["get", *_]:
                names = argv[argv.index("zsr:job,zsr:source") + 1 :]
                marks = (f"{n}\tzsr:job\t{n.split('-')[1]}-0\n{n}\tzsr:source\talpha\n" for n in names)
                return Completed(tuple(argv), 0, "".join(marks), "")
        return Completed(tuple(argv), 0, "zfs-2.3.2-1", "")

    def _listed(self, words: Sequence[str]) -> str:
        depth, names = int(words[words.index("-d") + 1]), words[words.index("-o") + 2 :]
        bare = depth == 1 or "snapshot" not in words[words.index("-t") + 1]
        lines = [self._line(PATH, 1, type="filesystem")] if PATH in names else []
        for name, rows in self._own.items():
            if name in names or PATH in names:
                lines += rows[:1] if bare and name not in names else rows
        self.printed += len(lines)
        return "".join(lines)


Look = Callable[[ZfsClient], Awaitable[object]]


def looks() -> dict[str, Look]:
    """The three looks by name."""
    wanted = is_of_guest(GUEST, STORAGE, PATH)
    names = remembered_names(STORAGE, PATH, GUEST, [f"data:vm-{OWN}-disk-0"], ())
    return {
        "whole": lambda client: client.inventory(PATH, depth=8),
        "guest": lambda client: guest_rows(client, PATH, wanted, names=names),
        "doubt": lambda client: guest_rows(client, PATH, wanted),
    }


async def measured(look: Look, guests: Sequence[int], points: int) -> dict[str, float]:
    """Rows, seconds and peak bytes of one look, without the first, which asks for marks and features."""
    host = Target(guests, points)
    client = ZfsClient(cast(Host, host), limit=60)
    await look(client)
    seconds: list[float] = []
    for _ in range(ROUNDS):
        gc.collect()
        host.printed, begin = 0, time.process_time()
        await look(client)
        seconds.append(time.process_time() - begin)
    rows = host.printed
    gc.collect()
    tracemalloc.start()
    await look(client)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"rows": rows, "seconds": median(seconds), "peak_bytes": peak}


async def bench() -> dict[str, Any]:
    """All looks, without and with the others."""
    found: dict[str, Any] = {}
    for name, look in looks().items():
        alone = await measured(look, [OWN], POINTS)
        among = await measured(look, [OWN, *range(1000, 1000 + GUESTS)], POINTS)
        ratio = {key: round(among[key] / alone[key], 2) for key in alone}
        found[name] = {"alone": alone, "among": among, "ratio": ratio}
    return found


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    found = asyncio.run(bench())
    for name, each in found.items():
        print(name, each)  # noqa: T201
    save("rows", {"guests": GUESTS, "points": POINTS, "looks": found})


if __name__ == "__main__":
    main()
