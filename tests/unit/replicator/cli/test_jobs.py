"""The job verbs, as the peer's admins know them: what they print, what they change, what they refuse."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC
from math import inf
from pathlib import Path
from typing import Any

import pytest

from replicator.cluster.file_store import FileStore
from replicator.cluster.model import Cluster
from replicator.cluster.store import ClusterStore
from replicator.common.snapshot_patterns import Travelling
from replicator.job_choices import Encryption, Foreign
from replicator.models import Job, JobId
from replicator.state.stores import State
from tests.support.command_line import Zsr

JOB = JobId(100, 0)


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.on_alpha(tmp_path, capsys, monkeypatch)


WEEK = 7 * 86400
MADE = Job(JOB, "beta", rate=10, comment="off site", grace=WEEK, foreign=Foreign.MIRROR, source="alpha")
"""The job of `with_job`."""


@pytest.fixture
def with_job(zsr: Zsr) -> Zsr:
    zsr.well("create-local-job", "100-0", "beta", "--rate", "10", "--comment", "off site")
    return zsr


class TestANumberThatProxmoxVEHas:
    @pytest.fixture
    def pve(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The file of Proxmox VE's jobs, with one of the guest."""
        folder = tmp_path / "pve"
        folder.mkdir()
        monkeypatch.setattr("replicator.config.settings.PROXMOX_CONFIG", folder)
        file = folder / "replication.cfg"
        file.write_text("local: 100-1\n\ttarget beta\n")
        return file

    @pytest.mark.parametrize("number", ["100-1", "100-12"])
    def test_is_refused_with_a_free_one(self, zsr: Zsr, pve: Path, number: str) -> None:
        said = zsr("create-local-job", number, "beta")
        assert said.exit == 2
        assert f"Job {number} cannot be created: Proxmox VE has a replication job 100-1 (to beta)" in said.err
        assert "zsr create-local-job 100-0 beta" in said.err
        assert "zsr adopt 100-0" in said.err
        assert not zsr.cluster.jobs

    def test_is_any_where_it_has_them_all(self, zsr: Zsr, pve: Path) -> None:
        pve.write_text("".join(f"local: 100-{number}\n\ttarget beta\n\n" for number in range(10)))
        assert "pvesr delete 100-3 --keep" in zsr("create-local-job", "100-3", "beta").err

    def test_is_free_where_it_is_anothers(self, zsr: Zsr, pve: Path) -> None:
        zsr.well("create-local-job", "100-0", "beta")

    def test_is_taken_with_a_word_where_the_file_cannot_be_read(self, zsr: Zsr, pve: Path) -> None:
        pve.write_text("garbage")
        said = zsr.well("create-local-job", "100-1", "beta")
        assert "Whether Proxmox VE has a replication job 100-1 is not known" in said.err
        assert "is damaged: line 1 cannot be read." in said.err


class TestCreate:
    def test_says_what_it_will_do_and_what_it_waits_for(self, zsr: Zsr) -> None:
        said = zsr("create-local-job", "100-0", "beta")

        assert (said.exit, said.out) == (0, "")
        assert said.err.startswith("Job 100-0: guest 100 (web) from alpha to beta, */15. Its first run sends all of it")
        assert "No daemon runs on alpha" in said.err
        assert "zsr run --id 100-0" in said.err
        assert zsr.cluster.jobs == {JOB: Job(JOB, "beta", grace=WEEK, foreign=Foreign.MIRROR, source="alpha")}

    def test_of_another_nodes_guest_says_where_its_file_has_to_go(self, zsr: Zsr) -> None:
        said = zsr.well("create-local-job", "200-0", "gamma").err
        assert "Job 200-0 runs on beta, and only alpha's cluster file was changed." in said
        assert "zsr cluster push beta" in said

    def test_takes_every_option(self, zsr: Zsr) -> None:
        zsr.well(
            *("create-local-job", "100-0", "beta", "--schedule", "*/5", "--rate", "2.5", "--comment", "a b"),
            *("--disable", "--rpo", "1h", "--timezone", "Europe/Vienna"),
            *(
                "--keep",
                "6h:15m, 1w:60m",
                "--snapshots",
                "own",
                "--encryption",
                "decrypted",
                "--grace",
                "36h",
                "--foreign",
                "keep",
            ),
        )

        assert zsr.cluster.jobs[JOB] == Job(
            JOB,
            "beta",
            schedule="*/5",
            rate=2.5,
            comment="a b",
            disabled=True,
            rpo=3600,
            timezone="Europe/Vienna",
            keep="6h:15m,7d:1h",
            snapshots=Travelling.OWN,
            encryption=Encryption.DECRYPTED,
            grace=36 * 3600,
            source="alpha",
        )

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["100-0", "alpha"], "the target is guest 100's own node"),
            (["100-0", "delta"], "there is no such node; known: alpha, beta, gamma"),
            (["300-0", "beta"], "there is no such guest; known guests: 100, 101, 200"),
            (["100", "beta"], "'100' is not a job id."),
            (["99-0", "beta"], "'99-0' is not a job id."),
            (["100-0", "beta", "--rate", "0.9"], "at least 1 (MB per second)"),
            (["100-0", "beta", "--rate", "inf"], "at least 1 (MB per second)"),
            (["100-0", "beta", "--schedule", "2020-1-1"], "never fires"),
            (["100-0", "beta", "--schedule", ""], "An empty schedule fires daily at midnight"),
            (["100-0", "beta", "--schedule", "24:00"], "no hour from 0 to 23"),
            (["100-0", "beta", "--schedule", "mon..fri 25:00"], "midnight is '0:00'"),
            (["100-0", "beta", "--schedule", "25:70:1"], "jobs.100-0.schedule"),
            (["100-0", "beta", "--timezone", "Mars"], "'Mars' is no time zone"),
            (["100-0", "beta", "--rpo", "0"], "more than 0 seconds"),
            (["100-0", "beta", "--keep", "0"], "how many restore points the target has, 1 to 10000, or a grid"),
            (["100-0", "beta", "--keep", "7d:1h,6h:15m"], "spans must grow, and 6h:15m stands after 7d:1h"),
            (["100-0", "beta", "--snapshots", "none"], "'none' is wrong: 'all', 'own', or patterns of names"),
            (
                ["100-0", "beta", "--grace", "soon"],
                "at most 100 years; or 'never'",
            ),
            (["100-0", "beta", "--encryption", "off"], "'off' is not one of 'raw', 'decrypted'"),
        ],
    )
    def test_refuses_with_a_sentence_and_changes_nothing(self, zsr: Zsr, arguments: list[str], sentence: str) -> None:
        before = zsr.cluster_path.read_text()

        said = zsr("create-local-job", *arguments)

        assert said.exit == 2
        assert sentence in said.err
        assert zsr.cluster_path.read_text() == before

    def test_refuses_a_second_job_of_a_guest_to_one_target(self, with_job: Zsr) -> None:
        said = with_job("create-local-job", "100-1", "beta")

        assert said.exit == 2
        assert "guest 100 already has job 100-0 to this target" in said.err


class TestList:
    def test_has_the_peers_columns(self, with_job: Zsr) -> None:
        header, row = with_job.well("list").rows

        assert header[:5] == ["JobID", "Target", "Schedule", "Rate", "Enabled"]
        assert row == ["100-0", "beta", "*/15", "10", "yes", "off", "site"]

    def test_is_sorted_by_numbers(self, zsr: Zsr) -> None:
        for job in ("200-0", "101-0", "100-10", "100-9"):
            zsr.well("create-local-job", job, "gamma" if job != "100-10" else "beta")

        assert [row[0] for row in zsr.well("list").rows[1:]] == ["100-9", "100-10", "101-0", "200-0"]

    def test_is_as_wide_as_needed_without_a_terminal(self, with_job: Zsr) -> None:
        with_job.well("update", "100-0", "--comment", "x" * 400)

        assert "x" * 400 in with_job.well("list").out

    def test_of_nothing_is_the_head_alone(self, zsr: Zsr) -> None:
        assert len(zsr.well("list").rows) == 1
        assert zsr.well("list", "--format", "json").json == []

    def test_is_there_for_scripts(self, with_job: Zsr) -> None:
        [job] = with_job.well("list", "--format", "json").json

        assert job == {
            "comment": "off site",
            "disable": False,
            "disabled_until": None,
            "encryption": "raw",
            "foreign": "mirror",
            "grace": 604800.0,
            "guest": 100,
            "id": "100-0",
            "jobnum": 0,
            "keep": "1",
            "rate": 10.0,
            "removal": None,
            "rpo": None,
            "schedule": "*/15",
            "snapshots": "all",
            "source": "alpha",
            "target": "beta",
            "timezone": None,
            "type": "local",
        }


class TestRead:
    def test_prints_a_job_with_the_clusters_digest(self, with_job: Zsr) -> None:
        job = with_job.well("read", "100-0").json

        assert (job["id"], job["target"], job["digest"]) == ("100-0", "beta", with_job.cluster.digest)

    def test_of_a_job_that_is_not_there_names_those_that_are(self, with_job: Zsr) -> None:
        said = with_job("read", "100-7")

        assert (said.exit, said.out) == (2, "")
        assert said.err == "zsr: There is no job 100-7. Known jobs: 100-0.\n"


class TestUpdate:
    def test_says_what_has_changed(self, with_job: Zsr) -> None:
        said = with_job.well("update", "100-0", "--schedule", "*/5", "--rpo", "20m").err
        assert f"schedule */5 (was {MADE.schedule})" in said

    def test_without_a_setting_is_refused(self, with_job: Zsr) -> None:
        said = with_job("update", "100-0")
        assert (said.exit, "There is nothing to change." in said.err) == (2, True)

    def test_of_the_target_says_how_it_is_done(self, with_job: Zsr) -> None:
        said = with_job("update", "100-0", "--target", "gamma")
        assert said.exit == 2
        assert "The target of job 100-0 cannot be changed: its replicas are on beta." in said.err

    def test_changes_what_is_named_and_nothing_else(self, with_job: Zsr) -> None:
        with_job.well("update", "100-0", "--schedule", "*/5", "--rpo", "20m")

        assert with_job.cluster.jobs[JOB] == replace(MADE, schedule="*/5", rpo=1200)

    @pytest.mark.parametrize("keys", ["rate,comment", "rate comment", "rate, comment"])
    def test_puts_deleted_keys_back_to_their_defaults(self, with_job: Zsr, keys: str) -> None:
        with_job.well("update", "100-0", "--delete", keys)

        assert with_job.cluster.jobs[JOB] == Job(JOB, "beta", grace=WEEK, foreign=Foreign.MIRROR, source="alpha")

    def test_changes_what_travels_and_what_is_kept_and_puts_it_back(self, with_job: Zsr) -> None:
        before = with_job.cluster.jobs[JOB]
        with_job.well("update", "100-0", "--keep", "5", "--snapshots", "own", "--encryption", "decrypted")
        job = with_job.well("read", "100-0").json
        assert (job["keep"], job["snapshots"], job["encryption"]) == ("5", "own", "decrypted")
        assert "keep = 5\n" in with_job.cluster_path.read_text()

        with_job.well("update", "100-0", "--delete", "keep,snapshots,encryption")

        assert with_job.cluster.jobs[JOB] == before

    def test_changes_how_long_replicas_of_vanished_volumes_are_kept(self, with_job: Zsr) -> None:
        assert 'grace = "7d"\n' in with_job.cluster_path.read_text(), "of a new job"
        with_job.well("update", "100-0", "--grace", "0")
        assert with_job.well("read", "100-0").json["grace"] == 0
        for back in (("--grace", "never"), ("--delete", "grace")):
            with_job.well("update", "100-0", *back)
            assert with_job.well("read", "100-0").json["grace"] is None
            assert "grace" not in with_job.cluster_path.read_text()

    @pytest.mark.parametrize("key", ["target", "id", "nonsense"])
    def test_deletes_nothing_that_must_be(self, with_job: Zsr, key: str) -> None:
        said = with_job("update", "100-0", "--delete", key)

        assert said.exit == 2
        assert f"'{key}' cannot be deleted. Known: schedule, rate," in said.err

    @pytest.mark.parametrize(
        ("arguments", "waits"), [(["--keep", "1"], False), (["--delete", "keep"], False), (["--rate", "5"], True)]
    )
    def test_of_keep_by_a_person_does_not_wait_for_the_grace(
        self, with_job: Zsr, arguments: list[str], *, waits: bool
    ) -> None:
        job = with_job.cluster.jobs[JOB]
        with closing(State.open(with_job.folder / "state" / "state.db")) as state:
            state.keeps.note(JOB, "7d:1d", inf, 1000.0)
            with_job.well("update", "100-0", *arguments)
            assert bool(state.keeps.known(JOB, "1", inf, 2000.0)) == waits
        assert job.keep == "1"

    def test_refuses_an_old_digest(self, with_job: Zsr) -> None:
        old = with_job.cluster.digest
        with_job.well("update", "100-0", "--rate", "5")

        said = with_job("update", "100-0", "--rate", "7", "--digest", old)

        assert said.exit == 2
        assert "was changed by another program" in said.err
        assert with_job.cluster.jobs[JOB].rate == 5

    def test_does_not_undo_what_another_program_changes_meanwhile(self, with_job: Zsr) -> None:
        read, others = FileStore.read, ["--disable"]

        def disabled_meanwhile(self: FileStore) -> Cluster:
            cluster = read(self)
            if others:
                others.clear()
                ClusterStore(self, UTC).update_job(replace(MADE, disabled=True))
            return cluster

        with_job.monkeypatch.setattr(FileStore, "read", disabled_meanwhile)
        with_job.well("update", "100-0", "--rate", "3")

        assert with_job.cluster.jobs[JOB] == replace(MADE, rate=3, disabled=True)

    def test_enable_and_disable_are_silent(self, with_job: Zsr) -> None:
        assert with_job.well("disable", "100-0").out == ""
        assert with_job.cluster.jobs[JOB].disabled
        assert [row[4] for row in with_job.well("list").rows[1:]] == ["no"]

        assert with_job.well("enable", "100-0").out == ""
        assert not with_job.cluster.jobs[JOB].disabled


def test_many_jobs_are_made_one_after_the_other(zsr: Zsr) -> None:
    guests = range(1000, 1020)
    zsr.cluster_path.write_text(
        zsr.cluster_path.read_text() + "".join(f'[guests.{guest}]\nnode = "alpha"\n' for guest in guests)
    )
    for guest in guests:
        zsr.well("create-local-job", f"{guest}-0", "beta")

    made: list[dict[str, Any]] = zsr.well("list", "--format", "json").json
    assert [job["guest"] for job in made] == [*guests]
