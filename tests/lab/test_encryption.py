"""Encrypted volumes on a real ZFS: sent raw, never readable on the target, incrementals and all."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.two_nodes import TwoNodeCluster

pytestmark = pytest.mark.sampled(4)


@pytest.fixture
def duo(lab: Lab, source: Node, target: Node) -> TwoNodeCluster:
    """A cluster of two nodes; the guest has an encrypted zvol and a plain one."""
    duo = TwoNodeCluster(lab, source, target)
    source.write("/root/key", "12345678\n")
    key = "-o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key"
    source.run(f"zfs create {key} -V 32M tank/data/vm-100-disk-0 && udevadm settle")
    duo.volumes["vm-100-disk-0"] = "zvol"
    duo.write("vm-100-disk-0", 16)
    duo.zvol("vm-100-disk-1", 16)
    duo.job()
    return duo


def test_an_encrypted_volume_arrives_locked_and_opens_with_the_sources_key(duo: TwoNodeCluster) -> None:
    duo.zsr("run", "--id", "100-0")
    assert duo.target.out(f"zfs get -Ho value keystatus {duo.target.path('vm-100-disk-0')}") == "unavailable"
    duo.write("vm-100-disk-0", 2)
    duo.zsr("run", "--id", "100-0")
    assert duo.status()["sent_bytes"] < 4e6
    duo.target.run(f"echo 12345678 | zfs load-key -L prompt {duo.target.path('vm-100-disk-0')}")
    assert duo.same_on_both()


def test_a_volume_whose_key_is_not_loaded_is_sent_all_the_same(duo: TwoNodeCluster) -> None:
    duo.source.run("zfs unload-key tank/data/vm-100-disk-0")
    duo.zsr("run", "--id", "100-0")
    assert duo.status()["state"] == "ok"
