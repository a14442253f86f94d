"""Files of a host are read with mode and owner, by a real shell; what is none is said, and harms no other."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from replicator.common.kept_files import KeptFile
from replicator.errors import ConfigError
from replicator.hosts.file_reading import MOST_BYTES, read_files
from replicator.hosts.host import Completed
from replicator.hosts.local import LocalHost


def read(*paths: Path) -> list[KeptFile | str]:
    return list(asyncio.run(read_files(LocalHost("here"), [str(path) for path in paths])).values())


@pytest.mark.parametrize(
    "content", [b"", b"text\n", b"\n\n", bytes(range(256))], ids=["empty", "text", "lines", "bytes"]
)
def test_a_file_is_read_with_its_mode_and_owner(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a 'web' $x.xml"
    path.write_bytes(content)
    path.chmod(0o640)

    [file] = read(path)

    assert isinstance(file, KeptFile)
    assert (file.path, file.content, file.mode) == (str(path), content, 0o640)
    assert (file.uid, file.gid, file.user) == (os.getuid(), os.getgid(), path.owner())


def test_what_is_no_regular_file_is_said_and_the_others_are_read(tmp_path: Path) -> None:
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    file.write_text("x")
    link.symlink_to(file)
    os.mkfifo(pipe)

    found = read(link, pipe, tmp_path, tmp_path / "absent", file)

    assert found[:4] == [
        "it is a symbolic link, not a file",
        "it is not a regular file",
        "it is not a regular file",
        "there is no such file",
    ]
    assert isinstance(found[4], KeptFile)


def test_a_file_that_is_too_large_is_not_read_and_neither_is_more_than_four_of_the_largest(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(7)]
    for path in paths:
        path.write_bytes(bytes(MOST_BYTES))
    paths[0].write_bytes(bytes(MOST_BYTES + 1))
    paths[6].write_bytes(b"")

    found = read(*paths)

    assert found[0] == "it is larger than 1 MiB"
    assert found[5] == "the files before it and this one are larger than 4 MiB"
    assert [isinstance(each, KeptFile) for each in found] == [False, True, True, True, True, False, True]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0)
    assert read(path) == ["it cannot be read"]


@pytest.mark.parametrize(
    ("out", "found"),
    [
        ("file 644 0 0 5\nroot\nroot\nYWJj\n", "it was changed while it was read"),
        ("file 644 0 0 5\nroot\nroot\nYWJ\n", "it was changed while it was read"),
    ],
    ids=["shorter", "cut off"],
)
def test_a_file_that_changes_while_it_is_read_is_said(out: str, found: str) -> None:
    class Played(LocalHost):
        async def run(self, argv: object, *, limit: float, stdin: str = "") -> Completed:
            return Completed((), 0, out, "")

    assert asyncio.run(read_files(Played("here"), ["/a"])) == {"/a": found}


def test_a_shell_that_says_nothing_is_an_error() -> None:
    class Played(LocalHost):
        async def run(self, argv: object, *, limit: float, stdin: str = "") -> Completed:
            return Completed((), 127, "", "sh: stat: not found")

    with pytest.raises(ConfigError, match="stat: not found"):
        asyncio.run(read_files(Played("here"), ["/a"]))
