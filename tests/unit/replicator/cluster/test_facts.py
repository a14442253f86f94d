"""The facts on which nodes must agree: what belongs to them, and what two nodes' facts disagree on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.api.disagreement import Disagreement, Dispute, lasting
from replicator.cluster.facts import (
    Announcement,
    Facts,
    compare,
    facts_of,
    from_text,
    known_since,
    name_disputes,
    named,
    to_text,
)
from replicator.cluster.model import Cluster
from replicator.models import Guest, Job, JobId, Node, Storage

NODES = {name: Node(name, f"10.0.0.{number}") for number, name in enumerate(("alpha", "beta", "gamma"), start=1)}
GUEST = Guest(100, "web", "alpha")
JOB = Job(JobId(100, 0), "beta")
STORAGE = Storage("tank", "tank/data")
CLUSTER = Cluster(NODES, {"tank": STORAGE}, {100: GUEST}, {JOB.id: JOB}, "text 1")
FACTS = facts_of(CLUSTER)
NOW = 1_800_000_000.0


def owned_by(node: str, epoch: int = 1) -> Facts:
    return facts_of(replace(CLUSTER, guests={100: replace(GUEST, node=node, epoch=epoch)}))


@pytest.mark.parametrize(
    "other",
    [
        owned_by("beta"),
        owned_by("alpha", 2),
        facts_of(replace(CLUSTER, guests={})),
        facts_of(replace(CLUSTER, jobs={JOB.id: replace(JOB, target="gamma")})),
        facts_of(replace(CLUSTER, storages={"tank": replace(STORAGE, path="tank/other")})),
        facts_of(replace(CLUSTER, storages={"tank": replace(STORAGE, paths=(("beta", "pool"),))})),
        facts_of(replace(CLUSTER, storages={"tank": replace(STORAGE, nodes=frozenset({"alpha"}))})),
    ],
)
def test_owner_epoch_target_and_path_are_facts(other: Facts) -> None:
    assert other.digest() != FACTS.digest()
    assert not other.agree(FACTS)


def test_the_file_s_text_schedules_names_and_addresses_are_none() -> None:
    other = replace(
        CLUSTER,
        digest="text 2",
        nodes={**NODES, "alpha": Node("alpha", "local")},
        guests={100: replace(GUEST, name="shop")},
        jobs={JOB.id: replace(JOB, schedule="hourly", comment="by hand", disabled=True)},
    )
    assert facts_of(other).digest() == FACTS.digest()
    assert compare("alpha", FACTS, "beta", facts_of(other)) == ()


def test_a_guest_that_each_of_two_nodes_says_is_its_own_is_owned_twice() -> None:
    (found,) = compare("alpha", FACTS, "beta", owned_by("beta", 2))
    assert found.dispute is Dispute.OWNER
    assert found.text == "guest 100 is owned twice: alpha and beta each say that they own it"


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (owned_by("beta"), owned_by("alpha"), "alpha says that beta owns it, beta says that alpha owns it"),
        (
            owned_by("beta"),
            facts_of(replace(CLUSTER, guests={})),
            "alpha says that beta owns it, beta does not know it",
        ),
        (facts_of(replace(CLUSTER, guests={})), owned_by("alpha"), "alpha does not know it, beta says that alpha owns"),
    ],
)
def test_a_guest_that_no_node_says_is_its_own_is_owned_by_none(ours: Facts, theirs: Facts, words: str) -> None:
    (found,) = compare("alpha", ours, "beta", theirs)
    assert found.dispute is Dispute.OWNER
    assert words in found.text


def test_other_differences_are_named_and_counted() -> None:
    jobs = {JobId(100, number): Job(JobId(100, number), "beta") for number in range(8)}
    (found,) = compare(
        "alpha", FACTS, "beta", facts_of(replace(CLUSTER, jobs=jobs, guests={100: replace(GUEST, epoch=3)}))
    )
    assert found.dispute is Dispute.FACTS
    assert found.text == (
        "the cluster files of alpha and beta differ: guest 100, job 100-1, job 100-2, job 100-3, job 100-4 and 3 more"
    )


def test_a_guest_of_a_third_node_is_a_mere_difference() -> None:
    (found,) = compare("alpha", owned_by("gamma"), "beta", owned_by("gamma", 2))
    assert found.dispute is Dispute.FACTS


def test_nodes_that_do_not_name_each_other_share_no_cluster() -> None:
    stranger = replace(owned_by("beta"), nodes=frozenset({"beta", "gamma"}))
    assert compare("alpha", FACTS, "beta", stranger) == ()
    assert compare("beta", stranger, "alpha", FACTS) == ()


SAID = Announcement("beta", NOW - 90, NOW, owned_by("beta", 2), {"alpha": ("boot-a", NOW - 60)})


def test_an_announcement_is_read_as_it_was_written() -> None:
    assert from_text(to_text(SAID)) == SAID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"format": 2}',
        to_text(SAID)[:-20],
        to_text(SAID).replace('["beta", 2]', '"beta"'),
        "[" * 99999,
    ],
)
def test_anything_else_is_no_announcement(text: str) -> None:
    assert from_text(text) is None


def test_two_machines_with_one_name_are_seen_where_both_were_met() -> None:
    def found(boot: str, started: float) -> list[str]:
        return [each.text for each in name_disputes("alpha", boot, started, "beta", SAID, slack=900)]

    assert found("boot-a", NOW - 86400) == []
    assert found("boot-x", NOW - 86400) == ["two machines are called alpha: beta met another one than this"]
    assert found("boot-x", NOW - 300) == [], "beta may have met this machine before its reboot"
    assert found("", NOW - 86400) == []


def test_an_address_that_leads_to_another_node_is_seen() -> None:
    (found,) = name_disputes("alpha", "boot-a", NOW - 86400, "gamma", SAID, slack=900)
    assert found.dispute is Dispute.NAME
    assert found.text == "the address of node gamma leads to a node that calls itself beta"


def test_a_disagreement_keeps_its_beginning() -> None:
    before = named([Disagreement("beta", Dispute.FACTS, "job 100-0")], {}, NOW)
    after = named(
        [Disagreement("beta", Dispute.FACTS, "job 100-1"), Disagreement("beta", Dispute.OWNER, "guest 100")],
        known_since(before),
        NOW + 60,
    )
    assert [each.since for each in after] == [NOW, NOW + 60]


@pytest.mark.parametrize(("dispute", "seconds"), [(Dispute.FACTS, 900), (Dispute.OWNER, 300), (Dispute.NAME, 0)])
def test_an_edit_that_is_being_copied_is_not_reported(dispute: Dispute, seconds: float) -> None:
    found = [Disagreement("beta", dispute, "x", NOW)]
    assert not lasting(found, NOW + seconds - 1) or not seconds
    assert lasting(found, NOW + seconds) == tuple(found)
