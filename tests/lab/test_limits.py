"""A filesystem whose first copy was cut and resumed, or is readable, keeps its limits when it becomes the guest."""

from __future__ import annotations

import pytest

from replicator.zfs.resume_token import decode_token
from tests.lab.lab import Lab, Node
from tests.lab.scenario import FS, MIB, Scenario

pytestmark = pytest.mark.sampled(9)

LIMITS = {"quota": 200 * MIB, "reservation": 20 * MIB, "refquota": 100 * MIB, "refreservation": 24 * MIB}
DEAD = 'address = "127.0.0.1"\nport = 1'
RECOVER = ("guest", "recover", "100", "--force", "--yes")


@pytest.fixture
def container(lab: Lab, source: Node, target: Node) -> Scenario:
    """A filesystem with limits, and a job that has not run yet."""
    made = Scenario(lab, source, target)
    source.run(["zfs", "create", source.path(FS)])
    source.run(f"zfs set {' '.join(f'{key}={value}' for key, value in LIMITS.items())} {source.path(FS)}")
    made.volumes[FS] = "filesystem"
    made.write(FS, 12)
    made.job()
    return made


def token(guest: Scenario) -> str:
    """The resume token of the replica; ``-`` without one, and without a replica."""
    asked = ["zfs", "get", "-Ho", "value", "receive_resume_token", guest.target.path(FS)]
    return guest.target.run(asked, check=False).stdout.strip() or "-"


def cut(guest: Scenario) -> None:
    """Kill a run when some of the filesystem has arrived."""
    guest.zsr("update", "100-0", "--rate", "1")
    run = guest.source.spawn(["zsr", "run", "--id", "100-0"])
    guest.until(lambda: token(guest) != "-", "the transfer is under way")
    guest.until(lambda: decode_token(token(guest)).received > 3e6, "some of it has arrived")
    run.kill("KILL")
    guest.zsr("update", "100-0", "--delete", "rate")


def limits(guest: Scenario, node: Node) -> dict[str, int]:
    """The limits of the filesystem on a node, as they hold."""
    return {key: int(guest.value(node, FS, key)) for key in LIMITS}


def recover(guest: Scenario) -> None:
    """Let node2, which is the same machine, recover the guest while node1 seems to be dead."""
    guest.source.write("/etc/zsr/zsr.toml", 'node = "node2"\nstate_dir = "/var/lib/zsr-node2"\n')
    guest.cluster('[nodes.node1]\naddress = "node1"', f"[nodes.node1]\n{DEAD}")
    guest.zsr(*RECOVER)


def test_a_first_copy_that_was_cut_and_resumed_becomes_a_guest_with_all_its_limits(container: Scenario) -> None:
    """A resumed stream carries no properties, and nothing follows it while the guest is idle."""
    cut(container)
    container.well()
    assert container.well() == 0
    assert limits(container, container.target) == dict.fromkeys(LIMITS, 0)

    recover(container)

    assert limits(container, container.target) == LIMITS


def test_what_the_source_changed_later_counts_more_than_what_was_remembered(container: Scenario) -> None:
    cut(container)
    container.well()
    container.source.run(f"zfs set refquota=150M {container.source.path(FS)}")
    container.write(FS, 1)
    container.well()

    recover(container)

    assert limits(container, container.target) == {**LIMITS, "refquota": 150 * MIB}


def test_an_increment_that_was_cut_and_resumed_brings_the_limit_of_now(container: Scenario) -> None:
    container.well()
    container.write(FS, 12)
    container.source.run(f"zfs set refquota=none {container.source.path(FS)}")
    cut(container)
    container.well()

    recover(container)

    assert limits(container, container.target) == {**LIMITS, "refquota": 0}


def test_a_decrypted_copy_of_a_filesystem_whose_quotas_were_taken_off_is_no_error(container: Scenario) -> None:
    """ZFS prints such a quota as 0, and refuses to set it so."""
    here = container.source.path(FS)
    container.source.write("/root/key", "12345678\n")
    container.source.run(
        f"zfs destroy -r {here}; zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key "
        f"{here} && zfs set quota=200M refquota=100M {here} && zfs set quota=none refquota=none {here}"
    )
    container.write(FS, 2)
    container.zsr("update", "100-0", "--encryption", "decrypted")
    container.well()

    recover(container)

    assert limits(container, container.target) == dict.fromkeys(LIMITS, 0)
