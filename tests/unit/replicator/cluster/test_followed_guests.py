"""Jobs follow their guest to another node: the one that replicated there replicates back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.cluster.followed_guests import followed
from replicator.cluster.model import ChangedError
from replicator.cluster.store import ClusterStore
from replicator.models import Guest, GuestId, Job, JobId

NODES = ("alpha", "beta", "gamma", "delta")


@st.composite
def clusters(draw: st.DrawFn) -> tuple[str, dict[JobId, Job]]:
    """A guest's node, and its jobs, which were made there."""
    owner, *others = draw(st.permutations(NODES))
    targets = others[: draw(st.integers(1, len(others)))]
    made = draw(st.booleans())
    jobs = [Job(JobId(100, number), target, rate=number or None, source=owner) for number, target in enumerate(targets)]
    return owner, {job.id: job for job in (jobs if made else jobs[:1])}


def on(node: str) -> dict[GuestId, Guest]:
    return {100: Guest(100, "web", node)}


def targets(jobs: dict[JobId, Job]) -> set[str]:
    return {job.target for job in jobs.values()}


@given(clusters(), st.sampled_from(NODES))
def test_no_job_replicates_to_its_own_node_or_where_another_one_does(
    drawn: tuple[str, dict[JobId, Job]], now: str
) -> None:
    jobs = followed(drawn[1], on(now))

    assert now not in targets(jobs)
    assert len(targets(jobs)) == len(jobs)
    assert {job.source for job in jobs.values()} == {now}


@given(clusters(), st.sampled_from(NODES))
def test_one_job_turns_to_the_former_node_and_the_others_stay(drawn: tuple[str, dict[JobId, Job]], now: str) -> None:
    owner, before = drawn
    jobs = followed(before, on(now))

    turned = {job_id: job.target for job_id, job in jobs.items() if job.target != before[job_id].target}
    assert turned == {job_id: owner for job_id, job in before.items() if job.target == now}


@given(clusters(), st.sampled_from(NODES))
def test_a_guest_that_comes_home_has_the_jobs_that_it_had(drawn: tuple[str, dict[JobId, Job]], away: str) -> None:
    owner, before = drawn

    assert followed(before, on(owner)) == before
    if away == owner or away in targets(before):  # also where the jobs were written anew on the way
        assert followed(followed(before, on(away)), on(owner)) == before


def test_jobs_that_were_made_on_different_nodes_never_meet_at_one_target() -> None:
    jobs = [Job(JobId(100, 0), "beta", source="alpha"), Job(JobId(100, 1), "gamma", source="beta")]

    turned = followed({job.id: job for job in jobs}, on("gamma"))

    assert [job.target for job in turned.values()] == ["alpha", "beta"]


def test_a_job_that_an_older_zsr_made_stays_as_it_is() -> None:
    jobs = {JobId(100, 0): Job(JobId(100, 0), "beta")}

    assert followed(jobs, on("gamma")) == jobs
    assert followed(jobs, {}) == jobs


class TestTheFile:
    def test_says_for_which_node_zsr_made_a_job(self, store: ClusterStore, path: Path) -> None:
        store.create_job(Job(JobId(100, 1), "gamma"))

        assert 'source = "alpha"' in path.read_text().partition("[jobs.100-1]")[2]

    def test_needs_no_other_edit_than_the_guest_s_node(self, store: ClusterStore, path: Path) -> None:
        store.create_job(Job(JobId(100, 1), "gamma", rate=5))
        path.write_text(path.read_text().replace('node = "alpha"', 'node = "gamma"'))

        turned = store.read().jobs[JobId(100, 1)]

        assert (turned.target, turned.source, turned.rate) == ("alpha", "gamma", 5)
        assert turned in store.read().jobs_of("gamma")

    def test_keeps_a_turned_job_turned_when_zsr_changes_a_setting(self, store: ClusterStore, path: Path) -> None:
        store.create_job(Job(JobId(100, 1), "gamma"))
        path.write_text(path.read_text().replace('node = "alpha"', 'node = "gamma"'))
        turned = store.read().jobs[JobId(100, 1)]

        store.update_job(replace(turned, rate=7))

        assert store.read().jobs[JobId(100, 1)] == replace(turned, rate=7)
        path.write_text(path.read_text().replace('node = "gamma"', 'node = "alpha"'))
        assert store.read().jobs[JobId(100, 1)].target == "gamma"


class TestAHandOver:
    @pytest.fixture
    def store(self, store: ClusterStore) -> ClusterStore:
        store.create_job(Job(JobId(100, 1), "gamma"))
        return store

    def test_gives_the_guest_its_node_and_epoch_and_turns_its_jobs(self, store: ClusterStore) -> None:
        store.hand_over(100, "alpha", "gamma", 2)

        guest, jobs = store.read().guests[100], store.read().jobs
        assert (guest.node, guest.epoch) == ("gamma", 2)
        assert {str(job.id): (job.source, job.target) for job in jobs.values()} == {
            "100-0": ("gamma", "beta"),
            "100-1": ("gamma", "alpha"),
        }

    def test_writes_what_it_turned(self, store: ClusterStore, path: Path) -> None:
        """Also jobs that did not know their source before."""
        store.hand_over(100, "alpha", "beta", 2)

        text = path.read_text()
        assert 'target = "alpha"' in text.partition("[jobs.100-0]")[2]
        assert text.count('source = "beta"') == 2

    def test_goes_on_where_an_edit_was_followed(self, store: ClusterStore, path: Path) -> None:
        path.write_text(path.read_text().replace('node = "alpha"', 'node = "gamma"'))

        store.hand_over(100, "gamma", "alpha", 2)
        assert store.read().jobs[JobId(100, 1)].target == "gamma"
        store.hand_over(100, "alpha", "beta", 3)
        assert targets(dict(store.read().jobs)) == {"alpha", "gamma"}
        store.hand_over(100, "beta", "gamma", 4)
        assert targets(dict(store.read().jobs)) == {"alpha", "beta"}

    @pytest.mark.parametrize(("former", "epoch"), [("beta", 2), ("alpha", 1)])
    def test_is_refused_after_another_one(self, store: ClusterStore, path: Path, former: str, epoch: int) -> None:
        before = path.read_text()

        with pytest.raises(ChangedError, match="Guest 100 was moved meanwhile"):
            store.hand_over(100, former, "gamma", epoch)

        assert path.read_text() == before
