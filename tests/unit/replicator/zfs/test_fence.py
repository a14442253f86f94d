"""The fence: who may push, given the stamps on the guest's volumes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.models import MAX_EPOCH, JobId
from replicator.zfs.fence import (
    Fence,
    Stamped,
    Standing,
    claim_of,
    claimed,
    epoch_to_take,
    is_stamped,
    refusal,
    standing,
)

JOB = JobId(100, 0)
NAME = "tank/vm-100-disk-0"

owners = st.sampled_from(["alpha", "beta", "gamma"])
epochs = st.integers(1, 5) | st.integers(1, MAX_EPOCH)
NO_EPOCHS = ["0", "01", "-1", "1.0", "1e3", "0x2", " 2", "2 ", "٣", "1000000000", ""]
texts = st.text(max_size=12) | st.sampled_from(NO_EPOCHS)


def fence(owner: str = "alpha", epoch: int | None = 2) -> Fence:
    """The orders of a node that owns the guest at an epoch."""
    return Fence(JOB, owner, epoch)


def seen(owner: str | None, epoch: int | str | None) -> Stamped:
    """A volume with these stamps."""
    return Stamped(NAME, owner, None if epoch is None else str(epoch))


# --- laws


@given(owners, epochs, st.none() | owners, epochs)
def test_an_older_epoch_never_pushes(owner: str, ours: int, other: str | None, theirs: int) -> None:
    if ours < theirs:
        assert standing(fence(owner, ours), seen(other, theirs)) is Standing.SUPERSEDED


@given(owners, owners, epochs)
def test_of_two_owners_at_one_epoch_at_most_one_pushes(one: str, other: str, epoch: int) -> None:
    """Whoever stamped the volume."""
    if one != other:
        for stamped in (one, other):
            volume = seen(stamped, epoch)
            passes = [each for each in (one, other) if standing(fence(each, epoch), volume) is Standing.PASSES]
            assert passes == [stamped]


@given(owners, epochs, texts)
def test_what_is_no_epoch_is_never_passed(owner: str, ours: int, text: str) -> None:
    if not (text.isascii() and text.isdecimal() and not text.startswith("0") and len(text) < 10):
        assert standing(fence(owner, ours), seen(owner, text)) is Standing.UNREADABLE


@given(owners, epochs, st.none() | owners, epochs)
def test_a_claim_refuses_each_epoch_below_it_until_it_is_committed(
    owner: str, ours: int, other: str | None, wanted: int
) -> None:
    volume = seen(other, claimed(wanted))
    assert claim_of(volume) == wanted
    assert standing(fence(owner, ours), volume) is (Standing.CLAIMED if wanted > ours else Standing.PASSES)
    assert not is_stamped(fence(owner, ours), volume)


@given(owners, epochs, st.none() | owners, epochs | st.none())
def test_the_stamps_of_whoever_passed_refuse_whom_they_refused_before(
    owner: str, ours: int, other: str | None, theirs: int | None
) -> None:
    """Setting them never opens the fence for an older order."""
    volume, orders = seen(other, theirs), fence(owner, ours)
    if standing(orders, volume) is not Standing.PASSES:
        return
    after = Stamped(NAME, orders.owner, str(orders.epoch))
    assert is_stamped(orders, after)
    for epoch in {1, ours, theirs or 1}:
        for node in ("alpha", "beta", "gamma"):
            before = standing(fence(node, epoch), volume)
            if before is not Standing.PASSES:
                assert standing(fence(node, epoch), after) is not Standing.PASSES


@given(owners, epochs, owners, epochs)
def test_a_guest_is_taken_over_with_an_epoch_above_all_that_are_seen(
    owner: str, ours: int, other: str, theirs: int
) -> None:
    orders = fence(owner, ours)
    taken = epoch_to_take(orders, seen(other, theirs))
    if taken is not None:
        assert ours <= taken <= ours + 1
        assert standing(fence(owner, taken), seen(other, theirs)) is Standing.PASSES


@given(st.none() | owners, st.none() | epochs | texts)
def test_it_refuses_with_a_sentence_and_an_advice_whenever_it_does_not_pass(
    owner: str | None, epoch: int | str | None
) -> None:
    for orders in (fence(), fence(epoch=None)):
        error = refusal(orders, "beta", seen(owner, epoch))
        assert (error is None) is (standing(orders, seen(owner, epoch)) is Standing.PASSES)
        if error is not None:
            assert error.node == "beta"
            assert NAME in error.what
            assert "guest 100" in error.what.lower()
            assert error.advice != type(error).default_advice


# --- each case


@pytest.mark.parametrize("epoch", [None, 1, 2], ids=["none", "an older one", "this one"])
def test_missing_older_and_own_stamps_pass(epoch: int | None) -> None:
    assert refusal(fence(), "beta", seen("alpha", epoch)) is None


def test_an_owner_without_an_epoch_refuses_nothing() -> None:
    """Where properties are set one by one, a stamping that died leaves it; the programs see it in the same way."""
    assert standing(Fence(JOB, "alpha", 2), Stamped("tank/a", "beta", None)) is Standing.PASSES


def test_an_epoch_without_an_owner_disputes_nothing() -> None:
    assert standing(fence(), seen(None, 2)) is Standing.PASSES
    assert standing(fence(), seen(None, 3)) is Standing.SUPERSEDED


def test_the_owner_is_set_first_so_that_a_crash_in_between_locks_nobody_out() -> None:
    assert list(fence("beta", 3).stamps) == ["zsr:owner", "zsr:epoch"]
    half = seen("beta", 2)
    assert standing(fence("beta", 3), half) is Standing.PASSES
    assert standing(fence("alpha", 2), half) is Standing.DISPUTED


def test_a_superseded_node_is_shown_the_owner_and_where_it_is_written() -> None:
    error = refusal(fence("alpha", 1), "beta", seen("beta", 3))
    assert error is not None
    assert error.what == (
        f"Guest 100 belongs to beta since epoch 3, as '{NAME}' on node beta says; the cluster file of alpha is older "
        "(epoch 1)."
    )
    assert "Copy the cluster file of beta to alpha (there: zsr cluster push)." in error.advice
    assert "guests.100.epoch = 4" in error.advice


def test_a_claim_is_said_with_the_command_that_ends_it() -> None:
    error = refusal(fence("alpha", 1), "beta", seen("alpha", "2-claimed"))
    assert error is not None
    assert error.what == (
        f"A recovery of guest 100 was begun on beta and has not ended: '{NAME}' on node beta is claimed for epoch 2."
    )
    assert "Type there: zsr guest recover 100." in error.advice


@pytest.mark.parametrize("text", ["-claimed", "0-claimed", "2-claimed ", "2-Claimed", "1000000000-claimed"])
def test_what_only_looks_like_a_claim_is_an_epoch_that_cannot_be_read(text: str) -> None:
    assert standing(fence(epoch=MAX_EPOCH), seen("alpha", text)) is Standing.UNREADABLE


def test_a_cluster_file_that_is_older_than_its_own_volumes_has_a_sentence_of_its_own() -> None:
    error = refusal(fence("alpha", 1), "alpha", seen("alpha", 3))
    assert error is not None
    assert "of alpha itself" in error.what
    assert "guests.100.epoch = 3" in error.advice


def test_a_new_owner_whose_volumes_are_still_the_old_ones_learns_how_to_take_it_over() -> None:
    error = refusal(fence("beta", 1), "beta", seen("alpha", 1))
    assert error is not None
    assert error.advice == "If it was moved to beta, take it over there: zsr adopt 100-0."


@pytest.mark.parametrize("epoch", ["many", "0", "3"])
def test_nobody_takes_over_what_is_later_or_cannot_be_read(epoch: str) -> None:
    assert epoch_to_take(fence(), seen("beta", epoch)) is None


def test_a_guest_that_is_gone_from_the_file_refuses_only_what_another_node_owns() -> None:
    gone = fence(epoch=None)
    assert refusal(gone, "beta", seen("alpha", 7)) is None
    assert refusal(gone, "beta", seen(None, "many")) is None
    assert refusal(gone, "beta", seen("beta", 1)) is not None
    assert gone.stamps == {}
