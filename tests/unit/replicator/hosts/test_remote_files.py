"""A file on a host is replaced as a whole, and only if it is still what was read."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

import pytest

from replicator.common.files import FileText, digest_of
from replicator.errors import BusyError, ConfigError
from replicator.hosts import remote_files
from replicator.hosts.known_hosts import KnownHosts
from replicator.hosts.local import LocalHost
from replicator.hosts.remote_files import read_file, replace_file
from replicator.hosts.ssh import SshHost
from tests.support.openssh_server import OpenSshServer, openssh_server

HOST = LocalHost("here")


def read(path: Path) -> FileText | None:
    return asyncio.run(read_file(HOST, str(path)))


def write(path: Path, text: str, expected: FileText | None) -> None:
    asyncio.run(replace_file(HOST, str(path), text, expected))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "cluster file.toml"


@pytest.fixture
def file(path: Path) -> Path:
    path.parent.mkdir()
    path.write_text("old\n")
    return path


def test_what_is_there_is_read_with_its_digest(file: Path) -> None:
    assert read(file) == FileText(digest_of("old\n"), "old\n")


def test_a_file_that_is_not_there_is_none(path: Path) -> None:
    assert read(path) is None


def test_it_gets_the_new_text_with_its_rights_and_leaves_no_draft(file: Path) -> None:
    file.chmod(0o640)
    text = "new ü 'quoted' $HOME\n\tno end of line"

    write(file, text, FileText(digest_of("old\n"), "old\n"))

    assert file.read_text() == text
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in file.parent.iterdir()) == [file.name, f"{file.name}.lock"]


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)

    write(link, "new", read(link))

    assert link.is_symlink()
    assert file.read_text() == "new"


def test_a_new_one_is_for_its_owner_only(file: Path) -> None:
    new = file.with_name("new")

    write(new, "text", None)

    assert new.read_text() == "text"
    assert new.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("expected", [None, FileText(digest_of("older\n"), "older\n")], ids=["none", "other"])
def test_one_that_was_changed_meanwhile_stays(file: Path, expected: FileText | None) -> None:
    with pytest.raises(ConfigError, match="on here has just been changed; it was not written"):
        write(file, "new", expected)

    assert file.read_text() == "old\n"


def test_one_that_appeared_or_went_meanwhile_is_left_alone(file: Path) -> None:
    expected = read(file)
    file.unlink()

    with pytest.raises(ConfigError, match="has just been changed"):
        write(file, "new", expected)

    assert not file.exists()


def test_a_change_of_zsr_there_is_waited_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both take the same lock."""
    monkeypatch.setattr(remote_files, "_REPLACE", remote_files._REPLACE.replace("flock -w 10", "flock -w 1"))
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="locked by another program"):
            write(file, "new", read(file))

    assert file.read_text() == "old\n"


def test_a_folder_that_is_not_there_is_a_sentence(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Could not write '.*cluster file.toml' on here"):
        write(path, "new", None)


@pytest.mark.skipif(os.geteuid() != 0, reason="the server lets root in")
def test_it_goes_over_ssh_as_it_is(file: Path, tmp_path: Path) -> None:
    folder, text = tmp_path / "ssh", "".join(f"line {number} ü \\n\n" for number in range(5000))
    folder.mkdir()

    async def there_and_back(server: OpenSshServer) -> FileText | None:
        host = SshHost(server.node, server.settings, KnownHosts(server.settings.known_hosts))
        try:
            await replace_file(host, str(file), text, await read_file(host, str(file)))
            return await read_file(host, str(file))
        finally:
            await host.close()

    with openssh_server(folder) as server:
        found = asyncio.run(there_and_back(server))

    assert file.read_text() == text
    assert found == FileText(digest_of(text), text)
