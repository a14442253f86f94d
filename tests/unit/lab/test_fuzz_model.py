"""The ZFS in memory has the rules that replication depends on, and a case is played on it from beginning to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fuzz.campaign import Driver
from tests.lab.fuzz.configuration import Configuration, GuestPlan, JobPlan, VolumePlan
from tests.lab.fuzz.model import Model, RefusedError
from tests.lab.fuzz.model_commands import execute
from tests.lab.fuzz.steps import Step


@pytest.fixture
def model() -> Model:
    """A source and a target with one snapshot in common."""
    made = Model()
    for name in ("alpha", "beta"):
        made.create(name)
    made.create("alpha/x", content="one")
    made.snapshot(["alpha/x@a"], {})
    made.receive(made.stream("alpha/x@a", None, between=False), "beta/x", {"readonly": "on"})
    return made


def written(model: Model, content: str, snapshot: str) -> None:
    model.at("alpha/x").content = content
    model.snapshot([f"alpha/x@{snapshot}"], {})


def test_a_received_snapshot_has_the_guid_and_the_content_of_the_sent_one(model: Model) -> None:
    assert model.snap_at("beta/x@a")[1].guid == model.snap_at("alpha/x@a")[1].guid
    assert model.at("beta/x").content == "one"
    assert model.at("beta/x").guid != model.at("alpha/x").guid


def test_an_increment_is_received_onto_a_snapshot_of_others_without_writes(model: Model) -> None:
    written(model, "two", "b")
    model.snapshot(["beta/x@theirs"], {})
    model.receive(model.stream("alpha/x@b", "@a", between=False), "beta/x", {})
    assert [snap.name for snap in model.at("beta/x").snaps] == ["a", "theirs", "b"]


def test_an_increment_is_refused_by_a_replica_that_was_written_to(model: Model) -> None:
    written(model, "two", "b")
    model.at("beta/x").content = "scribbled"
    with pytest.raises(RefusedError, match="has been modified"):
        model.receive(model.stream("alpha/x@b", "@a", between=False), "beta/x", {})


def test_all_between_travels_and_a_name_that_is_taken_is_refused(model: Model) -> None:
    written(model, "two", "b")
    written(model, "three", "c")
    model.snapshot(["beta/x@b"], {})
    with pytest.raises(RefusedError, match="already exists"):
        model.receive(model.stream("alpha/x@c", "@a", between=True), "beta/x", {})


def test_a_promoted_clone_has_the_snapshots_and_bookmarks_up_to_its_origin(model: Model) -> None:
    """The bookmarks too: seen with OpenZFS 2.3.2."""
    model.snapshot(["beta/x@later"], {})
    for name in ("a", "later"):
        model.bookmark(f"beta/x@{name}", f"beta/x#{name}")
    model.clone("beta/x@a", "beta/y", {"canmount": "noauto"})
    model.promote("beta/y")
    assert [snap.name for snap in model.at("beta/y").snaps] == ["a"]
    assert [snap.name for snap in model.at("beta/x").snaps] == ["later"]
    assert [[mark.name for mark in model.at(f"beta/{name}").marks] for name in "yx"] == [["a"], ["later"]]
    assert execute(model, ["zfs", "list", "-Hp", "-o", "origin", "beta/x"]) == "beta/y@a\n"


def test_a_rollback_is_refused_by_newer_snapshots_and_bookmarks(model: Model) -> None:
    written(model, "two", "b")
    with pytest.raises(RefusedError, match="more recent"):
        model.rollback("alpha/x@a", recursive=False)
    model.rollback("alpha/x@a", recursive=True)
    assert (model.at("alpha/x").content, model.at("alpha/x").written) == ("one", 0)


def test_a_snapshot_with_a_clone_goes_with_the_clone(model: Model) -> None:
    model.clone("alpha/x@a", "alpha/y", {})
    with pytest.raises(RefusedError, match="dependent clones"):
        model.destroy_snapshots("alpha/x", ["a"], defer=False)
    model.destroy_snapshots("alpha/x", ["a"], defer=True)
    assert model.at("alpha/x").snap("a") is not None
    model.destroy("alpha/y", recursive=True)
    assert model.at("alpha/x").snap("a") is None


def test_marks_are_inherited_by_what_lies_below_and_by_snapshots(model: Model) -> None:
    execute(model, ["zfs", "set", "zsr:job=100-0", "beta/x"])
    model.create("beta/x/child")
    asked = ["zfs", "get", "-Hp", "-o", "name,value,source", "zsr:job", "beta/x", "beta/x@a", "beta/x/child"]
    assert execute(model, asked).splitlines() == [
        "beta/x\t100-0\tlocal",
        "beta/x@a\t100-0\tinherited from beta/x",
        "beta/x/child\t100-0\tinherited from beta/x",
    ]


@pytest.fixture
def fuzz(tmp_path: Path) -> Iterator[Driver]:
    """The process that plays cases in memory."""
    driver = Driver.in_memory(tmp_path / "fuzz")
    yield driver
    driver.end()


PLAIN = Configuration(
    guests=(GuestPlan(100, (VolumePlan("data", "vm-100-disk-0", "volume"), VolumePlan("data", "subvol-100-disk-1"))),),
    jobs=(JobPlan(100, 0, "beta", keep="2", grace="1h"), JobPlan(100, 1, "gamma")),
)


def test_a_case_is_played_with_real_runs_of_zsr(fuzz: Driver) -> None:
    replica = "beta/data/subvol-100-disk-1"
    steps = [
        Step("run", "alpha:100-0"),
        Step("scribble", replica),
        Step("write", "alpha/data/vm-100-disk-0"),
        Step("die", "alpha:100-0", "transfer", 2),
        Step("run", "alpha:100-0"),
        Step("rename", "alpha/data/vm-100-disk-0", "alpha/data/vm-100-disk-5"),
        Step("clock", number=900),
        Step("run", "alpha:100-0"),
    ]
    outcome = fuzz.play(PLAIN, steps)
    assert outcome.violations == []
    assert [words.partition(": ")[2] for words in outcome.words if words.startswith(("run", "die"))] == [
        "well, full ['data:subvol-100-disk-1', 'data:vm-100-disk-0']",
        "died",
        "well",
        "well",
        "well",
        "well, full ['data:subvol-100-disk-1', 'data:vm-100-disk-5']",
    ]


def test_a_seed_plays_the_same_case_again(fuzz: Driver) -> None:
    first, again = fuzz.draw(2, 8), fuzz.draw(2, 8)
    assert (first.configuration, first.steps) == (again.configuration, again.steps)
