"""Ids of guests and jobs: numbers and names, one reading for each text, and one order."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import ConfigError
from replicator.ids import LONGEST_GROUP, GroupName, GuestId, entry_of, group_name, parse_guest, stored_guest
from replicator.models import JobId
from replicator.zfs.snapshot_names import guest_prefix, job_prefix, parse_snapshot_name, snapshot_name

NAMES = ["home", "h", "a_b", "a1", "vm", "pvesr", "zfs", "zsr", "x" * LONGEST_GROUP]
names = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True).map(GroupName)
guests = st.one_of(st.integers(100, 999_999_999), names)
jobs = st.builds(JobId, guests, st.integers(0, 999_999_999))


class TestAGuest:
    @pytest.mark.parametrize("text", NAMES)
    def test_may_be_a_name(self, text: str) -> None:
        assert parse_guest(text) == text
        assert isinstance(parse_guest(text), GroupName)
        assert group_name(text) == text

    def test_may_be_a_number(self) -> None:
        assert parse_guest("100") == 100
        assert group_name("100") is None

    @pytest.mark.parametrize(
        "text",
        ["", "99", "0100", "1home", "_home", "Home", "home-dir", "home.dir", "a:b", "ä", "x" * 33, "home\n", "a b"],
    )
    def test_of_no_form_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match="is no guest"):
            parse_guest(text)

    def test_with_a_number_comes_before_one_with_a_name(self) -> None:
        mixed: list[GuestId] = [GroupName("b"), 1000, GroupName("a"), 100]
        assert sorted(mixed) == [100, 1000, "a", "b"]

    @given(guests, guests)
    def test_has_one_place_in_the_order(self, one: GuestId, other: GuestId) -> None:
        assert [one < other, one == other, one > other].count(True) == 1
        assert (one <= other, one >= other) == (not one > other, not one < other)

    @given(guests)
    def test_is_read_from_what_is_stored_of_it(self, guest: GuestId) -> None:
        assert stored_guest(guest) == stored_guest(str(guest)) == guest
        assert type(stored_guest(str(guest))) is type(guest)

    def test_stands_in_a_section_of_its_kind(self) -> None:
        assert (entry_of(100), entry_of(GroupName("home"))) == ("guests.100", "groups.home")


class TestAJob:
    @given(jobs)
    def test_is_read_as_it_is_written(self, job: JobId) -> None:
        assert JobId.parse(str(job)) == JobId.from_text(str(job)) == job
        assert type(JobId.parse(str(job)).guest) is type(job.guest)

    @given(jobs, st.integers(0, 10**12 - 1))
    def test_is_read_from_the_names_of_its_snapshots(self, job: JobId, time: int) -> None:
        found = parse_snapshot_name(snapshot_name(job, time))
        assert found is not None
        assert (found.job, found.set_time) == (job, time)

    @given(jobs, jobs)
    def test_takes_no_snapshot_that_looks_like_one_of_another_job_or_guest(self, one: JobId, other: JobId) -> None:
        assert snapshot_name(one, 7).startswith(job_prefix(other)) == (one == other)
        assert snapshot_name(one, 7).startswith(guest_prefix(other.guest)) == (one.guest == other.guest)

    @pytest.mark.parametrize(("engine", "name"), [*product(["pvesr", "zfs"], ["100-0", "home-0", "tank/home"])])
    def test_of_another_engine_is_never_one_of_zsr(self, engine: str, name: str) -> None:
        observed = JobId.from_text(f"{engine}:{name}")
        assert str(observed) == f"{engine}:{name}"
        assert observed.engine == engine
        assert observed.guest in (0, 100)
        with pytest.raises(ConfigError):
            JobId.parse(str(observed))

    @pytest.mark.parametrize("text", ["home", "home-", "-0", "home-x", "home-0-0", "home-0000000000", "my-home-0"])
    def test_of_no_form_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match="is not a job id"):
            JobId.parse(text)
