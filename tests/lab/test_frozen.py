"""A guest that a killed daemon left frozen is thawed first thing when it starts again."""

from __future__ import annotations

import json

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import Holdings
from tests.lab.scenario import A

MARKS = "/tmp/marks"

FREEZE = f"echo freeze >>{MARKS}; [ $(wc -l <{MARKS}) -gt 1 ] || kill -9 $PPID"
"""Leaves a mark; the first time it kills the daemon, whose child it is, when its work is done."""
THAW = f"echo thaw >>{MARKS}"


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Holdings:
    """A cluster of two nodes, and a guest whose hooks leave marks."""
    made = Holdings(lab, source, target)
    made.source.run(f"rm -f {MARKS}")
    made.zvol(A, 8)
    made.job()
    made.hooks(FREEZE, THAW)
    return made


def marks(guest: Holdings) -> list[str]:
    """The hooks that worked so far, in order."""
    return guest.source.run(f"cat {MARKS}", check=False).stdout.split()


def runs(guest: Holdings) -> int:
    """How many runs there have been."""
    return len(json.loads(guest.zsr("log", "100-0", "--runs", "--format", "json")))


def test_a_guest_is_thawed_before_the_next_run_when_the_daemon_was_killed_while_it_was_frozen(guest: Holdings) -> None:
    killed = guest.source.spawn(["zsr", "daemon"])
    assert killed.wait() == 128 + 9
    assert marks(guest) == ["freeze"]

    guest.daemon()
    guest.until(lambda: marks(guest) == ["freeze", "thaw"], "the guest is thawed")
    assert runs(guest) == 1
    guest.until(lambda: "zsr_guest_frozen_since_timestamp_seconds{" not in guest.get("/metrics"), "it counts as thawed")

    guest.well()
    assert marks(guest) == ["freeze", "thaw", "freeze", "thaw"]
