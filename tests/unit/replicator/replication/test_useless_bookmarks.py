"""Which bookmarks on the source are not needed any more, and may be destroyed."""

from __future__ import annotations

from dataclasses import replace

from replicator.models import KnownSets
from replicator.replication.destruction import BOOKMARKS_KEPT, decide_old_bookmarks, decide_useless_bookmarks
from tests.support.volumes import JOB, WAY, bookmark, dataset, snap

REPLICA = dataset(name="pool/a", job=str(JOB), readonly=True)


def test_bookmarks_go_only_when_there_are_too_many_and_the_base_never() -> None:
    some = tuple(bookmark(number) for number in range(1, BOOKMARKS_KEPT + 1))
    assert decide_old_bookmarks(JOB, dataset(bookmarks=some[1:]), "").bookmarks == ()
    assert decide_old_bookmarks(JOB, dataset(bookmarks=some), some[0].name).bookmarks == ()
    more = (*some, bookmark(90))
    assert decide_old_bookmarks(JOB, dataset(bookmarks=more), more[-1].name).bookmarks == some


def test_many_bookmarks_of_failed_runs_go_and_those_of_proven_sets_stay() -> None:
    """Another target may still have a proven set: one that the job had before it was edited."""
    some = tuple(bookmark(number) for number in range(1, BOOKMARKS_KEPT + 4))
    way = replace(WAY, known=KnownSets(1002, (), tuple(1000 + each.guid for each in some)))
    assert decide_useless_bookmarks(way, dataset(bookmarks=some[1:-1]), REPLICA, snap(3).name).bookmarks == ()
    useless = decide_useless_bookmarks(way, dataset(bookmarks=some), REPLICA, "")
    assert {each.guid for each in useless.bookmarks} == set(range(3, 20))
