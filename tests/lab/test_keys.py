"""Keys that are changed on either side, and storages with a key of their own, on a real ZFS."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.scenario import FS, A, B, Scenario

pytestmark = pytest.mark.sampled(9)

DISK = f"tank/data/{A}"


def encrypted(duo: Scenario, name: str = A) -> None:
    """Create an encrypted zvol of the guest, with a passphrase of its own."""
    duo.source.write("/root/key", "12345678\n")
    key = "-o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key"
    duo.source.run(f"zfs create {key} -V 16M tank/data/{name} && udevadm settle")
    duo.volumes[name] = "zvol"
    duo.write(name, 4)


@pytest.fixture
def duo(lab: Lab, source: Node, target: Node) -> Scenario:
    """A guest with an encrypted zvol, replicated raw."""
    duo = Scenario(lab, source, target)
    encrypted(duo)
    duo.job()
    duo.well()
    return duo


@pytest.fixture
def vault(lab: Lab, source: Node, target: Node) -> Scenario:
    """A guest with a plain zvol and a plain filesystem, and an encrypted storage on the target."""
    vault = Scenario(lab, source, target)
    vault.target.write("/root/vault", "vaultkey\n")
    place = vault.target.path()
    vault.target.run(
        f"zfs destroy -r {place} && zfs create -o encryption=on -o keyformat=passphrase "
        f"-o keylocation=file:///root/vault {place}"
    )
    vault.zvol(B, 8)
    vault.filesystem(FS, 4)
    vault.source.run(f"printf tiny >/tank/data/{FS}/tiny")  # a block that is embedded
    vault.job()
    return vault


def opens(duo: Scenario, passphrase: str) -> bool:
    """Whether a passphrase opens the replica on the target; it stays as it is."""
    load = f"echo {passphrase} | zfs load-key -n -L prompt {duo.target.path(A)}"
    return duo.target.run(load, check=False).returncode == 0


def roots(duo: Scenario, *names: str) -> list[str]:
    """The encryption roots of the replicas."""
    return [duo.value(duo.target, name, "encryptionroot") for name in names]


class TestAKeyOfTheSource:
    def test_that_was_changed_travels_with_the_next_written_byte(self, duo: Scenario) -> None:
        duo.source.run(f"echo abcdefgh >/root/new && zfs change-key -o keylocation=file:///root/new {DISK}")
        duo.write(A, 1)
        duo.well()

        assert (opens(duo, "abcdefgh"), opens(duo, "12345678")) == (True, False)

    def test_that_was_changed_on_an_idle_volume_travels_with_the_next_run(self, duo: Scenario) -> None:
        duo.well()
        duo.source.run(f"echo abcdefgh >/root/new && zfs change-key -o keylocation=file:///root/new {DISK}")
        assert duo.well() > 0

        assert (opens(duo, "abcdefgh"), opens(duo, "12345678")) == (True, False)
        assert duo.well() == 0

    def test_that_is_no_passphrase_any_more_opens_the_replica(self, duo: Scenario) -> None:
        duo.source.run(
            f"head -c 32 /dev/zero >/root/raw && zfs change-key -o keyformat=raw -o keylocation=file:///root/raw {DISK}"
        )
        duo.well()

        duo.target.run(f"head -c 32 /dev/zero >/root/raw && zfs load-key -L file:///root/raw {duo.target.path(A)}")
        assert duo.same_on_both()

    def test_that_is_inherited_now_opens_the_replica(self, duo: Scenario) -> None:
        duo.source.run(
            "echo parentkey >/root/parent && zfs create -o encryption=on -o keyformat=passphrase "
            "-o keylocation=file:///root/parent tank/safe && "
            f"zfs rename {DISK} tank/safe/{A} && zfs change-key -i tank/safe/{A}"
        )
        duo.cluster('path = "tank/data"', 'path = "tank/safe"')
        duo.settle()
        duo.source.run(f"dd if=/dev/urandom of=/dev/zvol/tank/safe/{A} bs=1M count=1 conv=fsync,notrunc status=none")
        duo.well(within=2)

        assert roots(duo, A) == [duo.target.path(A)]
        assert opens(duo, "parentkey")


class TestAKeyOfTheTarget:
    def test_that_was_changed_becomes_the_sources_again(self, duo: Scenario) -> None:
        replica = duo.target.path(A)
        duo.target.run(
            f"echo 12345678 | zfs load-key -L prompt {replica} && echo theirkey1 >/root/theirs && "
            f"zfs change-key -o keylocation=file:///root/theirs {replica}"
        )
        duo.well()

        assert (opens(duo, "12345678"), opens(duo, "theirkey1")) == (True, False)

    def test_that_is_inherited_there_is_refused_before_anything_breaks(self, duo: Scenario) -> None:
        inherit(duo)
        duo.write(A, 1)
        before = duo.snapshots(duo.target, A)

        assert duo.fails() == "encryption"
        said = duo.log()
        assert f"it has the key of '{duo.target.path()}' (zfs change-key -i there" in said
        assert f"zsr reseed 100-0 tank:{A}" in said
        assert duo.snapshots(duo.target, A) == before

    def test_that_is_its_own_again_goes_on_without_a_copy(self, duo: Scenario) -> None:
        inherit(duo)
        duo.write(A, 1)
        duo.fails()
        duo.target.run(
            "echo theirkey1 >/root/theirs && zfs change-key -o keyformat=passphrase "
            f"-o keylocation=file:///root/theirs {duo.target.path(A)}"
        )

        assert duo.well() < 3 << 20
        assert opens(duo, "12345678")

    def test_that_is_inherited_there_is_left_behind_by_a_reseed(self, duo: Scenario) -> None:
        inherit(duo)
        duo.write(A, 1)
        duo.fails()

        duo.zsr("reseed", "100-0", f"tank:{A}", "--yes")

        assert roots(duo, A) == [duo.target.path(A)]
        duo.write(A, 1)
        assert duo.well() < 3 << 20
        duo.target.run(f"echo 12345678 | zfs load-key -L prompt {duo.target.path(A)}")
        assert duo.same_on_both()


def inherit(duo: Scenario) -> None:
    """Give the storage on the target a key, and the replica the key of the storage."""
    place, replica, vault = duo.target.path(), duo.target.path(A), f"{duo.target.pool}/vault"
    duo.target.run(
        "echo vaultkey1 >/root/vault && zfs create -o encryption=on -o keyformat=passphrase "
        f"-o keylocation=file:///root/vault {vault} && "
        f"zfs rename {replica} {vault}/{A} && zfs destroy {place} && zfs rename {vault} {place} && "
        f"echo 12345678 | zfs load-key -L prompt {replica} && zfs change-key -i {replica}"
    )
    duo.source.run("rm -f /var/lib/zsr/state.db*")  # the storage is another dataset now


class TestAnEncryptedStorage:
    def test_encrypts_new_plain_replicas(self, vault: Scenario) -> None:
        vault.well()
        vault.write(B, 1)
        vault.source.run(f"zfs snapshot tank/data/{B}@theirs && printf more >/tank/data/{FS}/more")
        vault.well()

        assert roots(vault, B, FS) == [vault.target.path()] * 2
        assert "theirs" in vault.snapshots(vault.target, B)
        assert vault.same_on_both()

    def test_encrypts_what_is_decrypted_for_the_transfer(self, vault: Scenario) -> None:
        encrypted(vault)
        vault.zsr("update", "100-0", "--encryption", "decrypted")
        vault.well()
        vault.write(A, 1)
        vault.well()

        assert roots(vault, A) == [vault.target.path()]
        assert vault.same_on_both()

    def test_keeps_a_raw_replica_raw(self, vault: Scenario) -> None:
        encrypted(vault)
        vault.well()

        assert roots(vault, A, B) == [vault.target.path(A), vault.target.path()]

    def test_whose_key_is_not_loaded_is_reported_with_what_to_do(self, vault: Scenario) -> None:
        vault.target.run(f"zfs unmount {vault.target.path()}; zfs unload-key {vault.target.path()}")

        assert vault.fails() == "encryption"
        said = vault.log()
        assert f"The key of '{vault.target.path()}' on node node2 is not loaded" in said
        assert "storage tank" in said
        assert f"zfs load-key {vault.target.path()}" in said
        assert vault.snapshots(vault.source, B) == []
        vault.target.run(f"zfs load-key {vault.target.path()}")
        vault.well()

    def test_that_is_locked_later_refuses_the_increment_too(self, vault: Scenario) -> None:
        vault.well()
        vault.write(B, 1)
        vault.target.run(f"zfs unmount {vault.target.path()}; zfs unload-key {vault.target.path()}")

        assert vault.fails() == "encryption"
        assert f"zfs load-key {vault.target.path()}" in vault.log()
        vault.target.run(f"zfs load-key {vault.target.path()}")
        vault.well()
        assert vault.same_on_both()

    def test_goes_on_with_plain_replicas_of_before_and_reports_them(self, vault: Scenario) -> None:
        begin_plain(vault)

        assert vault.well() < 6 << 20  # the filesystem in full, and what was written to the zvol

        assert f"its replica '{vault.target.path(B)}' on node2 is not encrypted" in vault.log()
        vault.write(B, 1)
        assert f"To encrypt it: zsr reseed 100-0 tank:{B}" in vault.zsr("plan", "100-0")

    def test_encrypts_a_plain_replica_by_a_reseed(self, vault: Scenario) -> None:
        begin_plain(vault)
        vault.well()

        vault.zsr("reseed", "100-0", f"tank:{B}", "--yes")

        assert roots(vault, B, FS) == [vault.target.path()] * 2
        vault.write(B, 1)
        assert vault.well() < 3 << 20
        assert vault.same_on_both()
        [kept] = vault.aside()
        vault.zsr("diverged", "destroy", "node2", kept, "--yes")
        assert vault.aside() == []


def begin_plain(vault: Scenario) -> None:
    """Begin the zvol's replica as an older zsr did: not encrypted."""
    vault.source.run(
        f"zfs snapshot tank/data/{B}@begun && zfs send -p tank/data/{B}@begun | "
        f"{vault.source.reach(vault.target)}zfs receive -u "
        f"-o readonly=on -o zsr:source=node1 -o zsr:job=100-0 {vault.target.path(B)}"
    )
    vault.write(B, 1)
