"""Copies of the cluster file: only one that this node's file came from may be replaced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.cluster.file_copies import Standing, difference, later_epochs, may_take_over, others_of, standing
from replicator.cluster.file_history import MOST_VERSIONS, versions, with_versions
from replicator.cluster.model import Cluster
from replicator.common.files import FileText, digest_of
from replicator.models import Node
from tests.support.cluster_files import HAND_WRITTEN

DIGESTS = st.lists(st.integers(0, 400).map(lambda number: digest_of(str(number))), max_size=300)


def copy_of(text: str) -> FileText:
    return FileText(digest_of(text), text)


def at(epoch: int, node: str = "alpha") -> FileText:
    """A file in which guest 100 has an epoch and a node."""
    return copy_of(HAND_WRITTEN.replace('node = "alpha"', f'node = "{node}"\nepoch = {epoch}'))


OURS, OLD, OTHER = copy_of(HAND_WRITTEN), copy_of(HAND_WRITTEN + "# old\n"), copy_of(HAND_WRITTEN + "# other\n")


@pytest.mark.parametrize(
    ("theirs", "found"),
    [
        (None, Standing.ABSENT),
        (OURS, Standing.SAME),
        (OLD, Standing.OLDER),
        (OTHER, Standing.EDITED),
        (copy_of("no TOML at all = ="), Standing.EDITED),
    ],
)
def test_a_copy_is_older_only_if_ours_came_from_it(theirs: FileText | None, found: Standing) -> None:
    assert standing(OURS, theirs, [OLD.digest]) is found


def test_a_change_that_was_taken_back_there_is_an_edit_though_ours_came_from_it_once() -> None:
    assert standing(OURS, OLD, [OLD.digest], [OLD.digest]) is Standing.OLDER
    assert standing(OURS, OLD, [OLD.digest], [OLD.digest, OURS.digest]) is Standing.EDITED


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        (at(2), at(3, "beta"), "guest 100 has epoch 3 there, on beta, and 2 here"),
        (at(2), at(2, "beta"), "guest 100 is on beta there and on alpha here, both at epoch 2"),
    ],
)
def test_a_copy_that_knows_a_later_owner_is_ahead_though_ours_came_from_it(
    ours: FileText, theirs: FileText, says: str
) -> None:
    assert standing(ours, theirs, [theirs.digest]) is Standing.AHEAD
    assert list(later_epochs(ours, theirs)) == [says]
    assert standing(theirs, at(1), [at(1).digest]) is Standing.OLDER


class TestAFileGivesWayToAnothersCopy:
    OURS, LATER = at(1), at(2, "beta")

    def test_that_came_from_it_and_knows_a_later_owner(self) -> None:
        assert may_take_over(self.OURS, self.LATER, [OLD.digest], [OLD.digest, self.OURS.digest])

    def test_but_not_to_an_edit_of_which_no_owner_knows(self) -> None:
        assert not may_take_over(OURS, OTHER, [], [OURS.digest])

    def test_nor_if_it_was_edited_itself(self) -> None:
        assert not may_take_over(self.OURS, self.LATER, [], [OLD.digest])

    def test_nor_if_it_came_from_that_copy(self) -> None:
        assert not may_take_over(self.OURS, self.LATER, [self.LATER.digest], [self.OURS.digest])


def test_a_first_move_by_hand_is_an_edit_and_no_dispute() -> None:
    """Both are at epoch 1 until the guest is adopted on its new node."""
    assert standing(at(1, "beta"), at(1), [at(1).digest]) is Standing.OLDER
    assert standing(at(1), at(1, "beta"), [at(1).digest]) is Standing.EDITED


@given(DIGESTS, DIGESTS)
def test_a_history_keeps_the_newest_each_once(before: list[str], more: list[str]) -> None:
    history = with_versions(with_versions("", *before), *more)
    known = versions(history)

    assert len(known) == len(set(known)) <= MOST_VERSIONS
    assert set(known) <= {*before, *more}
    assert with_versions(history) == history
    new = list(dict.fromkeys(each for each in more if each not in versions(with_versions("", *before))))
    assert known[len(known) - min(len(new), MOST_VERSIONS) :] == new[-MOST_VERSIONS:]


def test_the_difference_is_what_a_push_would_change_there() -> None:
    lines = difference(OURS, OLD, "alpha:/c", "beta:/c").splitlines()

    assert lines[:2] == ["--- beta:/c", "+++ alpha:/c"]
    assert [line for line in lines[2:] if line[0] in "+-"] == ["-# old"]
    assert difference(OURS, OURS, "a", "b") == ""
    assert len([line for line in difference(OURS, None, "a", "b").splitlines() if line.startswith("+")]) == 1 + len(
        HAND_WRITTEN.splitlines()
    )


def test_nodes_that_need_a_copy_are_other_machines_that_run_zsr() -> None:
    nodes = [Node("alpha", "a"), Node("beta", "b"), Node("gamma", "g", zsr=False), Node("delta", "local")]

    assert others_of(Cluster(nodes={node.name: node for node in nodes}), "alpha") == ["beta"]
