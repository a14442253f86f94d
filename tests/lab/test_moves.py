"""A running guest moves to another node: it stops once, no write of it is lost, and its job replicates back."""

from __future__ import annotations

import json

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.moving import RUNTIME, Moving
from tests.lab.node_files import FILES
from tests.lab.scenario import A

pytestmark = pytest.mark.sampled(9)


@pytest.fixture
def guest(lab: Lab, node1: Node, node2: Node) -> Moving:
    guest = Moving(lab, node1, node2)
    guest.begin()
    return guest


def test_a_running_guest_moves_there_and_back_without_losing_a_write(guest: Moving) -> None:
    old, new = guest.source, guest.target

    for _ in range(2):
        said = old.zsr("guest", "move", "100", new.name, "--yes").stdout
        assert "was down for" in said
        assert guest.runs_on() == [new.name]
        guest.turn()
        old, new = guest.source, guest.target
        before = guest.numbers(old)
        assert before == list(range(1, len(before) + 1))
        old.run(f"echo more | dd of=/dev/zvol/tank/data/{A} conv=notrunc,sync status=none")
        guest.well()
        assert ": full" not in guest.log()
        assert guest.aside() == []

    jobs = json.loads(old.zsr("status", "--format", "json").stdout)
    assert [(job["id"], job["error_class"]) for job in jobs] == [("100-0", None)]


def test_a_disk_that_no_job_replicates_is_named_before_the_guest_stops_and_stays(guest: Moving) -> None:
    old, new = guest.source, guest.target
    left = f"{A[:-1]}9"
    old.run(f"zfs create -V 8M tank/data/{left}")
    guest.cluster(RUNTIME, f'{RUNTIME}volumes = [{{ volume = "tank:{left}", replicate = false }}]\n')
    new.write(FILES[1], old.read(FILES[1]))

    done = old.zsr("guest", "move", "100", new.name, "--yes")

    assert f"'tank/data/{left}' stays on {old.name}: it is not replicated (excluded)." in done.stderr
    assert old.out(f"zfs get -Ho value readonly tank/data/{left}") == "off"
    assert guest.runs_on() == [new.name]


def test_what_it_needs_besides_its_disks_is_in_place_before_it_starts(guest: Moving) -> None:
    old, new = guest.source, guest.target
    settings = "/etc/guest-100.conf"
    guest.cluster(RUNTIME, f'{RUNTIME}files = ["{settings}"]\n')
    new.write(FILES[1], old.read(FILES[1]))
    old.write(settings, "memory = 2\n")
    old.run(f"chown 7:7 {settings} && chmod 640 {settings}")
    new.write(settings, "of another guest\n")

    said = old.zsr("guest", "move", "100", new.name, "--yes").stdout

    assert settings in said
    assert new.read(settings) == "memory = 2\n"
    assert new.out(f"stat -c '%u:%g %a' {settings}") == "7:7 640"
    assert new.out(f"cat {settings}.zsr-before-*") == "of another guest"
    assert guest.runs_on() == [new.name]
