"""``zsr doctor`` as typed, with another host behind a real sshd: planted faults are found, and nothing is changed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from replicator.doctor import catalogue
from tests.support.command_line import Zsr
from tests.support.two_hosts import TwoHosts, two_hosts


@pytest.fixture
def hosts(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoHosts]:
    with two_hosts(tmp_path, capsys, monkeypatch) as running:
        yield running


def _empty_known_hosts(hosts: TwoHosts) -> None:
    (hosts.server.folder / "known_hosts").write_text("")


def _refuse_the_key(hosts: TwoHosts) -> None:
    hosts.server.authorized_keys.write_text("")


def _close_the_port(hosts: TwoHosts) -> None:
    text = hosts.zsr.cluster_path.read_text()
    hosts.zsr.cluster_path.write_text(re.sub(r"(nodes\.beta\][^[]*port = )\d+", r"\g<1>1", text))


def _print_in_the_shell(hosts: TwoHosts) -> None:
    (hosts.server.folder / ".bashrc").write_text("echo hello from bashrc\n")


def _lose_the_way_back(hosts: TwoHosts) -> None:
    text = hosts.zsr.cluster_path.read_text()
    hosts.zsr.cluster_path.write_text(re.sub(r"(nodes\.alpha\][^[]*port = )\d+", r"\g<1>1", text))


def _damage_the_state(hosts: TwoHosts) -> None:
    hosts.zsr.state().close()
    (hosts.zsr.folder / "state" / "state.db").write_bytes(b"no database" * 1000)


def _set(host: str, name: str, text: str) -> Callable[[TwoHosts], None]:
    def plant(hosts: TwoHosts) -> None:
        hosts.file(host, name).write_text(text)

    return plant


def _edit(pattern: str, to: str) -> Callable[[TwoHosts], None]:
    """Change both copies of the cluster file, which are one here."""

    def plant(hosts: TwoHosts) -> None:
        text = hosts.zsr.cluster_path.read_text()
        hosts.zsr.cluster_path.write_text(re.sub(pattern, to, text))
        assert hosts.zsr.cluster_path.read_text() != text

    return plant


def _as_user(hosts: TwoHosts) -> None:
    hosts.file("beta", "id").write_text("#!/bin/sh\necho 1001; echo zsr; echo zsr\n")
    hosts.file("beta", "id").chmod(0o755)


def _make_beta_local(hosts: TwoHosts) -> None:
    _edit(r'(nodes.beta.\naddress = )"127.0.0.1"', r'\1"local"')(hosts)
    _edit(r'(path = "tank/data")', r'\1\npaths = { beta = "tank/other" }')(hosts)


def _put_a_storage_into_another(hosts: TwoHosts) -> None:
    _edit(r"\Z", '[storages.inner]\npath = "tank/data/inner"\npaths = { beta = "tank/other/inner" }\n')(hosts)


Faults = dict[tuple[str, str], tuple[Callable[[TwoHosts], None], str]]

TOGETHER: dict[str, Faults] = {
    "connection": {("beta", catalogue.CONNECTION): (_close_the_port, "fail")},
    "host key": {("beta", catalogue.HOST_KEY): (_empty_known_hosts, "fail")},
    "login": {("beta", catalogue.LOGIN): (_refuse_the_key, "fail")},
    "there": {
        ("beta", catalogue.SHELL): (_print_in_the_shell, "warn"),
        ("beta", catalogue.WAY_BACK): (_lose_the_way_back, "warn"),
        ("beta", catalogue.MACHINE): (lambda _: None, "fail"),
        ("beta", catalogue.ZSR): (_set("beta", "zsr", "#!/bin/sh\necho zsr, version 9.0.0\n"), "fail"),
        ("beta", catalogue.ZFS): (_set("beta", "version", "zfs-2.3.2-1\nzfs-kmod-2.2.2-1\n"), "warn"),
        ("beta", catalogue.CLOCK): (_set("beta", "ahead", "-2820"), "fail"),
        ("beta", catalogue.TIME_SYNC): (_set("beta", "timedatectl", "#!/bin/sh\necho NTPSynchronized=no\n"), "warn"),
        ("beta", catalogue.POOLS): (_set("beta", "pools", "tank\tSUSPENDED\t-\n"), "fail"),
        ("beta", catalogue.STORAGES): (_set("beta", "datasets", ""), "fail"),
        ("beta", catalogue.FEATURES): (_set("beta", "features", "tank feature@lz4_compress disabled -\n"), "warn"),
        ("beta", catalogue.RIGHTS): (_as_user, "fail"),
    },
    "here": {
        ("alpha", catalogue.DAEMON): (lambda _: None, "fail"),
        ("alpha", catalogue.POOLS): (_set("alpha", "pools", "tank\tDEGRADED\t42%\n"), "warn"),
        ("alpha", catalogue.STORAGES): (_set("alpha", "datasets", ""), "fail"),
        ("alpha", catalogue.ZFS): (_set("alpha", "version", "zfs-2.3.2-1\nzfs-kmod-2.2.2-1\n"), "warn"),
        ("alpha", catalogue.STATE): (_damage_the_state, "fail"),
        ("alpha", catalogue.PROMISES): (_edit('"6h:15m,7d:1d"', '"1"'), "warn"),
        ("alpha", catalogue.COVERAGE): (_edit(r"\Z", '[guests.101]\nnode = "alpha"\n'), "warn"),
        ("alpha", catalogue.OVERLAP): (_put_a_storage_into_another, "warn"),
        ("alpha", catalogue.HOOKS): (_edit("(guests.100.)", r'\1\nfreeze = "no-such-program"'), "fail"),
        ("alpha", catalogue.COPIES): (_make_beta_local, "fail"),
        ("alpha", catalogue.CLUSTER_FILE): (_edit(r"(nodes.beta.)", r"\1\nzsr = false"), "warn"),
    },
    "names": {("alpha", catalogue.NAMES): (_edit('path = "tank/data"', f'path = "tank/{"x" * 230}"'), "fail")},
}
WELL = {"ok", "off"}
KNOWN = {("alpha", "daemon"), ("alpha", "time-sync"), ("alpha", "notify"), ("beta", "machine")}
"""What is never well here: no daemon runs, this machine's clock is its own affair, and beta is this machine."""


def test_a_healthy_pair_is_well(hosts: TwoHosts) -> None:
    assert {key: level for key, level in hosts.levels().items() if level not in WELL and key not in KNOWN} == {}


@pytest.mark.parametrize("faults", TOGETHER.values(), ids=TOGETHER.keys())
def test_each_planted_fault_is_found_by_its_check(hosts: TwoHosts, faults: Faults) -> None:
    for plant, _ in faults.values():
        plant(hosts)

    found = hosts.levels()

    assert {key: found[key] for key in faults} == {key: level for key, (_, level) in faults.items()}


def test_a_node_that_cannot_be_reached_is_one_failure_and_the_rest_is_unknown(hosts: TwoHosts) -> None:
    _empty_known_hosts(hosts)

    found = {check: level for (node, check), level in hosts.levels().items() if node == "beta"}

    assert [check for check, level in found.items() if level == "fail"] == ["host-key"]
    assert {found[check] for check in catalogue.ASKED} == {"unknown"}


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All files below a folder with their times and bytes, but for what the scripts and sshd write down."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
        if path.name not in {"asked", "sshd.log", "alpha", "beta", "sshd"}
    }


def test_nothing_is_changed_anywhere(hosts: TwoHosts, tmp_path: Path) -> None:
    hosts.zsr.state().close()
    before = contents(tmp_path)

    hosts.doctor()

    assert contents(tmp_path) == before
    assert {line.split()[1] if len(line.split()) > 1 else "" for line in hosts.asked} <= {
        "", "version", "list", "get", "allow",
    }  # fmt: skip


def test_a_command_that_hangs_there_stops_nothing_else(hosts: TwoHosts) -> None:
    hosts.file("beta", "zpool").write_text("#!/bin/sh\nexec sleep 60\n")
    began = time.monotonic()

    found = hosts.levels("--timeout", "2")

    assert time.monotonic() - began < 20
    assert found["beta", "pools"] == found["beta", "features"] == "unknown"
    assert found["beta", "storages"] == "ok"


def test_what_another_host_prints_gives_the_terminal_no_orders(hosts: TwoHosts) -> None:
    hosts.file("beta", "pools").write_text("tank\t\x1b[2J\x1b]0;owned\x07\t1%\n")
    (hosts.server.folder / ".bashrc").write_text("printf '\\033[31mhello\\033]0;x\\007\\n'\n")

    said = hosts.doctor()

    assert "\x1b" not in said.out + said.err
    assert "\x07" not in said.out + said.err


class TestOutput:
    def test_no_line_is_wider_than_a_terminal(self, hosts: TwoHosts) -> None:
        _close_the_port(hosts)

        wide = [
            line for line in hosts.doctor().out.splitlines() if len(line) > 80 and str(hosts.zsr.folder) not in line
        ]

        assert wide == []

    def test_quiet_leaves_out_what_is_well(self, hosts: TwoHosts) -> None:
        said = hosts.doctor("--quiet")

        assert not re.search(r"^  (ok|-) ", said.out, re.MULTILINE)
        assert "FAIL     daemon" in said.out

    def test_one_node_is_looked_at_when_it_is_named(self, hosts: TwoHosts) -> None:
        assert {node for node, _ in hosts.levels("alpha")} == {"alpha"}
        assert {node for node, _ in hosts.levels("beta")} == {"alpha", "beta"}

    def test_a_node_that_is_none_is_wrong_use(self, hosts: TwoHosts) -> None:
        said = hosts.doctor("gamma")

        assert said.exit == 2
        assert "There is no other node 'gamma'. Known: beta." in said.err


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.on_alpha(tmp_path, capsys, monkeypatch)


class TestSettings:
    def test_wrong_settings_of_the_node_are_all_that_is_said(self, zsr: Zsr) -> None:
        zsr.settings_path.write_text(f"max_paralel = 1\n{zsr.settings_path.read_text()}")

        said = zsr("doctor", "--format", "json")

        assert said.exit == 2
        assert [(line["check"], line["level"]) for line in said.json["lines"]] == [("settings", "fail")]
        assert "max_paralel" in said.json["lines"][0]["text"]

    def test_a_wrong_cluster_file_leaves_what_needs_none(self, zsr: Zsr) -> None:
        zsr.cluster_path.write_text("[nodes.alpha]\nadress = 1\n")

        lines = {line["check"]: line["level"] for line in zsr("doctor", "--format", "json").json["lines"]}

        assert lines["settings"] == lines["daemon"] == "fail"
        assert lines["coverage"] == "unknown"
        assert set(lines) >= set(catalogue.OF_HERE)

    def test_what_this_user_may_not_read_is_unknown_and_no_failure(
        self, zsr: Zsr, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        may = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != zsr.cluster_path and may(path, mode))

        (line,) = (each for each in zsr("doctor", "--format", "json").json["lines"] if each["check"] == "settings")

        assert (line["level"], line["advice"]) == ("unknown", "Run zsr doctor as root.")
        assert str(zsr.cluster_path) in line["text"]
