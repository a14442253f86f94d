"""The commands that list or clean up a target, as typed, between two pools of this machine."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from replicator.models import JobId, KnownSets
from replicator.state.guest_locks import guest_lock
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> VerbsEnv:
    return VerbsEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


class TestAdopt:
    def test_takes_over_what_came_by_hand_so_that_the_next_run_sends_only_what_is_new(self, site: VerbsEnv) -> None:
        site.by_hand()
        there = f"{site.target}/{NAME}"
        guid = site.property(there, "guid")

        said = site.zsr.well("adopt", "100-0", "--yes")

        assert said.out.splitlines()[1].split() == [f"data:{NAME}", there, "by", "hand", "-"]
        assert said.out.splitlines()[-1] == f"adopted {there}"
        assert site.property(there, "zsr:job") == "100-0\tlocal"
        assert site.property(there, "zsr:source") == "alpha\tlocal"
        assert site.property(there, "readonly") == "on\tlocal"
        assert site.property(there, "canmount") == "noauto\tlocal"
        assert site.property(there, "com.sun:auto-snapshot") == "false\tlocal"

        site.change()
        site.zsr.well("run", "--id", "100-0")
        assert site.property(there, "guid") == guid
        assert site.snapshots(there)[0] == "by hand"
        assert len(site.snapshots(there)) == 2

    def test_without_it_a_run_leaves_the_dataset_alone_and_says_how(self, site: VerbsEnv) -> None:
        site.by_hand()

        said = site.zsr("run", "--id", "100-0")

        assert said.exit == 1
        assert site.snapshots(f"{site.target}/{NAME}") == ["by hand"]
        assert "zsr adopt 100-0" in site.zsr.well("log", "100-0").out

    def test_asks_no_question_without_a_terminal(self, site: VerbsEnv) -> None:
        site.by_hand()

        said = site.zsr("adopt", "100-0")

        assert said.exit == 2
        assert "1 volume can be adopted. Mark it as replica of job 100-0?" in said.err
        assert "Confirm with --yes." in said.err
        assert site.property(f"{site.target}/{NAME}", "zsr:job") == "-\t-"

    @pytest.mark.parametrize(("answer", "exit_status"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
    def test_does_what_the_answer_says(self, site: VerbsEnv, answer: str, exit_status: int) -> None:
        site.by_hand()
        site.zsr.monkeypatch.setattr("replicator.cli.adopt.confirmed", lambda _: answer == "y\n")

        assert site.zsr("adopt", "100-0").exit == exit_status
        assert (site.property(f"{site.target}/{NAME}", "zsr:job") == "100-0\tlocal") == (exit_status == 0)

    def test_twice_finds_nothing_more_to_do(self, site: VerbsEnv) -> None:
        site.by_hand()
        site.zsr.well("adopt", "100-0", "--yes")

        assert "1 volume replicated already. There is nothing to adopt." in site.zsr.well("adopt", "100-0").out

    def test_leaves_a_dataset_without_a_common_base_alone(self, site: VerbsEnv) -> None:
        there = f"{site.target}/{NAME}"
        site.zfs("create", there)
        site.zfs("unmount", there)

        said = site.zsr.well("adopt", "100-0", "--yes")

        assert "1 volume without a common base is left alone. There is nothing to adopt." in said.out
        assert site.property(there, "readonly") == "off\tdefault"

    def test_refuses_a_dataset_in_use_and_changes_nothing(self, site: VerbsEnv) -> None:
        site.by_hand()
        there = f"{site.target}/{NAME}"
        site.zfs("mount", there)

        said = site.zsr("adopt", "100-0", "--yes")

        assert said.exit == 2
        assert f"'{there}' on beta is in use (mounted, readonly=off)" in said.err
        assert site.property(there, "readonly") == "off\tdefault"

    def test_refuses_the_replica_of_another_job(self, site: VerbsEnv) -> None:
        site.by_hand()
        site.zfs("set", "zsr:job=100-1", f"{site.target}/{NAME}")

        said = site.zsr("adopt", "100-0", "--yes")

        assert (said.exit, "belongs to job 100-1" in said.err) == (2, True)

    def test_waits_for_no_run_but_says_that_one_is_going_on(self, site: VerbsEnv) -> None:
        site.by_hand()
        with guest_lock(site.zsr.folder / "state" / "locks", 100):
            said = site.zsr("adopt", "100-0", "--yes")

        assert (said.exit, "Guest 100 is locked" in said.err) == (1, True)
        assert site.property(f"{site.target}/{NAME}", "zsr:job") == "-\t-"


class TestRestorePoints:
    def test_are_the_sets_on_the_target_newest_first(self, site: VerbsEnv) -> None:
        site.zsr.well("update", "100-0", "--keep", "2")
        assert site.zsr.well("restore-points", "100-0").rows == [["Time", "Age", "Volumes", "Written", "Complete"]]
        site.zsr.well("run", "--id", "100-0")
        first = site.snapshots(f"{site.target}/{NAME}")

        [point] = site.zsr.well("restore-points", "100-0", "--format", "json").json

        assert [point["snapshot"]] == first
        assert point["datasets"] == [f"{site.target}/{NAME}"]
        assert (point["volumes"], point["of"], point["complete"]) == (1, 1, True)

        site.zfs("create", f"{site.source}/subvol-100-disk-1")
        _, row = site.zsr.well("restore-points", "100-0").rows
        assert row[2:5] == ["1", "of", "2"]
        assert row[-1] == "NO"

    def test_are_listed_when_the_source_cannot_be_asked(self, site: VerbsEnv) -> None:
        site.zsr.well("run", "--id", "100-0")
        text = site.zsr.cluster_path.read_text()
        site.zsr.cluster_path.write_text(text.replace(site.source, f"{site.source}-gone"))

        said = site.zsr("restore-points", "100-0")

        assert said.exit == 1
        assert said.rows[1][2:5] == ["1", "of", "1"]
        assert said.rows[1][-1] == "yes"
        assert "does not exist on node alpha" in said.err


class TestDiverged:
    def test_what_a_run_kept_aside_is_listed_until_it_is_destroyed(self, site: VerbsEnv) -> None:
        site.zsr.well("run", "--id", "100-0")
        kept = site.diverge()

        header, row = site.zsr.well("diverged", "list").rows
        assert header == ["Node", "Dataset", "Job", "Guest", "Size", "Holds"]
        assert row[:5] == ["beta", kept, "100-0", "100", "web"]

        said = site.zsr.well("diverged", "destroy", "beta", kept, "--yes")
        assert said.out == f"destroyed {kept} on beta\n"
        assert kept not in site.names(site.target)
        assert len(site.zsr.well("diverged", "list").rows) == 1

    def test_what_was_destroyed_is_not_remembered_as_sent_any_more(self, site: VerbsEnv) -> None:
        site.zsr.well("update", "100-0", "--keep", "5")
        site.zsr.well("run", "--id", "100-0")
        site.change()
        site.zfs("snapshot", f"{site.source}/{NAME}@mine")
        site.zsr.well("run", "--id", "100-0")
        site.zfs("rollback", "-r", f"{site.source}/{NAME}@mine")
        site.change()
        site.zsr.well("run", "--id", "100-0")
        [kept] = [name for name in site.names(site.target) if "/zsr-diverged/" in name]
        [snapshot] = site.snapshots(kept)
        gone = int(site.zfs("get", "-Hp", "-o", "value", "guid", f"{kept}@{snapshot}"))
        with closing(site.zsr.state()) as state:
            assert gone in state.jobs.with_sent(JobId(100, 0), KnownSets()).sent

        site.zsr.well("diverged", "destroy", "beta", kept, "--yes")
        with closing(site.zsr.state()) as state:
            left = state.jobs.with_sent(JobId(100, 0), KnownSets()).sent
        assert gone not in left
        assert left

    def test_shows_what_it_holds(self, site: VerbsEnv) -> None:
        site.zsr.well("run", "--id", "100-0")
        kept = site.diverge()

        said = site.zsr.well("diverged", "show", "beta", kept)

        assert said.rows[0] == ["Snapshot", "Time", "Written"]
        assert [row[0] for row in said.rows[1:]] == [*site.snapshots(kept), "(since"]
        [shown] = site.zsr.well("diverged", "show", "beta", kept, "--format", "json").json["contents"]
        assert shown["snapshot"] == "somebodys"

    def test_is_there_for_scripts(self, site: VerbsEnv) -> None:
        site.zsr.well("run", "--id", "100-0")
        kept = site.diverge()

        [found] = site.zsr.well("diverged", "list", "--node", "beta", "--format", "json").json

        assert (found["node"], found["dataset"], found["job"]) == ("beta", kept, "100-0")
        assert (found["guest"], found["guest_name"]) == (100, "web")
        assert site.zsr.well("diverged", "list", "--node", "alpha", "--format", "json").json == []

    def test_a_node_that_cannot_be_asked_is_named_and_the_others_are_shown(self, site: VerbsEnv) -> None:
        site.zsr.well("run", "--id", "100-0")
        kept = site.diverge()
        text = site.zsr.cluster_path.read_text()
        site.zsr.cluster_path.write_text(text + '[nodes.gamma]\naddress = "127.0.0.1"\nport = 1\n')

        said = site.zsr("diverged", "list")

        assert said.exit == 1
        assert [row[1] for row in said.rows[1:]] == [kept]
        assert "gamma" in said.err

    def test_nothing_but_what_was_kept_aside_is_destroyed(self, site: VerbsEnv) -> None:
        site.zsr.well("run", "--id", "100-0")
        site.zfs("create", f"{site.target}/zsr-diverged")
        site.zfs("create", f"{site.target}/zsr-diverged/mine")
        before = site.names(site.target)

        for name in (
            f"{site.target}/{NAME}",
            f"{site.target}/zsr-diverged",
            f"{site.target}/zsr-diverged/",
            f"{site.target}/zsr-diverged/mine",
            f"{site.target}/zsr-diverged/mine/deeper",
            f"{site.target}/zsr-diverged/mine@snapshot",
            f"{site.target}/zsr-diverged/nothing-1",
            f"{site.source}/{NAME}",
        ):
            assert site.zsr("diverged", "destroy", "beta", name, "--yes").exit == 2

        assert site.names(site.target) == before

    def test_destroys_nothing_of_a_guest_with_which_a_run_works(self, site: VerbsEnv) -> None:
        """Between rename and clone what is kept aside is the replica."""
        site.zsr.well("run", "--id", "100-0")
        kept = site.diverge()

        with guest_lock(site.zsr.folder / "state" / "locks", 100):
            said = site.zsr("diverged", "destroy", "beta", kept, "--yes")

        assert (said.exit, "Guest 100 is locked" in said.err) == (1, True)
        assert kept in site.names(site.target)

    def test_asks_no_question_without_a_terminal(self, site: VerbsEnv) -> None:
        site.zsr.well("run", "--id", "100-0")
        kept = site.diverge()

        said = site.zsr("diverged", "destroy", "beta", kept)

        assert said.exit == 2
        assert f"Destroy '{kept}'" in said.err
        assert kept in site.names(site.target)

    def test_a_diverged_replica_with_a_clone_is_not_destroyed(self, site: VerbsEnv) -> None:
        site.zsr.well("run", "--id", "100-0")
        kept = site.diverge()
        site.zfs("clone", f"{kept}@somebodys", f"{site.target}/look")

        said = site.zsr("diverged", "destroy", "beta", kept, "--yes")

        assert said.exit == 2
        assert f"is needed by its clones: {site.target}/look" in said.err

    def test_an_unknown_node_is_refused_with_those_that_are_known(self, site: VerbsEnv) -> None:
        assert "There is no node 'delta'. Known: alpha, beta." in site.zsr("diverged", "list", "--node", "delta").err
