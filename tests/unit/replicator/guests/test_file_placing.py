"""A file is put in its place as a whole, with mode and owner; what was there is kept, and a link is not followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from replicator.common.kept_files import KeptFile
from replicator.errors import ConfigError, ZsrError
from replicator.guests import file_placing
from replicator.guests.file_placing import Placed, place

NOW = 1_796_086_537.0
BEFORE = "web.xml.zsr-before-20261201T005537Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc" / "web.xml"


def file(path: Path, content: bytes = b"new", mode: int = 0o640) -> KeptFile:
    return KeptFile(str(path), mode, path.parent.owner(), path.parent.group(), 12345, 12345, content)


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def test_it_gets_its_content_and_mode_and_its_folder_if_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "system" / "web.service.d" / "override.conf"
    (tmp_path / "system").mkdir()
    mask = os.umask(0o077)
    try:
        done = place(KeptFile(str(path), 0o600, "root", "root", os.getuid(), os.getgid(), b"x"), NOW)
    finally:
        os.umask(mask)

    assert done == (Placed.NEW, "")
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"x", 0o600)
    assert path.parent.stat().st_mode & 0o7777 == 0o755
    assert names(path) == [path.name]


def test_one_that_is_there_already_is_left_alone(path: Path) -> None:
    place(file(path), NOW)
    before = path.stat()
    assert place(file(path), NOW) == (Placed.SAME, "")
    assert (path.stat().st_ino, path.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


@pytest.mark.parametrize("content", [b"old", b"new"], ids=["another content", "another mode"])
def test_another_one_is_kept_under_its_name_and_the_time(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o604)

    assert place(file(path), NOW) == (Placed.REPLACED, str(path.with_name(BEFORE)))

    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"new", 0o640)
    kept = path.with_name(BEFORE)
    assert (kept.read_bytes(), kept.stat().st_mode & 0o7777) == (content, 0o604)
    assert names(path) == ["web.xml", BEFORE]


def test_one_that_was_kept_is_never_lost_to_another(path: Path) -> None:
    path.write_bytes(b"first")
    place(file(path), NOW)
    path.write_bytes(b"second")
    assert place(file(path), NOW) == (Placed.REPLACED, str(path.with_name(f"{BEFORE}.2")))
    assert path.with_name(BEFORE).read_bytes() == b"first"


@pytest.mark.parametrize("killed_in", ["_write", "rename"])
def test_killed_anywhere_the_old_one_is_whole_and_the_same_again_does_the_rest(
    path: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    class KilledError(BaseException):
        """Stands for a death."""

    def die(*_: object, **__: object) -> None:
        if killed_in == "_write":
            (path.parent / ".web.xml.zsr-new").write_bytes(b"ne")
        raise KilledError

    path.write_bytes(b"old")
    with monkeypatch.context() as patched:
        patched.setattr(file_placing if killed_in == "_write" else os, killed_in, die)
        with pytest.raises(KilledError):
            place(file(path), NOW)
    assert path.read_bytes() == b"old"

    assert place(file(path), NOW + 60) == (Placed.REPLACED, str(path.with_name(BEFORE)))

    assert path.read_bytes() == b"new"
    assert names(path) == ["web.xml", BEFORE]


@pytest.mark.parametrize("kind", ["link", "link to nowhere", "folder", "pipe"])
def test_what_is_no_regular_file_is_not_replaced(path: Path, tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other"
    other.write_text("other")
    make: dict[str, Callable[[], object]] = {
        "link": lambda: path.symlink_to(other),
        "link to nowhere": lambda: path.symlink_to("/nowhere"),
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
    }
    make[kind]()

    with pytest.raises(ConfigError, match=r"here: it is not replaced\."):
        place(file(path), NOW)

    assert other.read_text() == "other"
    assert names(path) == ["web.xml"]


def test_a_folder_that_cannot_be_made_is_a_sentence(path: Path) -> None:
    path.write_text("a file")
    with pytest.raises(ZsrError, match=r"Could not put '.*web.xml/x' in place: "):
        place(KeptFile(str(path / "x"), 0o644, "root", "root", 0, 0, b""), NOW)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_name_counts_before_its_number_which_counts_where_the_name_is_not_known(path: Path) -> None:
    place(KeptFile(str(path), 0o644, "nobody", "no-such-group", 4711, 4712, b""), NOW)
    assert (path.owner(), path.stat().st_gid) == ("nobody", 4712)
