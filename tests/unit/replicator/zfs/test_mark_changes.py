"""A replica changes its job only if it is unchanged since the decision, in one step."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import BusyError, SupersededError, TargetActiveError, ZsrError
from replicator.hosts.host import Completed, Host
from replicator.models import JobId
from replicator.zfs.channel_programs import change_marks, changed_marks
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence, Stamped
from replicator.zfs.mark_changes import MarkChange, give_to_job
from replicator.zfs.model import Dataset
from tests.support.played_host import PlayedHost
from tests.support.played_zfs import USAGE
from tests.support.volumes import dataset, snap

NAME = "pool/vm-100-disk-0"
REPLICA = dataset(snap(1), name=NAME, job="100-1", readonly=True)
CHANGE = MarkChange(REPLICA, Fence(JobId(100, 1), "alpha", 2), Fence(JobId(200, 0), "alpha", 5))
ORDER = f"set zsr:owner=alpha zsr:epoch=5 zsr:source=alpha zsr:job=200-0 {NAME}"


class Programs:
    """A host whose channel programs return this; ``ran`` has their texts."""

    name = "beta"

    def __init__(self, **returned: object) -> None:
        self.ran: list[str] = []
        self._answer = json.dumps({"return": returned})

    async def run(self, argv: list[str], *, limit: float, stdin: str = "") -> Completed:
        match argv[1:]:
            case []:
                return Completed(tuple(argv), 2, "", USAGE.read_text())
            case ["version"]:
                return Completed(tuple(argv), 0, "zfs-2.3.2-1", "")
            case ["program", *_]:
                self.ran.append(stdin)
                return Completed(tuple(argv), 0, self._answer, "")
        raise AssertionError(argv)

    @property
    def client(self) -> ZfsClient:
        return ZfsClient(cast(Host, self), limit=20)


async def test_one_program_compares_and_sets_all() -> None:
    host = Programs(done=True)
    await give_to_job(host.client, CHANGE)
    [text] = host.ran
    request = text.split("\n", 1)[0]
    for word in ("guid", "marks", "values", "owner", "epoch"):
        assert f'["{word}"]' in request
    assert '["epoch"] = "2"' in request
    sets = text.index("zfs.sync.set_prop(name, each.key")
    assert max(text.index(check) for check in ("refused({name})", '"guid")', '"readonly")', '"written")')) < sets


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        ({"changed": "was written to"}, BusyError),
        ({"fenced": NAME, "owner": "gamma", "epoch": "3"}, SupersededError),
    ],
)
async def test_what_the_program_refuses_is_no_success(returned: dict[str, str], error: type[ZsrError]) -> None:
    with pytest.raises(error):
        await give_to_job(Programs(**returned).client, CHANGE)


def test_the_answer_of_the_program_is_read() -> None:
    assert changed_marks(json.dumps({"return": {"done": True}})) is True
    assert changed_marks(json.dumps({"return": {"unable": True}})) is False
    assert changed_marks(json.dumps({"return": {"changed": "x"}})) == "x"
    assert isinstance(changed_marks(json.dumps({"return": {"fenced": NAME}})), Stamped)
    assert "zsr\\058job" in change_marks(NAME, 1, {"zsr:job": "100-1"}, {}, CHANGE.fence)


async def test_without_programs_one_command_sets_all_after_another_look() -> None:
    host = PlayedHost(REPLICA)
    await give_to_job(host.client, CHANGE)
    assert host.orders == [ORDER]


@pytest.mark.parametrize(
    ("marks", "error"),
    [
        ({"readonly": ("off", "local")}, TargetActiveError),
        ({"zsr_job": ("100-1", "received")}, ZsrError),
        ({"zsr_source": ("omega", "local")}, ZsrError),
        ({"zsr_epoch": ("9", "local")}, SupersededError),
    ],
    ids=str,
)
async def test_a_replica_that_changed_is_left_alone(marks: dict[str, tuple[str, str]], error: type[ZsrError]) -> None:
    host = PlayedHost(REPLICA, **marks)
    with pytest.raises(error):
        await give_to_job(host.client, CHANGE)
    assert host.orders == []


@pytest.mark.parametrize("shown", [dataset(name=NAME, job="100-1", written=4096), replace(REPLICA, guid=99)])
async def test_a_replica_that_was_written_to_or_is_another_one_is_left_alone(shown: Dataset) -> None:
    host = PlayedHost(shown)
    with pytest.raises(ZsrError):
        await give_to_job(host.client, CHANGE)
    assert host.orders == []
