"""A folder of versions on a host, by a real shell: for root only, each version as a whole or not at all."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from replicator.common.kept_files import Kept, KeptFile, Version, name_of
from replicator.errors import ConfigError
from replicator.hosts.known_hosts import KnownHosts
from replicator.hosts.local import LocalHost
from replicator.hosts.ssh import SshHost
from replicator.hosts.version_folder import _KEEP, keep_version, list_versions, remove_folder, remove_versions
from tests.support.guest_files import UNIT, XML, kept, kept_file, version
from tests.support.openssh_server import openssh_server

HOST = LocalHost("here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where versions are kept; there is none yet, as on a node without zsr."""
    return tmp_path / "var lib" / "guest-files" / "100-0"


def keep(folder: Path, of: Version, file: KeptFile) -> None:
    asyncio.run(keep_version(HOST, str(folder), of, file))


def listed(folder: Path) -> Kept:
    return asyncio.run(list_versions(HOST, str(folder)))


def test_nothing_is_kept_in_a_folder_that_is_not_there(folder: Path) -> None:
    assert listed(folder) == Kept()
    asyncio.run(remove_versions(HOST, str(folder), ["a/b"]))
    asyncio.run(remove_folder(HOST, str(folder)))


def test_a_version_is_kept_as_it_is_for_its_owner_only(folder: Path) -> None:
    file = kept_file(content=bytes(range(256)) * 4096)
    of = version(1000, file=file)
    folder.mkdir(parents=True, mode=0o755)

    keep(folder, of, file)

    path = folder / name_of(XML, of)
    assert listed(folder) == kept(of)
    assert KeptFile.decoded(path.read_bytes()) == file
    assert [each.stat().st_mode & 0o777 for each in (path, path.parent, folder)] == [0o600, 0o700, 0o700]


def test_what_arrives_damaged_is_not_kept_and_what_was_there_stays(folder: Path) -> None:
    keep(folder, version(1000), kept_file())
    with pytest.raises(ConfigError, match="did not arrive on here as it was sent"):
        keep(folder, version(2000, file=kept_file()), kept_file(content=b"other"))
    assert listed(folder) == kept(version(1000))


def test_a_kill_in_the_middle_leaves_the_old_version_and_a_draft_that_the_next_one_removes(folder: Path) -> None:
    keep(folder, version(1000), kept_file())
    file = kept_file(content=b"new")
    of = version(2000, file=file)
    argv = ["sh", "-c", _KEEP, "sh", str(folder), name_of(XML, of).partition("/")[0], of.name, of.digest]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True) as writer:
        assert writer.stdin is not None
        writer.stdin.write(b"bmV3" * 20000)
        writer.stdin.flush()
        while not listed(folder).drafts:
            pass
        os.killpg(writer.pid, signal.SIGKILL)
    assert listed(folder).versions == kept(version(1000)).versions

    keep(folder, later := version(3000, file=kept_file(mode=0o600)), kept_file(mode=0o600))

    assert listed(folder) == kept(version(1000), later)


def test_versions_and_drafts_are_removed_by_name_and_an_empty_folder_goes(folder: Path) -> None:
    many = [version(1000, number) for number in range(450)]
    place = folder / name_of(XML, many[0]).partition("/")[0]
    place.mkdir(parents=True)
    for each in many:
        (folder / name_of(XML, each)).write_text("")
    (place / ".new.x").write_text("")
    keep(folder, of := version(1, file=kept_file(UNIT)), kept_file(UNIT))

    asyncio.run(remove_versions(HOST, str(folder), [f"{place.name}/.new.x", *(name_of(XML, each) for each in many)]))

    assert listed(folder) == kept(of, path=UNIT)
    assert not place.exists()


def test_the_whole_folder_is_removed(folder: Path) -> None:
    keep(folder, version(1000), kept_file())
    asyncio.run(remove_folder(HOST, str(folder)))
    assert folder.parent.is_dir()
    assert not folder.exists()


def test_what_cannot_be_written_is_a_sentence(folder: Path) -> None:
    folder.parent.parent.mkdir()
    folder.parent.write_text("a file is in the way")
    with pytest.raises(ConfigError, match=f"Could not keep '{XML}' in '.*100-0' on here: "):
        keep(folder, version(1000), kept_file())


@pytest.mark.skipif(os.geteuid() != 0, reason="the server lets root in")
def test_it_goes_over_ssh_as_it_is(folder: Path, tmp_path: Path) -> None:
    file = kept_file("/etc/a 'b' \\ c!%.xml", bytes(range(256)) * 4000)
    of = version(1000, file=file)
    (tmp_path / "ssh").mkdir()

    async def there() -> Kept:
        host = SshHost(server.node, server.settings, KnownHosts(server.settings.known_hosts))
        try:
            await keep_version(host, str(folder), of, file)
            return await list_versions(host, str(folder))
        finally:
            await host.close()

    with openssh_server(tmp_path / "ssh") as server:
        assert asyncio.run(there()) == kept(of, path=file.path)
    assert KeptFile.decoded((folder / name_of(file.path, of)).read_bytes()) == file
