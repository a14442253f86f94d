"""Writing the files: each is the old or the new one as a whole, whenever it is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from replicator.cluster.model import ChangedError
from replicator.common.files import create_text
from replicator.setup.answers import read_answers
from replicator.setup.existing import read_existing
from replicator.setup.files import FileChange, add_line, write_file
from replicator.setup.plan import Gathered, Plan, make_plan, write_plan
from replicator.setup.ssh_keys import LoginKey

SETTINGS = '# mine\nnode = "alpha"\n[cluster]\npath = "F/etc/cluster.toml"\n'
CLUSTER = '[nodes.alpha]   # here\naddress = "10.0.0.11"\n'
CALLS = ("fsync", "link", "replace", "rename", "unlink", "chmod")
"""Calls before which the process is killed."""


def plan(folder: Path) -> Plan:
    found, problems = read_answers(
        {
            "node": {"name": "alpha", "address": "10.0.0.11"},
            "storage": {"name": "data", "path": "tank/data"},
            "ssh": {"key": f"{folder}/ssh/key"},
            "nodes": [{"name": "beta", "address": "10.0.0.12", "host_key": f"SHA256:{'a' * 43}"}],
            "guests": [{"id": 100, "target": "beta"}],
        }
    )
    assert found is not None, problems
    (folder / "etc").mkdir(exist_ok=True)
    key = folder / "ssh" / "key"
    login = LoginKey(key, "ssh-ed25519 AAAA zsr@alpha", None if key.exists() else "private\n")
    gathered = Gathered(found, login, ("10.0.0.12 ssh-ed25519 BBBB",))
    return make_plan(gathered, read_existing(folder / "etc" / "zsr.toml"), metrics_here=True)


def killed_before(call: int, folder: Path) -> bool:
    """Write in a child that is killed before a call that changes files; return whether it got that far."""
    wanted = plan(folder)
    pid = os.fork()
    if pid == 0:
        left = call

        def deadly(name: str) -> None:
            original = getattr(os, name)

            def wrapped(*arguments: object, **options: object) -> object:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments, **options)

            setattr(os, name, wrapped)

        for name in CALLS:
            deadly(name)
        try:
            list(write_plan(wanted))
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def texts(folder: Path) -> dict[str, str]:
    names = ("etc/zsr.toml", "etc/cluster.toml", "ssh/key")
    return {name: (folder / name).read_text() for name in names if (folder / name).exists()}


@pytest.mark.parametrize("before", [{}, {"etc/zsr.toml": SETTINGS, "etc/cluster.toml": CLUSTER}], ids=["new", "edited"])
def test_killed_anywhere_each_file_is_old_or_new_and_the_next_run_finishes(
    tmp_path: Path, before: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fresh(name: str) -> Path:
        folder = tmp_path / name
        (folder / "etc").mkdir(parents=True)
        for file, text in before.items():
            (folder / file).write_text(text.replace("F/", f"{folder}/"))
        monkeypatch.setenv("HOME", str(folder))
        return folder

    whole = fresh("whole")
    list(write_plan(plan(whole)))
    wanted = {name: text.replace(str(whole), "F") for name, text in texts(whole).items()}
    assert set(wanted) == {"etc/zsr.toml", "etc/cluster.toml", "ssh/key"}

    call = 1
    while killed_before(call, folder := fresh(str(call))):
        for name, text in texts(folder).items():
            assert text.replace(str(folder), "F") in (before.get(name), wanted[name]), (call, name)
        list(write_plan(plan(folder)))
        assert {name: text.replace(str(folder), "F") for name, text in texts(folder).items()} == wanted
        call += 1
    assert call > 10


def test_a_file_that_was_changed_meanwhile_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "zsr.toml"
    path.write_text("new\n")

    with pytest.raises(ChangedError):
        write_file(FileChange(path, "old\n", "mine\n"), "T")

    assert path.read_text() == "new\n"


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "zsr.toml"
    path.write_text("new\n")

    with pytest.raises(FileExistsError):
        create_text(path, "mine\n")

    assert path.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_line_is_added_once_and_after_a_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "ssh" / "known_hosts"

    assert add_line(path, "one")
    path.write_text("one\ntwo")

    assert add_line(path, "three")
    assert not add_line(path, "one")
    assert path.read_text() == "one\ntwo\nthree\n"
    assert path.parent.stat().st_mode & 0o777 == 0o700
