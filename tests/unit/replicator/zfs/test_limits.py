"""Limits of ZFS and of Linux: what is too much for one program or one command goes another way, or in portions."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import DeadlineError, SupersededError, ZfsError
from replicator.hosts.host import Completed
from replicator.zfs.channel_programs import PruneResult
from replicator.zfs.commands import destroy_snapshots, in_parts, local_stamps, salts, stamp
from replicator.zfs.features import features_from_usage
from replicator.zfs.fence import Fence, Guard
from replicator.zfs.model import Snapshot
from replicator.zfs.permits import Law, SnapshotsPermit
from replicator.zfs.pruning import PORTION
from tests.support.played_host import PlayedHost
from tests.support.played_zfs import USAGE
from tests.support.volumes import JOB

NAME = "pool/vm-100-disk-0"
ARGUMENT_LIMIT = 128 * 1024
"""Bytes of one argument that Linux allows (MAX_ARG_STRLEN); a remote shell gets a whole command line as one."""
MODERN = features_from_usage(USAGE.read_text(), "2.3.2")


class PrunesByProgram(PlayedHost):
    """A host that runs programs: each destroys what it was given, up to one that ``fails_at`` with some words."""

    def __init__(self, fails_at: int = 99, words: str = "", answer: object = None) -> None:
        super().__init__()
        self.given: list[int] = []
        self._fails_at = fails_at
        self._words = words
        self._answer = answer

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """Answer a program with what it left: nothing."""
        if argv[1:2] != ["program"]:
            return await super().run(argv, limit=limit, stdin=stdin)
        self.given.append(stdin.partition("\n")[0].count("unproven") or stdin.partition("\n")[0].count("\\095000"))
        if len(self.given) == self._fails_at:
            if self._answer is not None:
                return Completed(tuple(argv), 0, json.dumps({"return": self._answer}), "")
            return Completed(tuple(argv), 1, "", self._words)
        return Completed(tuple(argv), 0, json.dumps({"return": {"can_bookmark": True}}), "")


def many(count: int) -> SnapshotsPermit:
    """The permit to destroy many snapshots, each of which has ``_000`` once in its name."""
    snapshots = tuple(Snapshot(f"old_000{number}", number + 1, number + 1, 0) for number in range(count))
    return SnapshotsPermit(Law.OURS, "superseded", NAME, snapshots)


class TestAProgram:
    @pytest.mark.parametrize(
        "words",
        [
            "Channel program execution failed:\nMemory limit exhausted.\n",
            "Channel program execution failed:\nReturn value too large.\n",
            "Channel program execution failed:\nTimed out.\n",
            "Channel program execution failed:\nInvalid instruction or memory limit.\n",
            'Channel program execution failed:\n[string "channel program"]:12: not enough memory\n',
            "Channel program execution failed:\nChannel program timed out.\n100000000 Lua instructions\n",
        ],
    )
    async def test_that_meets_a_limit_makes_way_for_commands_and_is_tried_again(self, words: str) -> None:
        host = PlayedHost()
        host.of_programs = words
        client = host.client
        assert await client.program("pool", "return 1") is None

        host.of_programs = "internal error"
        with pytest.raises(ZfsError):
            await client.program("pool", "return 1")

    async def test_of_a_user_who_may_not_is_not_tried_again(self) -> None:
        host = PlayedHost()
        host.of_programs = (
            "Channel program execution failed:\nPermission denied. Channel programs must be run as root.\n"
        )
        client = host.client
        assert await client.program("pool", "return 1") is None

        host.of_programs = "internal error"
        assert await client.program("pool", "return 1") is None


class TestFiveThousandSnapshots:
    async def test_go_in_portions(self) -> None:
        host = PrunesByProgram()
        done = await host.client.verify_and_prune("pool", stale=[many(5000)])
        assert isinstance(done, PruneResult)
        assert not done.left
        assert host.given == [PORTION] * (5000 // PORTION)

    @pytest.mark.parametrize("words", ["Timed out.", "internal error"])
    async def test_are_left_from_the_portion_on_that_fails(self, words: str) -> None:
        host = PrunesByProgram(3, words)
        done = await host.client.verify_and_prune("pool", stale=[many(2000)])
        assert isinstance(done, PruneResult)
        assert list(done.left) == many(2000).names[2 * PORTION :]
        assert len(host.given) == 3

    async def test_are_left_alone_from_the_portion_on_before_which_another_node_took_over(self) -> None:
        host = PrunesByProgram(2, answer={"fenced": NAME, "owner": "gamma", "epoch": "7"})
        guard = Guard(Fence(JOB, "alpha", 3), (NAME,))
        with pytest.raises(SupersededError):
            await host.client.verify_and_prune("pool", stale=[many(2000)], guard=guard)
        assert len(host.given) == 2


class TestACommandLine:
    @given(st.lists(st.text("abcdef0123456789-_", min_size=1, max_size=255), max_size=3000))
    def test_is_split_before_it_is_too_long_and_loses_no_name(self, names: list[str]) -> None:
        parts = in_parts(names)
        assert [name for part in parts for name in part] == names
        assert all(sum(len(name) + 3 for name in part) < ARGUMENT_LIMIT // 2 + 300 for part in parts)

    def test_of_any_kind_stays_below_the_limit_of_one_argument(self) -> None:
        names = [f"pool/data/{'x' * 200}-{number}" for number in range(2000)]
        orders = [
            *destroy_snapshots(MODERN, NAME, many(20_000).snapshots),
            *salts(names),
            *local_stamps(names),
            *stamp(MODERN, names, {"zsr:owner": "alpha", "zsr:epoch": "2"}),
        ]
        assert all(len(" ".join(argv)) + 3 * len(argv) < ARGUMENT_LIMIT for argv in orders)
        assert sum(argv[-1].count(",") + 1 for argv in orders if argv[1] == "destroy") == 20_000


async def test_an_estimate_that_does_not_come_in_time_is_none_and_fails_no_run() -> None:
    class Slow(PlayedHost):
        async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
            if "-nvP" in argv:
                raise DeadlineError(f"It did not end within {limit:.0f} s.")
            return await super().run(argv, limit=limit, stdin=stdin)

    assert await Slow().client.estimate(["zfs", "send", "tank/a@s"]) is None
