"""Faults of zsr itself on a node: settings, daemon, unit, state.db, disks, commands of guests."""

from __future__ import annotations

from typing import Any

import pytest

from replicator import __version__
from replicator.api.doctor import Level, Line
from replicator.doctor import service
from replicator.doctor.service import Disk, HookProgram, StateFile
from replicator.errors import ZsrError

MIB = 2**20


def only(lines: list[Line]) -> Line:
    (line,) = lines
    return line


def answer(**other: Any) -> dict[str, Any]:
    """What a healthy daemon answers."""
    healthy = {
        "time": 1_800_000_000.0, "node": "alpha", "version": __version__, "ready": True, "jobs": [],
        "config_problems": [], "reachable": {},
    }  # fmt: skip
    return healthy | other


class TestSettings:
    def test_each_wrong_key_is_a_failure_of_its_own(self) -> None:
        text = "/etc/zsr/zsr.toml: 2 wrong settings:\n  nod = ...: unknown key\n  max_parallel = 0: at least 1"

        assert [line.text for line in service.settings("alpha", [text], "")] == [
            "/etc/zsr/zsr.toml: nod = ...: unknown key",
            "/etc/zsr/zsr.toml: max_parallel = 0: at least 1",
        ]

    def test_without_a_problem_the_files_are_named(self) -> None:
        line = only(service.settings("alpha", [], "/etc/zsr/zsr.toml"))

        assert (line.level, line.text) == (Level.OK, "Right: /etc/zsr/zsr.toml.")

    def test_a_file_that_this_user_may_not_read_is_unknown(self) -> None:
        line = only(service.hidden_settings("alpha", ["/etc/zsr/zsr.toml"]))

        assert (line.level, line.advice) == (Level.UNKNOWN, "Run zsr doctor as root.")


class TestDaemon:
    def test_one_that_is_ready_is_well(self) -> None:
        assert only(service.daemon("alpha", answer())).level is Level.OK

    def test_one_that_does_not_run_replicates_nothing(self) -> None:
        line = only(service.daemon("alpha", None))

        assert line.level is Level.FAIL
        assert "systemctl enable --now zsr" in line.advice

    def test_one_that_is_not_ready_says_why(self) -> None:
        line = only(service.daemon("alpha", answer(ready=False, not_ready=["no cluster file", "no ZFS"])))

        assert line.level is Level.WARN
        assert line.text.endswith("no cluster file; no ZFS")

    def test_one_of_an_older_version_has_to_be_restarted(self) -> None:
        line = only(service.daemon("alpha", answer(version="0.0.9")))

        assert line.level is Level.WARN
        assert "still runs zsr 0.0.9" in line.text
        assert line.advice == "Restart it: systemctl restart zsr"

    def test_what_zsr_check_finds_of_it_is_found(self) -> None:
        line = only(service.daemon("alpha", answer(vanished_jobs={"100-0": 1_799_990_000.0})))

        assert line.level is Level.FAIL
        assert "job 100-0 is gone from the cluster file" in line.text.lower()

    def test_settings_that_wait_are_no_fault_of_the_daemon(self) -> None:
        assert only(service.daemon("alpha", answer(config_pending=["node"]))).level is Level.OK


class TestReload:
    def test_settings_that_are_not_in_use_yet_are_named(self) -> None:
        line = only(service.reload("alpha", answer(config_pending=["max_parallel", "notify"])))

        assert line.level is Level.WARN
        assert "max_parallel, notify" in line.text
        assert "systemctl reload zsr" in line.advice

    def test_settings_that_the_daemon_refused_are_named(self) -> None:
        assert "nod = ..." in only(service.reload("alpha", answer(config_problems=["nod = ...: unknown key"]))).text

    def test_all_taken_over_is_well_and_without_a_daemon_nothing_waits(self) -> None:
        assert only(service.reload("alpha", answer())).level is Level.OK
        assert only(service.reload("alpha", None)).level is Level.OFF


class TestUnit:
    @pytest.mark.parametrize(
        ("shown", "level", "words"),
        [
            ("LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no", Level.OK, "at boot"),
            ("LoadState=not-found", Level.WARN, "no zsr.service"),
            ("LoadState=bad-setting", Level.FAIL, "cannot be loaded"),
            ("LoadState=loaded\nActiveState=active\nUnitFileState=disabled", Level.WARN, "after a reboot"),
            (
                "LoadState=loaded\nActiveState=failed\nUnitFileState=enabled\nResult=exit-code",
                Level.FAIL,
                "failed (exit-code)",
            ),
            ("LoadState=loaded\nUnitFileState=enabled\nNeedDaemonReload=yes", Level.WARN, "not read again"),
        ],
    )
    def test_a_service_is_judged_by_what_systemd_shows(self, shown: str, level: Level, words: str) -> None:
        line = only(service.unit("alpha", service.unit_properties(shown)))

        assert line.level is level
        assert words in line.text

    def test_without_systemd_there_is_nothing_to_look_at(self) -> None:
        assert only(service.unit("alpha", None)).level is Level.OFF


class TestState:
    @pytest.mark.parametrize(
        ("file", "level"),
        [
            (StateFile("/s/state.db"), Level.OK),
            (StateFile("/s/state.db", exists=False), Level.OK),
            (StateFile("/s/state.db", may_read=False), Level.UNKNOWN),
            (StateFile("/s/state.db", error=ZsrError("It was written by a newer zsr.")), Level.FAIL),
            (StateFile("/s/state.db", damage="row 3 missing"), Level.FAIL),
        ],
    )
    def test_a_file_is_judged(self, file: StateFile, level: Level) -> None:
        assert service.state("alpha", file).level is level


class TestDisks:
    @pytest.mark.parametrize(
        ("disk", "level"),
        [
            (Disk("/s", 10_000 * MIB, 5000 * MIB), Level.OK),
            (Disk("/s", 1000 * MIB, 150 * MIB), Level.OK),
            (Disk("/s", 10_000 * MIB, 150 * MIB), Level.WARN),
            (Disk("/s", 10_000 * MIB, 0), Level.FAIL),
            (Disk("/s", 10_000 * MIB, 5000 * MIB, inodes_free=0), Level.FAIL),
            (Disk("/s", 10_000 * MIB, 5000 * MIB, read_only=True), Level.FAIL),
            (Disk("/s", error="Transport endpoint is not connected"), Level.UNKNOWN),
        ],
    )
    def test_a_disk_is_judged(self, disk: Disk, level: Level) -> None:
        assert only(service.disks("alpha", [disk])).level is level


class TestHooks:
    @pytest.mark.parametrize(
        ("program", "level", "words"),
        [
            (HookProgram(100, "freeze", "/opt/freeze", "/opt/freeze"), Level.OK, "1 commands"),
            (HookProgram(100, "freeze", "fsfreese", None), Level.FAIL, "no program 'fsfreese'"),
            (HookProgram(100, "thaw", "/opt/t", "/opt/t", may_run=False), Level.FAIL, "not executable"),
            (
                HookProgram(100, "thaw", "/opt/t", "/opt/t", writable="'/opt/t' may be written by others"),
                Level.FAIL,
                "may be written by others",
            ),
        ],
    )
    def test_the_program_of_a_command_is_judged(self, program: HookProgram, level: Level, words: str) -> None:
        line = only(service.hooks("alpha", [program], ()))

        assert line.level is level
        assert words in line.text

    def test_commands_that_are_never_run_are_a_failure(self) -> None:
        assert only(service.hooks("alpha", [], ["The hooks of guests 100 are not run: ..."])).level is Level.FAIL

    def test_without_any_there_is_nothing_to_look_at(self) -> None:
        assert only(service.hooks("alpha", [], ())).level is Level.OFF
