"""What is found on a machine, and the defaults that follow from it."""

from __future__ import annotations

import json

import pytest

from replicator.cluster.model import Cluster
from replicator.models import Guest, Volume
from replicator.setup.facts import (
    Candidate,
    candidates,
    chosen,
    is_loopback,
    node_name,
    parse_addresses,
    parse_datasets,
    storage_paths,
)

LINKS = [
    {"ifname": "lo", "addr_info": [{"local": "127.0.0.1"}, {"local": "::1"}]},
    {"ifname": "eth0", "addr_info": [{"local": "fe80::1"}, {"local": "2001:db8::2"}, {"local": "10.0.0.11"}]},
    {"ifname": "dummy0"},
]
PRINTED = """\
rpool\tfilesystem\t-
rpool/ROOT\tfilesystem\t-
rpool/ROOT/debian\tfilesystem\t-
tank\tfilesystem\t-
tank/guests\tfilesystem\t-
tank/guests/vm-101-disk-0\tvolume\t-
tank/guests/subvol-102-disk-0\tfilesystem\t-
tank/guests/subvol-102-disk-0/deep\tfilesystem\t-
tank/guests/web\tfilesystem\t-
tank/guests/vm-103-disk-0\tvolume\tbeta
tank/guests/zsr-diverged\tfilesystem\t-
"""
DATASETS = parse_datasets(PRINTED)


def test_addresses_for_other_machines_come_first() -> None:
    assert parse_addresses(json.dumps(LINKS)) == ("10.0.0.11", "2001:db8::2", "127.0.0.1", "::1")


@pytest.mark.parametrize("printed", ["", "[]", "no json", '{"a": 1}', '[{"addr_info": [{"local": "?"}]}]'])
def test_without_an_answer_no_address_is_known(printed: str) -> None:
    assert parse_addresses(printed) == ()


@pytest.mark.parametrize(
    ("hostname", "name"), [("pve1", "pve1"), ("alpha.example.org", "alpha"), ("-", ""), ("my_host", "")]
)
def test_a_nodes_name_is_the_first_part_of_its_host_name(hostname: str, name: str) -> None:
    assert node_name(hostname) == name


@pytest.mark.parametrize(("address", "is_one"), [("127.0.0.2", True), ("::1", True), ("localhost", True), ("x", False)])
def test_what_each_machine_has_for_itself(address: str, is_one: bool) -> None:
    assert is_loopback(address) is is_one


def test_the_likeliest_storage_comes_first_and_no_volume_of_a_guest_is_one() -> None:
    paths = storage_paths(DATASETS)

    assert paths[:2] == ["tank/guests", "rpool/ROOT"]
    assert not any("subvol" in path or "diverged" in path for path in paths)


def found(cluster: Cluster | None = None) -> list[Candidate]:
    return candidates(DATASETS, "data", "tank/guests", "alpha", cluster)


def test_guests_are_found_by_name_and_other_datasets_get_a_number() -> None:
    assert found() == [
        Candidate(100, "web", ("web",), ("data:web",)),
        Candidate(101, "101", ("vm-101-disk-0",)),
        Candidate(102, "102", ("subvol-102-disk-0",)),
    ]


def test_a_replica_is_no_guest() -> None:
    assert 103 not in {each.id for each in found()}


def test_a_guest_that_is_known_keeps_its_number_and_name() -> None:
    web = Guest(200, "homepage", "alpha", volumes=(Volume("data", "web"),))

    assert [(each.id, each.name, each.found) for each in found(Cluster(guests={200: web}))][-1:] == [
        (200, "homepage", ("web",))
    ]


def test_a_guest_of_another_node_is_not_offered_and_its_number_not_given_away() -> None:
    other = Guest(100, "db", "beta")

    assert [(each.id, each.name) for each in found(Cluster(guests={100: other}))] == [
        (101, "101"),
        (102, "102"),
        (103, "web"),
    ]


@pytest.mark.parametrize(
    ("text", "ids"),
    [("all", [100, 101, 102]), ("none", []), ("101", [101]), ("102, web", [100, 102]), ("web web", [100])],
)
def test_guests_are_chosen_by_number_or_name(text: str, ids: list[int]) -> None:
    assert [each.id for each in chosen(text, found())] == ids


@pytest.mark.parametrize("text", ["", "105", "web,db", "all none"])
def test_what_is_none_of_them_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="numbers or names with commas between"):
        chosen(text, found())
