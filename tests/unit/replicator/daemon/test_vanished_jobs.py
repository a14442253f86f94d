"""Jobs that leave the cluster: which are forgotten, and which are reported and kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.cluster.model import Cluster
from replicator.daemon.vanished_jobs import KEPT_SECONDS, VanishedJobs
from replicator.events import Event, JobRemoved, JobVanished
from replicator.job_choices import Removal
from replicator.models import Guest, Job, JobId
from replicator.state.job_marks import JobMark
from replicator.state.stores import State

NOW = 1_800_000_000.0
JOB = Job(JobId(100, 0), "beta")
OTHER = Job(JobId(101, 0), "beta")
WEB, MAIL = Guest(100, "web", "alpha"), Guest(101, "mail", "alpha")


class Node:
    """A node that looks at one cluster after the other."""

    def __init__(self, path: Path) -> None:
        self.state = State.open(path)
        self.jobs = VanishedJobs(self.state, "alpha")
        for job in (JOB, OTHER):
            self.state.jobs.ensure(job.id, NOW - 60)

    def restart(self) -> None:
        self.jobs = VanishedJobs(self.state, "alpha")

    def look(
        self, *jobs: Job, now: float = NOW, guests: tuple[Guest, ...] = (WEB, MAIL), running: bool = False
    ) -> bool:
        cluster = Cluster(guests={guest.id: guest for guest in guests}, jobs={job.id: job for job in jobs})
        return self.jobs.look(cluster, self.state.jobs.all(), [JOB.id] if running else [], now)

    def events(self) -> list[Event]:
        return [event for _, event in self.state.journal.events(0)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "state.db")
    assert not made.look(JOB, OTHER)
    yield made
    made.state.close()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_job_that_nobody_removed_is_reported_once_and_kept(node: Node, restarted: bool) -> None:
    if restarted:
        node.restart()
    assert node.look(OTHER)
    assert node.events() == [JobVanished(NOW, JOB.id, "", None)]
    assert node.jobs.since == {JOB.id: NOW}
    node.restart()
    assert not node.look(OTHER, now=NOW + KEPT_SECONDS)
    assert node.jobs.since == {JOB.id: NOW}
    assert JOB.id in node.state.jobs.all()


def test_it_is_forgotten_when_its_time_is_over(node: Node) -> None:
    node.look(OTHER)
    assert node.look(OTHER, now=NOW + KEPT_SECONDS + 1)
    assert node.events()[-1] == JobRemoved(NOW + KEPT_SECONDS + 1, JOB.id)
    assert (node.jobs.since, set(node.state.jobs.all())) == ({}, {OTHER.id})


def test_one_that_is_back_can_vanish_again(node: Node) -> None:
    node.look(OTHER)
    assert not node.look(JOB, OTHER, now=NOW + 60)
    assert node.jobs.since == {}
    assert node.look(OTHER, now=NOW + 120)
    assert node.jobs.since == {JOB.id: NOW + 120}


@pytest.mark.parametrize(
    ("job", "guests"),
    [
        (replace(JOB, removal=Removal.FULL), (WEB, MAIL)),
        (JOB, (replace(WEB, node="gamma"), MAIL)),
        (JOB, (MAIL,)),
    ],
    ids=["being removed", "another node's", "of a guest that is gone, and never run here"],
)
@pytest.mark.parametrize("restarted", [False, True])
def test_one_that_was_to_leave_is_forgotten_without_a_word(
    node: Node, job: Job, guests: tuple[Guest, ...], restarted: bool
) -> None:
    assert not node.look(job, OTHER, guests=guests)
    if restarted:
        node.restart()
    assert node.look(OTHER)
    assert node.events() == [JobRemoved(NOW, JOB.id)]


def test_one_that_comes_back_to_this_node_is_to_stay_again(node: Node) -> None:
    node.look(JOB, OTHER, guests=(replace(WEB, node="gamma"), MAIL))
    node.look(JOB, OTHER)
    node.restart()
    assert node.look(OTHER)
    assert node.jobs.since == {JOB.id: NOW}


def test_one_that_was_deleted_by_force_is_forgotten_also_after_it_vanished(node: Node) -> None:
    node.state.marks.set(JobMark.DELETED, [JOB.id], NOW)
    assert node.look(OTHER)
    assert node.look()
    node.state.marks.set(JobMark.DELETED, [OTHER.id], NOW)
    assert node.look()
    assert [type(event) for event in node.events()] == [JobRemoved, JobVanished, JobRemoved]
    assert not any(node.state.marks.all().values())


def test_one_that_runs_is_looked_at_when_it_has_ended(node: Node) -> None:
    assert not node.look(OTHER, running=True)
    assert node.jobs.since == {}
    assert node.look(OTHER)
