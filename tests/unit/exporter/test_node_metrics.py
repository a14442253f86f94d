"""The metrics of a node: who it is, which nodes there should be, what it does not know."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.collectors import ScrapeInput, collect
from exporter.exposition import Format, render
from replicator.api.status import Status, Unmeasured
from replicator.models import JobId, Node
from tests.support.statuses import DAY, NOW, forgotten, healthy, never_ran, status


def lines(picture: Status, name: str) -> list[str]:
    """The lines of one metric in a scrape."""
    body = render(collect(ScrapeInput(picture)), Format.TEXT).decode()
    return [line for line in body.splitlines() if line.startswith((f"{name}{{", f"{name} "))]


def test_a_daemon_names_its_node_and_all_nodes_of_its_cluster_file_without_any_job() -> None:
    picture = replace(status(), nodes=(Node("gamma", "local"), Node("alpha", "10.0.0.1")), reachable={})
    assert lines(picture, "zsr_node_info") == ['zsr_node_info{node="alpha",boot="boot-of-alpha"} 1']
    expected = ['zsr_cluster_node{node="alpha"} 1', 'zsr_cluster_node{node="gamma"} 1']
    assert lines(picture, "zsr_cluster_node") == expected


def test_a_node_without_zsr_and_one_that_is_disabled_need_not_be_scraped() -> None:
    alpha, beta, gamma = Node("alpha", "a"), Node("beta", "b", zsr=False), Node("gamma", "c", disabled_until=NOW + 60)
    picture = replace(status(), nodes=(alpha, beta, gamma, Node("delta", "d", disabled_until=NOW - 60)))
    assert lines(picture, "zsr_cluster_node") == [
        'zsr_cluster_node{node="alpha"} 1',
        'zsr_cluster_node{node="delta"} 1',
    ]


def test_the_last_look_at_a_nodes_zfs_has_its_time_and_none_before_the_first() -> None:
    assert lines(status(), "zsr_zfs_readable") == ["zsr_zfs_readable 1"]
    found = lines(replace(status(), looked_at={"alpha": NOW - 30}), "zsr_last_inventory_timestamp_seconds")
    assert found == [f'zsr_last_inventory_timestamp_seconds{{node="alpha"}} {NOW - 30}']
    blind = replace(status(), zfs_readable=False, looked_at={})
    assert lines(blind, "zsr_zfs_readable") == ["zsr_zfs_readable 0"]
    assert lines(blind, "zsr_last_inventory_timestamp_seconds") == []


def test_unreplicated_bytes_that_are_not_known_have_a_reason() -> None:
    known = status(healthy())
    assert lines(known, "zsr_job_unreplicated_unknown") == []
    found = lines(replace(known, unmeasured={JobId(100, 0): Unmeasured.VOLUMES}), "zsr_job_unreplicated_unknown")
    assert found == ['zsr_job_unreplicated_unknown{zsr_job="100-0",reason="volumes"} 1']


def test_a_job_whose_last_sync_was_forgotten_has_the_time_since_when() -> None:
    found = status(healthy("100-0"), never_ran("101-0"), forgotten("102-0", age=600.0))
    assert lines(found, "zsr_state_created_timestamp_seconds") == [
        f"zsr_state_created_timestamp_seconds {NOW - 30 * DAY}"
    ]
    unknown = lines(found, "zsr_job_promise_unknown_since_timestamp_seconds")
    assert unknown == [f'zsr_job_promise_unknown_since_timestamp_seconds{{zsr_job="102-0"}} {NOW - 600.0}']


def test_the_clock_of_the_daemon_is_that_of_the_scrape() -> None:
    assert lines(replace(status(), time=NOW + 7), "zsr_clock_timestamp_seconds") == [
        f"zsr_clock_timestamp_seconds {NOW + 7}"
    ]


def test_nodes_that_are_one_machine_are_there_and_no_others() -> None:
    assert lines(status(), "zsr_node_same_machine") == []
    found = lines(replace(status(), same_machine={"beta": "alpha"}), "zsr_node_same_machine")
    assert found == ['zsr_node_same_machine{node="beta",other="alpha"} 1']


@pytest.mark.parametrize(("known", "expected"), [(None, []), ((), ["0"]), ((250, 251), ["2"])])
def test_guests_that_are_not_in_the_cluster_file_are_counted_after_the_first_look(
    known: tuple[int, ...] | None, expected: list[str]
) -> None:
    found = lines(replace(status(), unknown_guests=known), "zsr_unknown_guests")
    assert [line.split()[-1] for line in found] == expected
