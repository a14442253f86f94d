"""Guests that are being moved: since when, and the finding about a move that takes too long."""

from __future__ import annotations

from dataclasses import asdict

from replicator.api.moves import MovingGuest
from replicator.cluster.model import Cluster
from replicator.daemon.moving_guests import moving_findings, moving_guests
from replicator.models import Guest


def cluster(*guests: Guest) -> Cluster:
    return Cluster(guests={guest.id: guest for guest in guests})


WEB = Guest(100, "web", "alpha", moving_to="beta")


def test_a_guest_of_this_node_that_is_being_moved_is_found() -> None:
    found = moving_guests(cluster(WEB, Guest(101, "db", "alpha")), "alpha", (), 50.0)
    assert found == (MovingGuest(100, "web", "beta", 50.0),)


def test_one_of_another_node_is_not() -> None:
    assert moving_guests(cluster(WEB), "beta", (), 50.0) == ()


def test_it_keeps_the_time_at_which_it_was_first_seen() -> None:
    before = moving_guests(cluster(WEB), "alpha", (), 50.0)
    assert moving_guests(cluster(WEB), "alpha", before, 90.0) == before


def test_a_move_to_another_node_begins_again() -> None:
    before = (MovingGuest(100, "web", "gamma", 10.0),)
    assert moving_guests(cluster(WEB), "alpha", before, 90.0)[0].since == 90.0


def test_a_move_that_takes_too_long_is_critical_with_both_commands() -> None:
    moving = [asdict(MovingGuest(100, "web", "beta", 0.0))]
    assert not list(moving_findings(moving, 900.0))
    [found] = moving_findings(moving, 1200.0)
    assert found.text == (
        "guest 100 (web) is being moved to beta for 20 min, and may be off; zsr guest move 100 beta finishes it, with "
        "--cancel it stays here"
    )
    assert not list(moving_findings(moving, 1200.0, guest=101))
