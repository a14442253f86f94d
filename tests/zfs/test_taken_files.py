"""A recovery and a move put what a guest needs besides its disks in place, on a real ZFS."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from replicator.cli import guest_files, taken_guest
from tests.support.command_line import Said, Zsr
from tests.support.guest_with_file import WithFile
from tests.support.pools import Pools
from tests.support.recovered import RUN
from tests.support.verbs_env import NAME

pytestmark = pytest.mark.sampled(4)


class DiedError(BaseException):
    """Stands for a death: nothing cleans up after it."""


def die(*_: object, **__: object) -> None:
    raise DiedError


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> WithFile:
    return WithFile(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


class TestARecovery:
    def test_puts_the_file_in_place_before_the_guest_starts_and_keeps_the_one_that_was_there(
        self, site: WithFile
    ) -> None:
        site.run("alpha's")
        site.lose()

        said = site.recover()

        assert said.exit == 0, said
        assert said.out.index("was put in place; what was there is") < said.out.index("was started on beta")
        assert (site.file.read_text(), site.before) == ("alpha's", ["beta's own"])
        assert "nothing is left to do" in site.recover().out

    def test_leaves_one_alone_that_is_there_already(self, site: WithFile) -> None:
        site.run("alpha's")
        assert "is in place already" in site.recover().out
        assert site.before == []

    def test_to_an_older_set_gets_the_file_of_that_time(self, site: WithFile) -> None:
        zsr = site.on("alpha")
        zsr.well("update", "100-0", "--keep", "5")
        site.run("old")
        old = site.sets[-1]
        site.run("new")
        site.lose()

        assert site.recover("--restore-point", str(old)).exit == 0

        assert site.file.read_text() == "old"

    def test_of_a_guest_whose_file_never_came_says_so_and_goes_on(self, site: WithFile) -> None:
        said = site.recover()
        assert said.exit == 0
        assert (
            f"'{site.file}' is not kept in {site.zsr.folder}/beta/guest-files: bring it from your backup." in said.out
        )
        assert site.started.exists()

    @pytest.mark.parametrize("step", ["become_guest", "place_files"])
    def test_that_dies_goes_on_with_the_same_command(
        self, site: WithFile, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        site.run("alpha's")
        site.lose()
        with monkeypatch.context() as patched:
            patched.setattr(taken_guest, step, die)
            with pytest.raises(BaseException):  # noqa: B017 - whatever a death looks like after task groups
                site.recover()
        assert (site.zsr.cluster.guests[100].node, site.file.read_text()) == ("beta", "beta's own")

        assert site.recover().exit == 0

        assert (site.file.read_text(), site.before) == ("alpha's", ["beta's own"])
        assert site.started.exists()

    def test_that_cannot_put_a_file_in_place_keeps_the_guest_and_the_same_command_tries_again(
        self, site: WithFile
    ) -> None:
        site.run("alpha's")
        site.file.unlink()
        site.file.symlink_to("/nowhere")

        said = site.recover()

        assert said.exit == 1
        assert f"'{site.file}' is a symbolic link here: it is not replaced." in said.out
        assert "1 of 1 files of guest 100 are not in place; it was not started." in said.err
        assert site.zsr.cluster.guests[100].node == "beta"
        assert site.property(site.there, "readonly").startswith("off")
        assert not site.started.exists()
        site.file.unlink()
        assert site.recover().exit == 0
        assert site.file.read_text() == "alpha's"
        assert site.started.exists()

    def test_that_could_not_goes_on_with_a_take_where_the_former_node_answers_by_now(self, site: WithFile) -> None:
        site.run("alpha's")
        site.file.unlink()
        site.file.symlink_to("/nowhere")
        assert "or zsr guest take 100." in site.recover().err
        site.file.unlink()
        site.revive()
        assert "it is not dead" in site.recover().err
        site.be_replica()
        assert site.zsr("guest", "take", "100").exit == 0
        assert (site.file.read_text(), site.started.exists()) == ("alpha's", True)

    def test_lets_libvirt_define_the_domain_before_it_starts_it(
        self, site: WithFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = tmp_path / "calls"
        (tmp_path / "virsh").write_text(f'#!/bin/sh\necho "$@" >>{calls}\n')
        (tmp_path / "virsh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        site.run("<domain type='kvm'/>")
        path = site.on("beta").cluster_path
        lines = [line for line in path.read_text().splitlines() if not line.startswith("st")]
        path.write_text("\n".join(lines).replace("[guests.100]", '[guests.100]\nruntime = "libvirt:web"'))
        site.lose()

        assert site.recover().exit == 0

        ordered = [line.split()[0] for line in calls.read_text().splitlines()]
        assert f"define --file {site.file}" in calls.read_text().splitlines()
        assert ordered.index("define") < ordered.index("start")

    def test_that_ended_replaces_nothing_later(self, site: WithFile) -> None:
        site.run("alpha's")
        assert site.recover().exit == 0
        site.file.write_text("changed on beta since")
        assert "nothing is left to do" in site.recover().out
        assert site.file.read_text() == "changed on beta since"


class TestATake:
    """The last step of a move, which ``zsr guest move`` orders on the node that gets the guest."""

    def take(self, site: WithFile) -> Said:
        site.revive()
        zsr = site.on("beta")
        text = zsr.cluster_path.read_text()
        text = text.replace('node = "alpha"', 'node = "beta"\nepoch = 2').replace('target = "beta"', 'target = "beta"\nsource = "alpha"')  # fmt: skip # noqa: E501
        zsr.cluster_path.write_text(text)
        site.be_replica()
        return zsr("guest", "take", "100")

    def test_puts_the_file_in_place_before_the_guest_starts(self, site: WithFile) -> None:
        site.run("alpha's")
        site.lose()

        said = self.take(site)

        assert said.exit == 0, said
        assert said.out.index("was put in place") < said.out.index("was started on beta")
        assert (site.file.read_text(), site.before) == ("alpha's", ["beta's own"])
        site.file.write_text("changed on beta since")
        assert site.zsr("guest", "take", "100").exit == 0
        assert site.file.read_text() == "changed on beta since"

    def test_that_dies_goes_on_with_the_same_command(self, site: WithFile, monkeypatch: pytest.MonkeyPatch) -> None:
        site.run("alpha's")
        site.lose()
        with monkeypatch.context() as patched:
            patched.setattr(guest_files, "put_in_place", die)
            with pytest.raises(BaseException):  # noqa: B017 - whatever a death looks like after task groups
                self.take(site)
        assert site.file.read_text() == "beta's own"
        assert site.zsr("guest", "take", "100").exit == 0
        assert site.file.read_text() == "alpha's"

    def test_the_new_node_brings_its_file_back_to_the_old_one(self, site: WithFile) -> None:
        site.run("alpha's")
        assert self.take(site).exit == 0
        site.file.write_text("beta's")
        for mark in ("zsr:job=100-0", "zsr:source=beta", "zsr:owner=beta", "zsr:epoch=2"):
            site.zfs("set", mark, f"{site.source}/{NAME}")
        before = site.versions
        zsr = site.on("beta")
        site.fill_there()
        zsr.well(*RUN)
        assert site.versions[-1] > before[-1]
