"""Channel programs: no name can break out of the request, and what came back is read or refused, never guessed."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import ZfsError
from replicator.models import JobId
from replicator.zfs.channel_programs import (
    Place,
    PruneResult,
    ReceivedReplica,
    Refused,
    SnapshotOutcome,
    SnapshotRequest,
    prune_result,
    snapshot_if_changed,
    snapshot_outcome,
    verify_and_prune,
)
from replicator.zfs.fence import Fence, Guard, Stamped

HOSTILE = ['a"b', "a\\b", "a]]b", 'x"} os.exit() --', "a\nb", "a b", "vm-ü-1", "a:b_c.d-e", "a\0b", "1\\0652"]


def request_of(program: str) -> str:
    """The program's first line: the request as Lua reads it."""
    return program.split("\n", 1)[0]


def strings_in(lua: str) -> list[str]:
    """The string literals of a line of Lua, as Lua reads them: an escape is a backslash and up to three digits."""
    literals = re.findall(r'"((?:[^"\\]|\\.)*)"', lua)
    return [
        re.sub(rb"\\([0-9]{1,3})", lambda found: bytes([int(found[1])]), each.encode()).decode() for each in literals
    ]


def returned(**table: object) -> str:
    """What ``zfs program -j`` prints."""
    return json.dumps({"return": table})


@given(st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), max_size=20)))
def test_any_name_arrives_as_itself(name: str) -> None:
    program = snapshot_if_changed(
        SnapshotRequest(name, name, (Place(name, (name,)),), names=(name,), excluded=frozenset({name}))
    )
    assert strings_in(request_of(program)).count(name) >= 5


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_literal_has_no_character_that_means_anything_to_lua(name: str) -> None:
    line = request_of(snapshot_if_changed(SnapshotRequest("alpha", "s", (), names=(name,))))
    outside = re.sub(r'"(?:[A-Za-z0-9]|\\[0-9]{3})*"', "", line)
    assert re.fullmatch(r"[a-z ={}\[\],]*", outside), outside


@pytest.mark.parametrize("guid", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_guid_is_asked_for_as_lua_sees_it(guid: int) -> None:
    """Lua's numbers are 64 bits with a sign."""
    asked = strings_in(request_of(verify_and_prune(expected=[("p/a@s", guid)])))
    (number,) = [int(text) for text in asked if re.fullmatch(r"-?[0-9]+", text)]
    assert -(2**63) <= number < 2**63
    assert number % 2**64 == guid


def test_lists_and_booleans_are_lua_tables() -> None:
    line = request_of(verify_and_prune(stale=[("p/a@b", 7)], bookmarks_of=["p/a"]))
    assert '["stale"] = {{["snapshot"] = "p\\047a\\064b", ["guid"] = "7"}}' in line
    assert '["bookmarks\\095of"] = {"p\\047a"}' in line
    excluded = request_of(snapshot_if_changed(SnapshotRequest("alpha", "s", (), excluded=frozenset({"x"}))))
    assert '["excluded"] = {["x"] = true}' in excluded


ROWS = {
    "1": "p/a\tfilesystem\t-1\t10\t100\t4096\tnone\t-\t100-1\talpha\t-\t-",
    "2": "p/a@one\t-\t7\t11\t101\t512\t-\t-\t-\t-\t-\t-",
    "3": "p/b\tvolume\t5\t12\t102\t0\tavailable\tyes\t-\t-\t-\t-",
}


def test_rows_become_facts() -> None:
    found = snapshot_outcome(returned(rows=ROWS, taken=True))
    assert isinstance(found, SnapshotOutcome)
    assert found.taken
    first, second = found.inventory.datasets["p/a"], found.inventory.datasets["p/b"]
    assert (first.guid, first.job, first.written, first.encrypted) == (2**64 - 1, "100-1", 4096, False)
    assert [(s.name, s.guid, s.written) for s in first.snapshots] == [("one", 7, 512)]
    assert (second.is_volume, second.encrypted, second.job) == (True, True, None)
    assert (first.borrowed_marks, second.borrowed_marks) == (False, True)


def test_ten_rows_and_more_are_all_read() -> None:
    """A Lua list arrives as an object whose keys are numbers in quotes."""
    rows = {str(i): f"p/{i}\tfilesystem\t{i}\t{i}\t{i}\t0\tnone\t-\t-\t-\t-\t-" for i in range(1, 13)}
    found = snapshot_outcome(returned(rows=rows, taken=False))
    assert isinstance(found, SnapshotOutcome)
    assert len(found.inventory.datasets) == 12


def test_no_rows_are_an_empty_inventory() -> None:
    assert snapshot_outcome(returned(rows={}, taken=True)).inventory.datasets == {}  # type: ignore[union-attr]


def test_a_missing_place_is_reported_as_zfs_would() -> None:
    found = snapshot_outcome(returned(absent="p/data"))
    assert found == Refused("p/data", None)
    assert found.words == "does not exist"


def test_a_refused_snapshot_names_its_volume_and_the_reason() -> None:
    found = snapshot_outcome(returned(failed=28, volume="p/a"))
    assert isinstance(found, Refused)
    assert (found.name, found.words) == ("p/a", "no space left on device")


def test_what_pruning_left_is_read() -> None:
    found = prune_result(returned(left={"p/a@x": 16}, bookmarks={"1": "p/a#m"}, can_bookmark=True))
    assert found == PruneResult({"p/a@x": 16}, ("p/a#m",), can_bookmark=True)
    assert prune_result(returned()) == PruneResult({}, (), can_bookmark=False)


def test_marks_that_are_a_datasets_own_and_what_was_made_on_it_are_read() -> None:
    text = returned(marks={"1": "-1\t100-1\talpha", "2": "5\t\t"}, here={"1": "p/a@x"}, untagged={"1": "p/a@x"})
    found = prune_result(text)
    assert isinstance(found, PruneResult)
    assert found.marks == {(2**64 - 1, "100-1", "alpha"), (5, None, None)}
    assert (found.made_here, found.untagged) == (("p/a@x",), ("p/a@x",))


def test_what_a_run_sent_is_asked_for_by_guid() -> None:
    line = request_of(verify_and_prune(received=[ReceivedReplica("p/a", 7, frozenset({2**63}), "__replicate_100-0_")]))
    assert f'["after"] = 7, ["sent"] = {{["\\045{2**63}"] = true}}, ["own"] = "' in line


def test_a_snapshot_that_is_not_proven_is_named() -> None:
    assert prune_result(returned(unproven="p/a@x")) == "p/a@x"


@pytest.mark.parametrize("text", ["", "cannot open", "[]", "{}", "null", '{"error": 1}'])
def test_output_of_another_shape_is_an_error(text: str) -> None:
    with pytest.raises(ZfsError, match="unexpected output"):
        snapshot_outcome(text)
    with pytest.raises(ZfsError, match="unexpected output"):
        prune_result(text)


class TestAFence:
    FENCE = Fence(JobId(100, 0), "alpha", 2)

    def test_is_part_of_the_request(self) -> None:
        for program in (
            snapshot_if_changed(SnapshotRequest("alpha", "s", (), fence=self.FENCE)),
            verify_and_prune(guard=Guard(self.FENCE, ("p/a", "p/b"), ("p/b",))),
        ):
            assert {"alpha", "2"} <= set(strings_in(request_of(program)))

    def test_that_is_none_asks_and_sets_nothing(self) -> None:
        line = request_of(verify_and_prune(stale=[("p/a@b", 7)]))
        for empty in ('["owner"] = ""', '["epoch"] = ""', '["compared"] = {}', '["stamped"] = {}'):
            assert empty in line

    def test_that_refuses_names_the_volume_with_its_stamps(self) -> None:
        found = returned(fenced="p/a", owner="beta", epoch="3")
        assert snapshot_outcome(found) == prune_result(found) == Stamped("p/a", "beta", "3")
        assert prune_result(returned(fenced="p/a", epoch="3")) == Stamped("p/a", None, "3")

    def test_shows_stamps_in_the_rows(self) -> None:
        found = snapshot_outcome(returned(rows={"1": ROWS["1"][: -len("-\t-")] + "alpha\t2"}, taken=True))
        assert isinstance(found, SnapshotOutcome)
        assert found.inventory.datasets["p/a"].stamped == Stamped("p/a", "alpha", "2")

    def test_says_which_volumes_it_could_not_stamp(self) -> None:
        found = prune_result(returned(unstamped={"1": "p/a"}))
        assert isinstance(found, PruneResult)
        assert found.unstamped == ("p/a",)
