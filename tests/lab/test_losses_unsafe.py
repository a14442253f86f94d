"""Secret content never leaves readable, and a frozen guest is thawed."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import Holdings
from tests.lab.scenario import A

KEY = "-o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key"

pytestmark = pytest.mark.sampled(9)


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Holdings:
    """A cluster of two nodes; the guest has no volume yet, and both nodes have a key."""
    for node in (source, target):
        node.write("/root/key", "12345678\n")
    return Holdings(lab, source, target)


class TestRawIsLaw:
    def locked(self, guest: Holdings, size_mb: int = 8) -> None:
        """Give the guest an encrypted volume."""
        guest.source.run(f"zfs create {KEY} -V {size_mb}M tank/data/{A} && udevadm settle")
        guest.volumes[A] = "zvol"
        guest.write(A, size_mb // 2)

    def test_when_the_replicas_key_is_the_targets_own_now(self, guest: Holdings) -> None:
        guest.target.run(f"zfs create {KEY} {guest.target.pool}/safe")
        guest.store_in(f"{guest.target.pool}/safe")
        self.locked(guest)
        guest.job()
        guest.well()
        assert guest.in_the_clear() == []
        replica = f"{guest.target.pool}/safe/{A}"
        guest.target.run(f"zfs load-key -L file:///root/key {replica} && zfs change-key -i {replica}")
        assert guest.target.out(f"zfs get -Ho value encryptionroot {replica}") == f"{guest.target.pool}/safe"
        guest.write(A, 1)
        done = guest.source.zsr("run", "--id", "100-0", check=False)
        assert guest.in_the_clear() == []
        assert (done.returncode, guest.status()["error_class"]) == (1, "encryption")

    def test_when_the_replica_was_begun_readable(self, guest: Holdings) -> None:
        self.locked(guest)
        guest.job("--encryption", "decrypted")
        guest.well()
        guest.zsr("update", "100-0", "--encryption", "raw")
        guest.write(A, 1)
        done = guest.source.zsr("run", "--id", "100-0", check=False)
        assert guest.in_the_clear() == []
        assert (done.returncode, guest.status()["error_class"]) == (1, "encryption")

    def test_when_a_readable_transfer_was_cut(self, guest: Holdings) -> None:
        self.locked(guest, 32)
        guest.job("--encryption", "decrypted", "--rate", "1")
        run = guest.source.spawn(["zsr", "run", "--id", "100-0"])
        used = f"zfs get -Hpo value used {guest.target.path(A)} 2>/dev/null || echo 0"
        guest.until(lambda: int(guest.target.out(used)) > 3e6, "the transfer is under way")
        run.kill("KILL")
        guest.until(lambda: guest.value(guest.target, A, "receive_resume_token") != "-", "it is cut")
        guest.zsr("update", "100-0", "--encryption", "raw", "--delete", "rate")
        guest.source.zsr("run", "--id", "100-0", check=False)
        assert guest.in_the_clear() == []
        guest.well(within=2)
        assert guest.in_the_clear() == []
        assert guest.value(guest.target, A, "encryption") != "off"
        guest.target.run(f"zfs load-key -L file:///root/key {guest.target.path(A)}")
        assert guest.same_on_both()


class TestThaw:
    @pytest.fixture
    def frozen(self, guest: Holdings) -> Holdings:
        """A guest whose freeze and thaw leave marks behind."""
        guest.source.run("rm -f /tmp/freezing /tmp/thawing /tmp/thawed")
        guest.zvol(A, 8)
        guest.job()
        return guest

    def seen(self, guest: Holdings, mark: str) -> bool:
        """Whether a hook has come to this mark."""
        return guest.source.run(f"test -e /tmp/{mark}", check=False).returncode == 0

    @pytest.mark.parametrize("command", [["run", "--id", "100-0"], ["daemon"]], ids=["run", "daemon"])
    @pytest.mark.parametrize("signals", [1, 2], ids=["once", "twice"])
    def test_that_works_when_zsr_is_stopped_comes_to_its_end(
        self, frozen: Holdings, command: list[str], signals: int
    ) -> None:
        frozen.hooks("true", "touch /tmp/thawing; sleep 4; touch /tmp/thawed")
        process = frozen.source.spawn(["zsr", *command])
        frozen.until(lambda: self.seen(frozen, "thawing"), "thaw works")
        for _ in range(signals):
            process.kill("TERM")
            frozen.source.run("sleep 0.5")
        process.wait()
        assert self.seen(frozen, "thawed"), frozen.log()

    def test_comes_also_when_zsr_is_stopped_in_freeze(self, frozen: Holdings) -> None:
        frozen.hooks("touch /tmp/freezing; sleep 2", "sleep 2; touch /tmp/thawed")
        process = frozen.source.spawn(["zsr", "run", "--id", "100-0"])
        frozen.until(lambda: self.seen(frozen, "freezing"), "freeze works")
        process.kill("TERM")
        process.wait()
        assert self.seen(frozen, "thawed"), frozen.log()

    @pytest.mark.parametrize("thaw", ["echo no agent >&2; false", "sleep 500"], ids=["fails", "hangs"])
    def test_that_goes_wrong_is_a_failed_run(self, frozen: Holdings, thaw: str) -> None:
        frozen.hooks("true", thaw)
        frozen.cluster('hook_timeout = "20s"', 'hook_timeout = "3s"')
        assert frozen.fails() == "hook"
        assert "thaw" in str(frozen.status()["error"])
