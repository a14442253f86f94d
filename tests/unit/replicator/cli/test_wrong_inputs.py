"""Wrong settings that first users write: ``zsr config check`` says what is wrong, where, and what to write instead."""

from __future__ import annotations

import os
from collections.abc import Callable
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


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def written(data: bytes) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(data), None)[1]


FILES: list[tuple[Callable[[Path], None], str]] = [
    (Path.unlink, "There is no "),
    (as_folder, "Is a directory. Name a file in it."),
    (as_pipe, "it is a named pipe. Name a file."),
    (as_circle, "Its links lead in a circle: check the path."),
    (written(b"\xff\x00"), "is not UTF-8 text (byte 0xff in line 1)"),
    (written(bytes(range(256)) * 400), "is not "),
    (written(b"\xef\xbb\xbf[a]"), "byte order mark"),
    (written(b"[nodes"), "is not TOML: "),
    (written(b"node = alpha\n"), "text has to stand in quotes (at line 1"),
    (written(b"a = " + b"[" * 3000), "nested too deeply"),
    (written(b"#" * (17 << 20)), "it has more than 16.0 MiB. Name the right file."),
    (written(b"nodez = 1\n"), "did you mean 'node"),
]


@pytest.mark.parametrize("name", ["zsr.toml", "cluster.toml"])
@pytest.mark.parametrize(("spoil", "sentence"), FILES, ids=range(len(FILES)))
@pytest.mark.parametrize("verb", ["config check", "list", "update 100-0 --rate 5"])
def test_a_file_that_is_none_is_named_and_left_alone(
    zsr: Zsr, name: str, spoil: Callable[[Path], None], sentence: str, verb: str
) -> None:
    path = zsr.folder / name
    spoil(path)
    before = path.read_bytes() if path.is_file() else None

    said = zsr(*verb.split())

    assert said.exit == 2, said
    assert str(path) in said.err
    assert sentence in said.err
    assert "Traceback" not in said.err
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize(
    ("added", "sentence"),
    [
        ('[nodes.delta]\naddress = "[fd00::1]"', "nodes.delta.address = '[fd00::1]': an IPv6 address without brackets"),
        ('[nodes.delta]\naddress = "10.0.0.300"', "an IPv4 address has four numbers from 0 to 255"),
        ('[nodes.delta]\naddress = "d"\nuser = "a b"', "nodes.delta.user = 'a b': the name of one user, like 'root'"),
        ('[nodes.delta]\naddress = 10\nzsr = "no"', "nodes.delta.zsr = 'no': true or false, without quotes"),
        ("[nodes.delta]\naddress = 10\nport = 0", "nodes.delta.address = 10: text in quotes"),
        ("[guests.1000000000]\nnode = 'alpha'", "100 or more, and at most 999999999"),
        ("[guests.50]\nnode = 'alpha'", "a guest's number is 100 or more"),
        ("[guests.home]\nnode = 'alpha'", "as a group: [groups.home]"),
        ("[groups.Home]\nnode = 'alpha'\nvolumes = ['local-zfs:x']", "small letters, digits and _"),
        ("[groups.home]\nnode = 'alpha'\nvolumes = 'local-zfs:x'", 'a list in brackets, like ["one", "two"]'),
        ("[jobs]\n100-0 = 'beta'", "jobs.100-0 = 'beta': a table, with keys of its own"),
        ("[jobs.100-0]\ntarget = ['beta']", "jobs.100-0.target = (a list): text in quotes"),
        ("[jobs.100-0]\ntarget = 'beta'\n[jobs.100-0]\ntarget = 'gamma'", "[jobs.100-0] is there twice"),
        ("[jobs.100-0]\ntarget = 'beta'\ntarget = 'gamma'", "this key or section is there already"),
        ("[jobs.100-0]\ntarget = 'beta'\n[jobs.100-1]\ntarget = 'beta'", "one job per guest and target"),
        ("[jobs.100-0]\ntarget = 'beta'\nschedule = 'daly'", "did you mean 'daily'?"),
        ("[jobs.100-0]\ntarget = 'beta'\nremoval = 'now'", "'full' or 'local'"),
        ("[job.100-0]\ntarget = 'beta'", "job = ...: unknown section; known: nodes, storages"),
    ],
)
def test_a_wrong_entry_of_the_cluster(zsr: Zsr, added: str, sentence: str) -> None:
    with zsr.cluster_path.open("a") as file:
        file.write(f"{added}\n")
    said = zsr("config", "check")
    assert said.exit == 2
    assert sentence in said.err


@pytest.mark.parametrize(
    ("added", "note"),
    [
        ("[jobs.999-0]\ntarget = 'beta'", "Job 999-0 has no guest: add [guests.999], or remove the job"),
        ("[jobs.100-0]\ntarget = 'beta'\nschedule = '*-2-30'", "its schedule '*-2-30' never fires"),
        (
            "[jobs.100-0]\ntarget = 'beta'\nrpo = 60",
            "of at most 1 min, and its schedule has gaps of 15 min",
        ),
        ("[storages.same]\npath = 'rpool/data'", "The storages local-zfs and same are both 'rpool/data' on alpha"),
        (
            "".join(f"[groups.{name}]\nnode = 'alpha'\nvolumes = ['local-zfs:x']\n" for name in "ab"),
            "The volume 'local-zfs:x' is listed by guests a and b",
        ),
    ],
)
def test_what_is_valid_and_hardly_meant_is_noted(zsr: Zsr, added: str, note: str) -> None:
    with zsr.cluster_path.open("a") as file:
        file.write(f"{added}\n")
    assert note in zsr.well("config", "check").err


def test_a_node_that_the_cluster_does_not_have_has_no_status(zsr: Zsr) -> None:
    zsr.settings_path.write_text(zsr.settings_path.read_text().replace('"alpha"', '"delta"', 1))
    said = zsr("status")
    assert said.exit == 2
    assert "node = 'delta': there is no such node in" in said.err


def test_a_mail_that_goes_to_its_own_sender_is_noted(zsr: Zsr) -> None:
    with zsr.settings_path.open("a") as file:
        file.write('[[notify]]\nname = "hook"\nurl = "mailtos://zsr:geheim@example.org"\n')
    assert "The URL of [[notify]] 'hook' names no recipient (?to=)" in zsr.well("config", "check").err


def test_a_state_that_is_a_folder_is_named(zsr: Zsr) -> None:
    (zsr.folder / "state" / "state.db").mkdir(parents=True)
    said = zsr("status")
    assert said.exit == 1
    assert "state.db': it is a folder. Move it away, or name another state_dir." in said.err
