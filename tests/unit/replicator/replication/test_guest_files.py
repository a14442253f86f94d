"""Which versions of a guest's files a run brings to the target, and which go."""

from __future__ import annotations

from replicator.common.kept_files import Kept, name_of
from replicator.replication.guest_files import described_missing, new_versions, not_needed, sets_on
from tests.support.guest_files import UNIT, XML, kept, kept_file, version
from tests.support.volumes import dataset, snap

NEW = kept_file(content=b"new")


class TestAVersionIsBrought:
    def test_of_a_file_of_which_nothing_is_kept(self) -> None:
        assert new_versions({XML: NEW}, Kept(), 1000, 1000.9) == [(version(1000, file=NEW), NEW)]

    def test_of_a_file_that_differs_from_the_newest_one(self) -> None:
        there = kept(version(1000, file=NEW), version(2000))
        assert new_versions({XML: NEW}, there, 3000, 3001) == [(version(3000, 3001, NEW), NEW)]

    def test_not_of_one_that_is_the_same(self) -> None:
        assert new_versions({XML: NEW}, kept(version(1000), version(2000, file=NEW)), 3000, 3000) == []

    def test_not_of_one_that_was_not_read(self) -> None:
        assert new_versions({XML: "there is no such file", UNIT: kept_file(UNIT)}, kept(version(1000)), 2000, 2000) == [
            (version(2000, file=kept_file(UNIT)), kept_file(UNIT))
        ]

    def test_of_one_that_only_a_later_set_has_as_after_a_clock_that_went_back(self) -> None:
        """What is of the later set goes, since no set needs it."""
        assert new_versions({XML: NEW}, kept(version(9000, file=NEW)), 3000, 3000) == [(version(3000, file=NEW), NEW)]

    def test_as_the_later_one_of_a_set_whose_volumes_nobody_wrote_to_also_if_the_clock_went_back(self) -> None:
        for now, read in ((5000, 5000), (900, 1001)):
            [(of, _)] = new_versions({XML: NEW}, kept(version(1000)), 1000, now)
            assert of == version(1000, read, NEW)
            assert kept(version(1000), of).of_set(XML, 1000) == of


class TestAVersionGoes:
    def test_if_no_set_that_is_kept_needs_it(self) -> None:
        old, base, idle, late = version(1000), version(2000), version(2000, 2500), version(5000)
        there = kept(old, base, idle, late)
        assert not_needed(there, [XML], {3000, 5000}) == sorted(name_of(XML, each) for each in (old, base))

    def test_but_the_newest_one_up_to_the_oldest_set_stays_however_old_it_is(self) -> None:
        assert not_needed(kept(version(1000)), [XML], {7000, 8000}) == []

    def test_between_two_sets_too(self) -> None:
        gone = version(2000)
        assert not_needed(kept(version(1000), gone, version(3000)), [XML], {1000, 3000}) == [name_of(XML, gone)]

    def test_if_its_file_is_none_of_the_guests_any_more(self) -> None:
        assert not_needed(kept(version(1000)), [UNIT], {1000}) == [name_of(XML, version(1000))]

    def test_with_what_a_kill_left(self) -> None:
        assert not_needed(kept(version(1000), drafts=("x/.new.1",)), [XML], {1000}) == ["x/.new.1"]

    def test_never_while_the_sets_are_not_known(self) -> None:
        assert not_needed(kept(version(1000), version(2000), drafts=("x/.new.1",)), [], ()) == []


def test_the_sets_of_all_jobs_count() -> None:
    others = dataset(snap(1), snap(2, "autosnap"), name="a")
    assert sets_on([others, None]) == {1001}


def test_a_file_that_was_not_read_is_named_with_the_reason() -> None:
    assert described_missing("beta", {XML: "there is no such file"}) == [
        f"'{XML}' was not brought to beta: there is no such file. What is kept there stays."
    ]
