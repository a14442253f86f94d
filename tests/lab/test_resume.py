"""Half-received states on real ZFS: tokens are read as ZFS reads them, and a state is dropped only if it is useless."""

from __future__ import annotations

import json
import re

import pytest

from replicator.zfs.resume_token import decode_token
from tests.lab.lab import Lab, Node
from tests.lab.two_nodes import TwoNodeCluster

pytestmark = pytest.mark.sampled(9)

NAME = "vm-100-disk-0"
ZVOL = f"tank/data/{NAME}"
DYING = """\
#!/bin/sh
[ "$1 $2" = "send -t" ] || exec /usr/sbin/zfs "$@"
/usr/sbin/zfs "$@" | head -c 2000000
kill -9 $$
"""
"""A zfs whose resumed send is killed half-way, as for want of memory."""


@pytest.fixture
def duo(lab: Lab, source: Node, target: Node) -> TwoNodeCluster:
    """A cluster of two nodes; the guest has one zvol, and its first transfer is done."""
    duo = TwoNodeCluster(lab, source, target)
    duo.zvol(NAME, 32)
    duo.job()
    duo.zsr("run", "--id", "100-0")
    return duo


def token(duo: TwoNodeCluster) -> str:
    """The resume token of the replica; ``-`` without one."""
    return duo.target.out(["zfs", "get", "-Ho", "value", "receive_resume_token", duo.target.path(NAME)])


def cut(duo: TwoNodeCluster) -> None:
    """Leave a half-received increment on the target."""
    duo.write(NAME, 16)
    duo.zsr("update", "100-0", "--rate", "1")
    run = duo.source.spawn(["zsr", "run", "--id", "100-0"])
    duo.until(lambda: token(duo) != "-", "the transfer is under way")
    duo.until(lambda: decode_token(token(duo)).received > 3e6, "some of it has arrived")
    run.kill("KILL")
    duo.zsr("update", "100-0", "--delete", "rate")


def run(duo: TwoNodeCluster) -> str:
    """Run the job; its log."""
    duo.zsr("run", "--id", "100-0", check=False)
    log = duo.zsr("log", "100-0")
    print(log)  # noqa: T201 - what real ZFS said, where a test fails
    return log


def test_a_token_is_read_as_zfs_itself_reads_it(duo: TwoNodeCluster) -> None:
    cut(duo)
    text = token(duo)
    print(text)  # noqa: T201 - a real token, where a test fails
    ours, theirs = decode_token(text), duo.source.out(f"zfs send -nvP -t {text} 2>&1")
    said = dict(re.findall(r"^\s*(\w+) = (.+)$", theirs, re.MULTILINE))
    assert (ours.to_name, ours.to_guid) == (said["toname"], int(said["toguid"], 0))
    assert (ours.from_guid, ours.object, ours.offset, ours.received) == tuple(
        int(said[key], 0) for key in ("fromguid", "object", "offset", "bytes")
    )
    assert ours.raw is ("rawok" in said)
    guids = duo.target.out(f"zfs list -Hpo guid -t snapshot -d 1 {duo.target.path(NAME)}").splitlines()
    assert ours.from_guid == int(guids[-1])


def test_a_sender_that_is_killed_does_not_cost_what_has_arrived(duo: TwoNodeCluster) -> None:
    cut(duo)
    before = decode_token(token(duo)).received
    duo.source.write("/usr/local/sbin/zfs", DYING)
    duo.source.run("chmod +x /usr/local/sbin/zfs")
    run(duo)
    assert duo.status()["error_class"] == "zfs"
    assert decode_token(token(duo)).received > before
    duo.source.run("rm /usr/local/sbin/zfs")
    assert "resuming the interrupted transfer" in run(duo)
    assert duo.same_on_both()


def test_a_state_whose_replica_got_a_snapshot_since_is_dropped_in_the_same_run(duo: TwoNodeCluster) -> None:
    """ZFS refuses it at its end, in words that say nothing."""
    cut(duo)
    duo.target.run(f"zfs snapshot {duo.target.path(NAME)}@theirs")
    assert "is dropped" in run(duo)
    assert duo.status()["state"] == "ok"
    assert duo.same_on_both()


def test_a_state_whose_base_is_gone_from_the_source_is_dropped(duo: TwoNodeCluster) -> None:
    cut(duo)
    duo.source.run(
        f'for s in $(zfs list -Ho name -t snapshot,bookmark -d 1 -s createtxg {ZVOL} | grep -v "$(zfs list -Ho name '
        f'-t snapshot -d 1 -s createtxg {ZVOL} | tail -1 | cut -d@ -f2)"); do zfs destroy $s; done'
    )
    assert "its base is gone from the source" in run(duo)
    assert token(duo) == "-"


def test_a_raw_state_says_so(lab: Lab, source: Node, target: Node) -> None:
    duo = TwoNodeCluster(lab, source, target)
    source.write("/root/key", "12345678\n")
    key = "-o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key"
    source.run(f"zfs create {key} -V 32M {ZVOL} && udevadm settle")
    duo.volumes[NAME] = "zvol"
    duo.write(NAME, 16)
    duo.job()
    duo.zsr("run", "--id", "100-0")
    cut(duo)
    print(token(duo))  # noqa: T201 - a real token, where a test fails
    assert decode_token(token(duo)).raw
    assert "resuming the interrupted transfer" in run(duo)
    assert duo.status()["state"] == "ok"


UNDROPPABLE = """\
#!/bin/sh
[ "$1 $2" = "receive -A" ] || exec /usr/sbin/zfs "$@"
echo "'$3' does not have any resumable receive state to abort" >&2
exit 1
"""
"""A zfs that shows a half-received state and does not find it, as OpenZFS 0.7 and 0.8 do (#8801, #10439)."""


def test_a_state_that_zfs_shows_and_does_not_find_is_gone_round(duo: TwoNodeCluster) -> None:
    cut(duo)
    newest = duo.source.out(f"zfs list -Ho name -t snapshot -d 1 -s createtxg {ZVOL}").splitlines()[-1]
    duo.source.run(f"zfs destroy {newest}; zfs destroy {newest.replace('@', '#')}")
    duo.target.write("/usr/local/sbin/zfs", UNDROPPABLE)
    duo.target.run("chmod +x /usr/local/sbin/zfs")

    log = run(duo)
    assert "finds no half-received state to drop" in log
    assert ": incremental" in log
    assert duo.status()["state"] == "ok"
    assert token(duo) == "-"
    assert duo.same_on_both()
    [aside] = json.loads(duo.zsr("diverged", "list", "--format", "json"))
    assert duo.target.out(["zfs", "get", "-Ho", "value", "receive_resume_token", aside["dataset"]]) != "-"
    duo.write(NAME, 1)
    assert "kept aside" not in run(duo), "once is enough"
    assert duo.same_on_both()
