"""When a job is disabled: by itself or with a node, until a time or for good; and how that is kept in the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from replicator.api.job_status import Disablement
from replicator.cluster.disabling import disablement, refuse_disabled
from replicator.cluster.model import Cluster
from replicator.cluster.store import ClusterStore, open_store
from replicator.config.problems import SettingsError
from replicator.config.settings import ClusterSettings
from replicator.errors import ConfigError
from replicator.models import Guest, Job, JobId, Node

NOW = 1_800_000_000.0
JOB = Job(JobId(100, 0), "beta")
NODES = {name: Node(name, name) for name in ("alpha", "beta", "gamma")}
CLUSTER = Cluster(nodes=NODES, guests={100: Guest(100, "web", "alpha")})
TEXT = """\
[nodes.alpha]
address = "local"

[nodes.beta]   # the box in the cellar
address = "10.0.0.12"

[guests.100]
node = "alpha"

[jobs.100-0]
target = "beta"
"""


def with_node(name: str, *, disabled: bool = False, until: float | None = None) -> Cluster:
    node = replace(NODES[name], disabled=disabled, disabled_until=until)
    return replace(CLUSTER, nodes={**NODES, name: node})


def test_a_job_runs_unless_it_or_one_of_its_nodes_is_disabled() -> None:
    assert disablement(CLUSTER, JOB, NOW) is None
    assert disablement(CLUSTER, replace(JOB, disabled=True), NOW) == Disablement()
    assert disablement(with_node("alpha", disabled=True), JOB, NOW) == Disablement(node="alpha")
    assert disablement(with_node("beta", disabled=True), JOB, NOW) == Disablement(node="beta")
    assert disablement(with_node("gamma", disabled=True), JOB, NOW) is None


@pytest.mark.parametrize(("now", "expected"), [(NOW - 1, Disablement(NOW)), (NOW, None), (NOW + 1, None)])
def test_an_end_needs_nobody_to_write_it(now: float, expected: Disablement | None) -> None:
    assert disablement(CLUSTER, replace(JOB, disabled_until=NOW), now) == expected


def test_a_clock_that_is_set_back_disables_again() -> None:
    job = replace(JOB, disabled_until=NOW)
    assert [disablement(CLUSTER, job, now) is None for now in (NOW + 5, NOW - 5)] == [True, False]


def test_the_reason_that_lasts_longest_is_named() -> None:
    job = replace(JOB, disabled_until=NOW + 60)
    assert disablement(with_node("beta", until=NOW + 120), job, NOW) == Disablement(NOW + 120, "beta")
    assert disablement(with_node("beta", until=NOW + 30), job, NOW) == Disablement(NOW + 60)
    assert disablement(with_node("beta", until=NOW + 30), replace(JOB, disabled=True), NOW) == Disablement()


def test_a_job_that_was_disabled_by_hand_stays_so_after_an_old_end() -> None:
    assert disablement(CLUSTER, replace(JOB, disabled=True, disabled_until=NOW - 60), NOW) == Disablement()


def test_a_refusal_names_what_to_enable() -> None:
    refuse_disabled(JOB.id, None)
    with pytest.raises(ConfigError, match="zsr enable 100-0"):
        refuse_disabled(JOB.id, Disablement())
    with pytest.raises(ConfigError, match="node beta is") as caught:
        refuse_disabled(JOB.id, Disablement(NOW, "beta"))
    assert "zsr enable --node beta" in caught.value.advice


class TestTheFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "cluster.toml"
        path.write_text(TEXT)
        return path

    @pytest.fixture
    def store(self, path: Path) -> ClusterStore:
        return open_store(ClusterSettings("file", path))

    def test_has_a_time_that_people_can_read(self, store: ClusterStore, path: Path) -> None:
        store.disable_node("beta", disabled=False, until=NOW)
        job = store.read().job(JOB.id)
        store.update_job(replace(job, disabled_until=NOW + 1))

        text = path.read_text()
        assert 'address = "10.0.0.12"\ndisabled_until = 2027-01-15T08:00:00Z\n' in text
        assert "disabled_until = 2027-01-15T08:00:01Z" in text
        cluster = store.read()
        assert (cluster.nodes["beta"].disabled_until, cluster.job(JOB.id).disabled_until) == (NOW, NOW + 1)

    def test_is_as_before_when_it_is_enabled(self, store: ClusterStore, path: Path) -> None:
        store.disable_node("beta", disabled=True)
        assert store.read().nodes["beta"].disabled
        store.disable_node("beta", disabled=False)
        assert path.read_text() == TEXT

    def test_does_not_give_an_end_to_a_node_that_was_disabled_without_one(self, store: ClusterStore) -> None:
        store.disable_node("beta", disabled=True)
        with pytest.raises(ConfigError, match="without an end"):
            store.disable_node("beta", disabled=False, until=NOW)
        assert store.read().nodes["beta"].disabled_until is None

    def test_knows_only_nodes_of_the_cluster(self, store: ClusterStore) -> None:
        with pytest.raises(ConfigError, match="no node 'delta'"):
            store.disable_node("delta", disabled=True)

    @pytest.mark.parametrize("value", ["2027-01-15T08:00:00", '"2027-01-15T08:00:00Z"', "1800000000", "2027-01-15"])
    def test_needs_a_time_with_a_zone(self, store: ClusterStore, path: Path, value: str) -> None:
        path.write_text(TEXT + f"disabled_until = {value}\n")
        with pytest.raises(SettingsError) as caught:
            store.read()
        assert "jobs.100-0.disabled_until" in str(caught.value)
        assert "a date and time with its zone" in str(caught.value)
