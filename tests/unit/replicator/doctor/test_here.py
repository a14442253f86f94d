"""Looks at this node: state.db, disks, programs of guests' commands; and what another node's settings say of SSH."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.doctor.here import disk_of, hook_programs, state_file
from replicator.doctor.service import HookProgram
from replicator.doctor.there import ssh_section
from replicator.models import Guest, Runtime
from replicator.state.stores import State


class TestStateFile:
    def test_a_sound_one_a_missing_one_and_a_damaged_one(self, tmp_path: Path) -> None:
        State.open(tmp_path / "state.db").close()
        (tmp_path / "bad.db").write_bytes(b"no database" * 1000)

        assert state_file(tmp_path / "state.db").damage is None
        assert not state_file(tmp_path / "none" / "state.db").exists
        assert state_file(tmp_path / "bad.db").error is not None

    def test_looking_leaves_nothing(self, tmp_path: Path) -> None:
        State.open(tmp_path / "state.db").close()

        state_file(tmp_path / "state.db")

        assert [path.name for path in tmp_path.iterdir()] == ["state.db"]


def test_the_disk_of_a_folder_that_does_not_exist_yet_is_that_of_its_parent(tmp_path: Path) -> None:
    found = disk_of(tmp_path / "not" / "yet")

    assert found.total >= found.free > 0
    assert not found.read_only


class TestPrograms:
    def one(self, command: str) -> HookProgram | None:
        return next(hook_programs(Guest(100, "web", "alpha", freeze=command)), None)

    def test_a_program_in_the_path_is_found(self) -> None:
        program = self.one("sh -c 'true'")

        assert program is not None
        assert program.found is not None
        assert program.may_run

    def test_a_program_that_is_not_there_is_not_found(self) -> None:
        program = self.one("no-such-program --freeze")

        assert program is not None
        assert program.found is None

    def test_a_script_that_is_not_executable_or_that_others_may_write_is_seen(self, tmp_path: Path) -> None:
        script = tmp_path / "freeze"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o646)

        program = self.one(f"{script} 100")

        assert program is not None
        assert not program.may_run
        assert program.writable is not None

    @pytest.mark.parametrize("command", ["cd / && true", "[ -e /x ]", "A=1 true", "$(which sh)", "", "'"])
    def test_what_only_a_shell_understands_is_left_to_it(self, command: str) -> None:
        assert self.one(command) is None

    def test_the_commands_of_a_runtime_count_too(self) -> None:
        guest = Guest(100, "web", "alpha", runtime=Runtime("virsh start x", "virsh stop x", "true"))

        assert [program.name for program in hook_programs(guest)] == ["start", "stop"]


class TestSshSection:
    def test_key_and_known_hosts_of_another_node_are_read(self) -> None:
        found = ssh_section('[ssh]\nkey = "/root/k"\nknown_hosts = "/root/kh"\nagent = false\n', 5.0)

        assert (found.keys, found.known_hosts, found.agent) == (("/root/k",), "/root/kh", False)

    @pytest.mark.parametrize("printed", ["", "[ssh]\n", "not [toml", "[ssh]\nkey = 7\n", "ssh = 1\n"])
    def test_what_cannot_be_read_leaves_the_defaults(self, printed: str) -> None:
        found = ssh_section(printed, 5.0)

        assert (found.keys, found.known_hosts, found.agent) == ((), None, True)
