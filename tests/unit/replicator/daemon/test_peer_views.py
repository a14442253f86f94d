"""The views of other nodes: read at a contact, compared, and kept while the other node is silent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from replicator.api.disagreement import Dispute
from replicator.cluster.facts import Announcement, facts_of, from_text, to_text
from replicator.cluster.model import Cluster
from replicator.config.settings import load_settings
from replicator.daemon.peer_views import FILE, PeerViews
from replicator.errors import NetworkError
from replicator.hosts.host import Completed
from replicator.models import Guest, Job, JobId, Node
from tests.support.daemon_env import NOW, Clock

NODES = {"alpha": Node("alpha", "10.0.0.1"), "beta": Node("beta", "10.0.0.2")}
JOB = Job(JobId(100, 0), "beta")
OURS = Cluster(NODES, {}, {100: Guest(100, "web", "alpha")}, {JOB.id: JOB})
THEIRS = replace(OURS, guests={100: Guest(100, "web", "beta", epoch=2)})


@dataclass
class Beta:
    """Node beta's command line: what its file says when it is read, and how often that was."""

    text: Callable[[], str] = lambda: ""
    silent: bool = False
    reads: list[Sequence[str]] = field(default_factory=list)

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        self.reads.append(argv)
        if self.silent:
            raise NetworkError("beta is away.")
        text = self.text()
        return Completed(tuple(argv), 0 if text else 1, text, "")


class Contacts:
    """The connections of a machine: beta alone, reachable."""

    boot = "boot-a"

    def __init__(self, beta: Beta) -> None:
        self.machines = {"beta": ("boot-b", NOW - 20)}
        self.host, self.reachable = beta, {"beta": True}

    def client(self, name: str) -> Contacts:
        assert name == "beta"
        return self


class Views:
    """Alpha's views, with a cluster that a test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.beta, self.cluster = folder, Clock(), Beta(), OURS
        self.contacts = Contacts(self.beta)
        contacts: Any = self.contacts
        settings = folder / "zsr.toml"
        settings.write_text(f'node = "alpha"\ncontrol = "{folder}/control.sock"\n')
        self.views = PeerViews(load_settings(settings), contacts, lambda: self.cluster, self.clock)

    def say(self, cluster: Cluster, **more: Any) -> None:
        def text() -> str:
            said = Announcement("beta", NOW - 60, self.clock.now, facts_of(cluster))
            return to_text(replace(said, **more))

        self.beta.text = text

    async def after(self, seconds: float) -> list[Dispute]:
        self.clock.now += seconds
        await self.views.step()
        return [each.dispute for each in self.views.disagreements]


@pytest.fixture
def views(tmp_path: Path) -> Views:
    return Views(tmp_path)


async def test_a_guest_owned_twice_is_found_at_a_contact_and_ends_with_the_files_alike(views: Views) -> None:
    views.say(THEIRS)
    assert await views.after(0) == [Dispute.OWNER]
    views.cluster = THEIRS
    assert await views.after(15) == []


async def test_nodes_that_agree_are_compared_every_ten_minutes_and_others_every_minute(views: Views) -> None:
    views.say(OURS)
    for _ in range(39):
        await views.after(15)
    assert len(views.beta.reads) == 1
    views.say(THEIRS)
    await views.after(600)
    for _ in range(8):
        await views.after(15)
    assert len(views.beta.reads) == 4


async def test_only_a_node_that_answered_at_the_last_contact_is_read(views: Views) -> None:
    views.contacts.reachable = {"beta": False}
    await views.after(0)
    assert views.beta.reads == []


async def test_what_a_silent_node_said_last_stays(views: Views) -> None:
    views.say(THEIRS)
    await views.after(0)
    views.beta.silent = True
    assert await views.after(6000) == [Dispute.OWNER]


async def test_a_node_without_zsr_and_a_file_that_is_not_written_any_more_say_nothing(views: Views) -> None:
    assert await views.after(0) == []
    views.say(THEIRS, written=NOW - 3600)
    assert await views.after(600) == []


async def test_a_node_that_leaves_the_cluster_is_forgotten(views: Views) -> None:
    views.say(THEIRS)
    await views.after(0)
    views.cluster = replace(OURS, nodes={"alpha": NODES["alpha"]}, jobs={})
    assert await views.after(15) == []


async def test_its_own_file_has_its_facts_and_whom_it_met_and_is_kept_fresh(views: Views) -> None:
    views.say(OURS)
    await views.after(0)
    await views.after(60)
    found = from_text((views.folder / FILE).read_text())
    assert found is not None
    assert (found.node, found.written, found.facts) == ("alpha", NOW + 60, facts_of(OURS))
    assert found.seen == views.contacts.machines


async def test_another_machine_of_its_own_name_is_found(views: Views) -> None:
    await views.after(3600)
    views.say(OURS, seen={"alpha": ("boot-x", NOW + 3500)})
    assert await views.after(600) == [Dispute.NAME]


async def test_a_file_that_cannot_be_written_stops_nothing(views: Views) -> None:
    views.folder.joinpath(FILE).mkdir()
    views.say(THEIRS)
    assert await views.after(0) == [Dispute.OWNER]


def test_the_digest_follows_the_cluster(views: Views) -> None:
    before = views.views.view
    views.cluster = THEIRS
    assert views.views.view.digest not in ("", before.digest)
    assert (before.store, before.boot) == ("file", "boot-a")
