"""Verbs that are given a group in place of a guest's number."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Zsr

GROUP = '\n[groups.home]\nnode = "alpha"\nvolumes = ["local-zfs:home"]\n'


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    zsr = Zsr.on_alpha(tmp_path, capsys, monkeypatch)
    zsr.cluster_path.write_text(zsr.cluster_path.read_text() + GROUP)
    zsr.well("create-local-job", "home-0", "beta")
    zsr.well("create-local-job", "100-0", "beta")
    return zsr


def test_a_job_of_it_is_made_changed_listed_disabled_and_deleted(zsr: Zsr) -> None:
    zsr.well("update", "home-0", "--schedule", "hourly", "--comment", "files")
    assert [row[0] for row in zsr.well("list").rows][1:] == ["100-0", "home-0"]
    zsr.well("disable", "home-0")
    assert zsr.cluster_path.read_text().count("disabled = true") == 1
    zsr.well("delete", "home-0", "--force", "--yes")
    assert [str(job) for job in zsr.cluster.jobs] == ["100-0"]


def test_the_status_is_that_of_its_jobs(zsr: Zsr) -> None:
    (job,) = zsr.well("status", "--guest", "home", "--format", "json").json
    assert (job["id"], job["guest"], job["guest_name"]) == ("home-0", "home", "home")
    assert [each["id"] for each in zsr("status", "--format", "json").json] == ["100-0", "home-0"]


@pytest.mark.parametrize(
    ("volumes", "notes"),
    [
        ('["local-zfs:vm-100-disk-5"]', ["guests 100 and media"]),
        ('["local-zfs:home"]', ["guests home and media"]),
        ('["local-zfs:vm-1000-disk-5", "local-zfs:home/below"]', []),
    ],
)
def test_a_volume_that_it_shares_with_another_guest_of_its_node_is_noted(
    zsr: Zsr, volumes: str, notes: list[str]
) -> None:
    zsr.cluster_path.write_text(f'{zsr.cluster_path.read_text()}[groups.media]\nnode = "alpha"\nvolumes = {volumes}\n')
    said = zsr.well("config", "check").err
    assert [
        line.split("is a volume of ")[1].split(",")[0] for line in said.splitlines() if "is a volume" in line
    ] == notes


def test_a_guest_that_is_not_there_is_refused_by_its_name(zsr: Zsr) -> None:
    said = zsr("status", "--guest", "homes")
    assert said.exit == 2
    assert "no job of guest homes" in said.err
    assert "is no guest" in zsr("status", "--guest", "my-home").err


def test_a_check_may_be_of_it_alone(zsr: Zsr) -> None:
    assert "home-0" in zsr("check", "--guest", "home").out
    assert "100-0" not in zsr("check", "--guest", "home").out


def test_a_second_job_to_the_same_target_is_refused(zsr: Zsr) -> None:
    assert "guest home already has job home-0 to this target" in zsr("create-local-job", "home-1", "beta").err


def test_a_job_of_a_group_that_the_file_does_not_have_says_where_it_belongs(zsr: Zsr) -> None:
    assert "Add [groups.mail] to the cluster file." in zsr("create-local-job", "mail-0", "beta").err


def test_messages_may_be_of_it_alone(zsr: Zsr) -> None:
    route = '\n[[notify]]\nname = "admin"\nurl = "json://127.0.0.1:9/"\nmatch = { guest = ["home", 100] }\n'
    zsr.settings_path.write_text(zsr.settings_path.read_text() + route)
    zsr.well("config", "check")
    zsr.settings_path.write_text(zsr.settings_path.read_text().replace('"home"', '"my-home"'))
    assert "or the name of a group" in zsr("config", "check").err
