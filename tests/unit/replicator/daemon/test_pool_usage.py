"""The pools of a node: what zsr does with each of them, and how full they are."""

from __future__ import annotations

from replicator.api.held import PoolRole, PoolSpace, StorageSpace
from replicator.cluster.model import Cluster
from replicator.daemon.pool_usage import asked_for, pool_roles, pool_spaces, storage_roles, storage_spaces
from replicator.models import Guest, Job, JobId, Storage
from replicator.zfs.output import space

STORAGES = {
    "local": Storage("local", "rpool/data"),
    "tank": Storage("tank", "tank/guests", nodes=frozenset({"alpha", "beta"}), paths=(("beta", "backup/guests"),)),
}


def roles(node: str, *guests: Guest, targets: tuple[str, ...] = ("beta",)) -> dict[str, PoolRole]:
    """The pools of a node, where each guest has a job to each target."""
    jobs = [Job(JobId(guest.id, number), target) for guest in guests for number, target in enumerate(targets)]
    cluster = Cluster({}, STORAGES, {guest.id: guest for guest in guests}, {job.id: job for job in jobs})
    return pool_roles(storage_roles(cluster, node), STORAGES, node)


def test_a_pool_is_the_source_of_the_guests_of_its_node() -> None:
    assert roles("alpha", Guest(100, "web", "alpha", storages=("tank",))) == {"tank": PoolRole.SOURCE}


def test_a_pool_is_the_target_of_jobs_to_its_node_under_the_path_there() -> None:
    assert roles("beta", Guest(100, "web", "alpha", storages=("tank",))) == {"backup": PoolRole.TARGET}


def test_a_pool_can_be_both() -> None:
    web, mail = Guest(100, "web", "alpha", storages=("local",)), Guest(101, "mail", "beta", storages=("local",))
    assert roles("beta", web, mail, targets=("alpha", "beta")) == {"rpool": PoolRole.BOTH}


def test_a_guest_without_storages_may_be_on_all_that_its_node_may_use() -> None:
    assert roles("alpha", Guest(100, "web", "alpha")) == {"rpool": PoolRole.SOURCE, "tank": PoolRole.SOURCE}


def test_a_storage_that_is_not_for_the_target_has_no_role_there() -> None:
    assert roles("gamma", Guest(100, "web", "alpha"), targets=("gamma",)) == {"rpool": PoolRole.TARGET}


def test_a_pool_without_jobs_has_no_role() -> None:
    assert roles("gamma", Guest(100, "web", "alpha")) == {}


def test_a_guest_that_is_gone_gives_no_role() -> None:
    assert storage_roles(Cluster(storages=STORAGES, jobs={JobId(100, 0): Job(JobId(100, 0), "beta")}), "beta") == {}


def test_a_pool_holds_what_is_used_and_what_is_free() -> None:
    found = space("tank\tused\t30\ntank\tavailable\t70\nrpool\tused\t-\nrpool\tavailable\t5\nodd line\n")
    wanted = {"tank": PoolRole.TARGET, "rpool": PoolRole.SOURCE}

    assert pool_spaces(wanted, found) == (PoolSpace("tank", PoolRole.TARGET, size=100, free=70),)


def test_a_pool_of_which_one_storage_is_a_source_and_another_a_target_is_both() -> None:
    two = {"one": Storage("one", "tank/one"), "two": Storage("two", "tank/two")}
    known = {"one": PoolRole.SOURCE, "two": PoolRole.TARGET}

    assert pool_roles(known, two, "beta") == {"tank": PoolRole.BOTH}


def test_the_space_of_pools_and_storages_is_asked_for_by_their_paths_on_the_node() -> None:
    assert asked_for({"tank": PoolRole.TARGET}, STORAGES, "beta") == ["backup", "backup/guests"]


def test_a_storage_has_what_its_path_may_still_take_and_one_that_is_not_there_is_left_out() -> None:
    known = {"local": PoolRole.SOURCE, "tank": PoolRole.TARGET}
    found = storage_spaces(known, STORAGES, "beta", {"backup": (50, 50), "backup/guests": (30, 10)})

    assert found == (StorageSpace("tank", "backup", PoolRole.TARGET, size=40, free=10),)
