"""The settings of a node: the defaults, and that all errors are reported at once, without secrets."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from replicator.api.problem import Problem
from replicator.config.problems import SettingsError
from replicator.config.settings import ClusterSettings, Settings, cluster_settings, default_path, load_settings
from replicator.errors import ConfigError

EVERYTHING = """
node = "alpha"
timezone = "Europe/Vienna"
max_parallel = 4
state_dir = "/srv/zsr"
control = "/run/z/c.sock"
[cluster]
store = "file"
path = "/srv/cluster.toml"
[history]
runs = 7
days = 2
[zfs]
command_timeout = "2m"
stall_timeout = 30
[ssh]
known_hosts = "/srv/known"
key = ["/srv/a", "/srv/b"]
agent = false
connect_timeout = 5
keepalive = "20s"
[exporter]
listen = "127.0.0.1:9999"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "zsr.toml"


def load(file: Path, text: str) -> Settings:
    file.write_text(text)
    return load_settings(file)


def problems(file: Path, text: str) -> list[Problem]:
    with pytest.raises(SettingsError) as refused:
        load(file, text)
    return list(refused.value.problems)


def keys(file: Path, text: str) -> list[str]:
    return [problem.key for problem in problems(file, text)]


def test_a_name_is_all_that_must_be_said(file: Path) -> None:
    settings = load(file, 'node = "alpha"')

    assert settings.node == "alpha"
    assert (settings.max_parallel, settings.command_timeout, settings.stall_timeout) == (1, 60, 300)
    assert settings.state_dir == Path("/var/lib/zsr")
    assert settings.control == Path("/run/zsr/control.sock")
    assert settings.cluster == ClusterSettings("file", Path("/etc/zsr/cluster.toml"))
    assert (settings.retention.runs, settings.retention.seconds) == (100, 30 * 86400)


def test_everything_can_be_said(file: Path) -> None:
    settings = load(file, EVERYTHING)

    assert settings.timezone == ZoneInfo("Europe/Vienna")
    assert (settings.max_parallel, settings.command_timeout, settings.stall_timeout) == (4, 120, 30)
    assert settings.ssh.keys == ("/srv/a", "/srv/b")
    assert (settings.ssh.agent, settings.ssh.connect_timeout, settings.ssh.keepalive) == (False, 5, 20)
    assert settings.retention.runs == 7
    assert settings.sections == {"exporter": {"listen": "127.0.0.1:9999"}}


def test_one_key_may_be_written_without_a_list(file: Path) -> None:
    assert load(file, 'node = "a"\n[ssh]\nkey = "/k"').ssh.keys == ("/k",)


def test_a_tilde_is_the_home_of_who_runs_zsr(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")

    assert load(file, 'node = "a"\n[ssh]\nknown_hosts = "~/kh"').ssh.known_hosts == "/home/someone/kh"


def test_the_machines_zone_holds_unless_another_is_set(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")

    assert load(file, 'node = "a"').timezone == ZoneInfo("Asia/Tokyo")


def test_all_errors_are_reported_at_once(file: Path) -> None:
    text = 'max_parallel = 0\ntimezone = "Mars"\n[history]\nruns = "many"\n[exporter]\nlisten = 7\n[[notify]]\n'

    assert {"node", "max_parallel", "timezone", "history.runs", "exporter.listen"} <= set(keys(file, text))
    assert any(key.startswith("notify") for key in keys(file, text))


def test_an_error_names_file_key_value_and_what_is_allowed(file: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load(file, 'node = "a"\nmax_parallel = 33')

    assert str(refused.value) == (f"{file}: 1 wrong setting:\n  max_parallel = 33: 32 or less")


@pytest.mark.parametrize(
    "line",
    [
        "max_parallel = 0",
        "max_parallel = 33",
        "max_parallel = true",
        'max_parallel = "2"',
        "max_parallel = 1.5",
        'state_dir = "relative"',
        'control = ""',
        f'control = "/{"a" * 107}"',
        'timezone = "Mars/Olympus"',
        'timezone = "../../etc/passwd"',
        'cluster = "file"',
    ],
)
def test_a_wrong_value_is_refused(file: Path, line: str) -> None:
    assert keys(file, f'node = "a"\n{line}') == [line.split(" = ", maxsplit=1)[0]]


@pytest.mark.parametrize(
    "setting",
    [
        'cluster.store = "etc"',
        'zfs.command_timeout = "soon"',
        "zfs.stall_timeout = 0",
        "ssh.connect_timeout = -1",
        'ssh.agent = "yes"',
        "history.runs = 0",
        "history.days = -1",
    ],
)
def test_a_wrong_value_in_a_section_is_refused(file: Path, setting: str) -> None:
    assert keys(file, f'node = "a"\n{setting}') == [setting.split(" = ", maxsplit=1)[0]]


@pytest.mark.parametrize("name", ["", "-a", "a-", "a_b", "a.b", "a b", "ä", "a" * 64])
def test_a_nodes_name_is_letters_digits_and_inner_hyphens(file: Path, name: str) -> None:
    assert keys(file, f'node = "{name}"') == ["node"]


@pytest.mark.parametrize("name", ["a", "A1", "node-1", "9", "a--b", "a" * 63])
def test_a_nodes_name_may_be(file: Path, name: str) -> None:
    assert load(file, f'node = "{name}"').node == name


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("max_paralel = 2", "max_parallel"),
        ("zfs.stal_timeout = 2", "stall_timeout"),
        ("exportr.listen = 2", "exporter"),
    ],
)
def test_an_unknown_key_is_reported_with_the_one_it_resembles(file: Path, line: str, hint: str) -> None:
    [problem] = problems(file, f'node = "a"\n{line}')

    assert f"did you mean '{hint}'?" in problem.allowed


def test_an_unknown_key_that_resembles_none_is_reported_with_those_there_are(file: Path) -> None:
    [problem] = problems(file, 'node = "a"\nssh.xyzzy = 1')

    assert problem.allowed.endswith("known: agent, connect_timeout, keepalive, key, known_hosts")


@pytest.mark.parametrize(
    "text",
    [
        '[[notfy]]\nname = "ops"\nurl = "mailtos://me:s3cret@example.org"',
        '[[notify]]\nname = "ops"\nurl = "mailtos://me:s3cret@example.org"\nurll = "s3cret"',
        '[[notify]]\nname = "ops"\nurl = "nonsense://me:s3cret@example.org"',
        '[ssh]\nkey = { a = "s3cret" }',
    ],
)
def test_a_secret_is_never_shown(file: Path, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(file, f'node = "a"\n{text}')

    assert "s3cret" not in str(refused.value)


def test_a_missing_file_says_how_to_begin(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no file .*zsr.toml'.*node ="):
        load_settings(file)


def test_text_that_is_not_toml_is_reported_with_its_line(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"not TOML: .*line 2"):
        load(file, 'node = "a"\nmax parallel = 1')


def test_bytes_that_are_no_text_are_reported(file: Path) -> None:
    file.write_bytes(b'node = "\xff"')

    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_settings(file)


def test_a_folder_is_no_file_of_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Could not read"):
        load_settings(tmp_path)


def test_the_place_can_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZSR_CONFIG", "/elsewhere/zsr.toml")
    assert default_path() == Path("/elsewhere/zsr.toml")

    monkeypatch.setenv("ZSR_CONFIG", "")
    assert default_path() == Path("/etc/zsr/zsr.toml")


def test_the_clusters_file_is_found_in_spite_of_other_errors(file: Path) -> None:
    file.write_text('max_parallel = 0\n[cluster]\npath = "/srv/c.toml"')

    assert cluster_settings(file) == ClusterSettings("file", Path("/srv/c.toml"))


@pytest.mark.parametrize(
    ("text", "proxmox", "bookmarks"),
    [("", False, True), ("", True, False), ('bookmarks = "auto"\n', True, False), ("bookmarks = true\n", True, True),
     ("bookmarks = false\n", False, False)],
)  # fmt: skip
def test_a_node_of_proxmox_ve_makes_no_bookmarks_unless_it_is_told_to(
    file: Path, monkeypatch: pytest.MonkeyPatch, text: str, proxmox: bool, bookmarks: bool
) -> None:
    """There the guest's own rollback would be refused for them."""
    place = file.parent / "pve"
    monkeypatch.setattr("replicator.config.settings.PROXMOX_CONFIG", place)
    if proxmox:
        place.mkdir()
    assert load(file, f'node = "alpha"\n[zfs]\n{text}').bookmarks is bookmarks


def test_the_prometheus_of_zsr_doctor_is_a_url(file: Path) -> None:
    node = 'node = "alpha"\n[doctor]\nprometheus = '

    assert load(file, f'{node}"https://me:secret@mon.example.org:9090/prom"').prometheus is not None
    assert keys(file, f'{node}"mon.example.org:9090"') == ["doctor.prometheus"]
