"""Wrong settings that first users write: ``zsr config check`` says what is wrong, where, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Zsr


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.on_alpha(tmp_path, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            '"10.0.0.12"',
            '"root@10.0.0.12"',
            "nodes.beta.address = 'root@10.0.0.12': a name or an IP alone; its user and port are keys of their own",
        ),
        ('"10.0.0.12"', '"beta:22"', "nodes.beta.address = 'beta:22': a name or an IP alone"),
        ('"10.0.0.12"', '"ssh://beta"', "nodes.beta.address = 'ssh://beta': a name or an IP alone"),
        (
            '"rpool/data"',
            '"/rpool/data"',
            "storages.local-zfs.path = '/rpool/data': without '/' at either end",
        ),
        ('"rpool/data"', '"rpool/data/"', "without '/' at either end: 'rpool/data'"),
        (
            "[guests.200]",
            '[jobs.100-0]\ntarget = "beta"\nrate = "10MB"\n[guests.200]',
            "jobs.100-0.rate = '10MB': a number without quotes and unit, like 10",
        ),
        (
            "[guests.200]",
            '[jobs.100-0]\ntarget = "beta"\nschedule = "every 5 minutes"\n[guests.200]',
            "did you mean '*/5'?",
        ),
    ],
)
def test_of_the_cluster(zsr: Zsr, old: str, new: str, sentence: str) -> None:
    text = zsr.cluster_path.read_text()
    assert old in text
    zsr.cluster_path.write_text(text.replace(old, new, 1))
    said = zsr("config", "check")
    assert said.exit == 2
    assert sentence in said.err


@pytest.mark.parametrize("address", ["beta", "beta.example.org", "10.0.0.12", "fd00::12", "::1", "local"])
def test_an_address_may_be_a_name_or_an_ip(zsr: Zsr, address: str) -> None:
    zsr.cluster_path.write_text(zsr.cluster_path.read_text().replace('"10.0.0.13"', f'"{address}"'))
    assert zsr("config", "check").exit == 0


def test_a_key_of_the_top_that_stands_in_a_section_is_reported_once(zsr: Zsr) -> None:
    with zsr.settings_path.open("a") as file:
        file.write("max_paralel = 2\n")
    said = zsr("config", "check").err
    assert "cluster.max_paralel = ...: unknown key; 'max_parallel' has to stand above the first section" in said
    assert said.count("max_paralel") == 1


def test_a_command_whose_program_is_missing_is_noted(zsr: Zsr) -> None:
    text = zsr.cluster_path.read_text()
    hooks = 'freeze = "/opt/nope --all"\nthaw = "[ -d / ] && true"\n'
    zsr.cluster_path.write_text(text.replace('name = "web"\n', f'name = "web"\n{hooks}'))
    said = zsr.well("config", "check").err
    assert "guests.100.freeze: '/opt/nope' is no program that can be run on alpha." in said
    assert "thaw" not in said


def test_a_key_that_does_not_exist_is_noted(zsr: Zsr) -> None:
    with zsr.settings_path.open("a") as file:
        file.write('[ssh]\nkey = "/nokey"\n')
    assert "There is no SSH key '/nokey' (ssh.key)." in zsr.well("config", "check").err
