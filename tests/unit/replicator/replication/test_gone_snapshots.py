"""Snapshots of others that are gone from the source: what goes on the target, and when."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from replicator.job_choices import Foreign
from replicator.models import Job, KnownSets, Synced
from replicator.replication.destruction import decide_gone
from replicator.replication.foreign_names import giving_way
from replicator.replication.gone_snapshots import Gone, counted, mirrored
from replicator.replication.legs import outdated_name, route
from replicator.replication.plan import Incremental, Plan, VolumePair
from replicator.replication.snapshot_sets import arrived
from replicator.schedule.grace import DAY_SECONDS, Terms
from replicator.zfs.model import Snapshot
from tests.support.volumes import JOB, WAY, dataset, pair, snap

DAY = DAY_SECONDS
HOURLY, MADE_THERE = snap(2, "hourly"), replace(snap(3, "theirs"), made_here=True)
BOTH = pair(dataset(snap(1), snap(9)), dataset(snap(1), HOURLY, MADE_THERE, snap(9), job=str(JOB)))


def after(
    grace: float, *, waited: float = 0.0, sent: tuple[int, ...] = (2, 3), foreign: Foreign = Foreign.MIRROR,
    volume: VolumePair = BOTH, others: tuple[VolumePair, ...] = (),
) -> tuple[list[int], Synced]:  # fmt: skip
    """The GUIDs that a run destroys which sees the snapshot gone again, a day after the last one, and its memory."""
    sets = KnownSets(sent=frozenset(sent), gone=(Gone(2, 0.0, waited),))
    job = Job(JOB, "beta", grace=grace, foreign=foreign)
    synced, permits = mirrored(replace(WAY, known=sets), job, Synced(sets=sets), [volume, *others], DAY)
    return [each.guid for permit in permits for each in permit.snapshots], synced


def test_one_that_travelled_goes_when_its_grace_is_over() -> None:
    assert after(7 * DAY, waited=6 * DAY)[0] == [2]


def test_it_stays_until_then_and_its_time_counts() -> None:
    gone, synced = after(7 * DAY, waited=5 * DAY)

    assert gone == []
    assert synced.sets.gone == (Gone(2, DAY, 6 * DAY),)


def test_it_stays_for_ever_where_the_job_says_so() -> None:
    assert after(0, foreign=Foreign.KEEP) == ([], after(0, foreign=Foreign.KEEP)[1])
    assert after(0, foreign=Foreign.KEEP)[1].sets.gone == ()
    assert after(inf, waited=1e12)[0] == []


def test_one_that_nobody_remembers_to_have_sent_stays() -> None:
    assert after(0, sent=())[0] == []


def test_one_that_was_made_on_the_target_stays_whatever_is_remembered() -> None:
    assert 3 not in after(0)[0]


def test_one_that_is_still_on_the_source_stays_also_under_another_name() -> None:
    renamed = replace(BOTH, source=dataset(snap(1), snap(2, "kept"), snap(9)))

    assert after(0, volume=renamed)[0] == []


def test_one_that_a_copy_of_the_volume_still_has_stays_on_both_replicas() -> None:
    """A volume that was copied with its snapshots has theirs, GUID by GUID."""
    whole = replace(BOTH, source=dataset(snap(1), HOURLY, snap(9)))
    sets = KnownSets(sent=frozenset({2}), gone=(Gone(2, 0.0, 0.0),))
    job = Job(JOB, "beta", grace=0, foreign=Foreign.MIRROR)
    _, permits = mirrored(replace(WAY, known=sets), job, Synced(sets=sets), [BOTH, whole], DAY)

    assert [[each.guid for each in permit.snapshots] for permit in permits] == [[], []]


def test_the_decision_itself_lets_none_go_that_the_volume_still_has() -> None:
    """Whatever it is told of what is over."""
    target = BOTH.target
    assert target is not None
    way = replace(WAY, known=KnownSets(sent=frozenset({2})))
    assert decide_gone(way, dataset(HOURLY), target, {2}).snapshots == ()
    assert decide_gone(way, dataset(), target, {2}).snapshots == (HOURLY,)


def test_one_that_went_to_a_promoted_clone_on_the_source_stays() -> None:
    """It may be too old to travel with the clone, so the old replica is the only one that has it."""
    clone = replace(pair(dataset(HOURLY, snap(9), name="tank/b"), None), target_name="pool/b")

    assert after(0, others=(clone,))[0] == []


def test_a_dataset_without_the_jobs_marks_is_left_alone() -> None:
    assert BOTH.target is not None
    assert after(0, volume=replace(BOTH, target=replace(BOTH.target, source="gamma")))[0] == []


TERMS = Terms(7 * DAY)


@pytest.mark.parametrize(
    ("now", "waited"),
    [(1000.0 + 3600, 50 + 3600), (1000.0 + 365 * DAY, 50 + DAY), (1000.0 - 3600, 0.0), (1000.0 - 1, 50)],
    ids=["an hour later", "the clock jumped a year ahead", "it was set back", "it was corrected a little"],
)
def test_the_clock_is_not_trusted(now: float, waited: float) -> None:
    assert [each.waited for each in counted([Gone(2, 1000.0, 50)], {2}, TERMS, now)] == [waited]


def test_one_that_came_back_is_forgotten() -> None:
    assert counted([Gone(2, 0.0, 5 * DAY)], set(), TERMS, DAY) == ()


class TestANameThatTheSourceTookAgain:
    OLD, AGAIN, NEW = snap(2, "before-upgrade"), snap(4, "before-upgrade"), snap(9)

    def planned(self, *there: Snapshot, source: tuple[Snapshot, ...] = ()) -> Incremental:
        known = KnownSets(sent=frozenset({2}))
        both = pair(dataset(snap(3), *(source or (self.AGAIN,)), self.NEW), dataset(*there, snap(3), job=str(JOB)))
        [action] = giving_way(replace(WAY, known=known), Plan((Incremental(both, snap(3)),))).actions
        assert isinstance(action, Incremental)
        return action

    def test_is_given_up_by_the_one_that_travelled(self) -> None:
        action = self.planned(self.OLD)

        assert action.outdated == (self.OLD,)
        assert [each.guid for each in route(action, self.NEW.name, "all").travels] == [4, 9]
        target = arrived(action, self.NEW.name, "all").target
        assert target is not None
        assert target.snapshots[0].name == outdated_name(target.name, self.OLD)

    @pytest.mark.parametrize(
        "theirs", [replace(snap(2, "before-upgrade"), made_here=True), snap(7, "before-upgrade")],
        ids=["made there", "of unknown origin"],
    )  # fmt: skip
    def test_is_kept_by_one_of_others(self, theirs: Snapshot) -> None:
        action = self.planned(theirs)

        assert action.outdated == ()
        assert [each.guid for each in route(action, self.NEW.name, "all").blocked] == [4]

    def test_is_kept_by_one_that_the_source_still_has_under_another_name(self) -> None:
        assert self.planned(self.OLD, source=(snap(2, "renamed"), self.AGAIN)).outdated == ()

    def test_is_kept_while_nothing_needs_it(self) -> None:
        assert self.planned(self.OLD, source=(snap(5, "other"),)).outdated == ()


def test_a_long_name_is_cut_so_that_zfs_takes_it() -> None:
    assert len(f"tank/a@{outdated_name('tank/a', snap(2, 'x' * 240))}") <= 255
