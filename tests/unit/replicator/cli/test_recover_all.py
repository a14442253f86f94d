"""All guests of a dead node, one after the other: what the table says of each, and what one that fails does."""

from __future__ import annotations

from datetime import UTC
from typing import cast

import pytest

from replicator.cli.orders_elsewhere import Elsewhere
from replicator.cli.recover_all import recover_each, row
from replicator.cli.recovery_order import parse_shown, shown_as
from replicator.errors import BusyError
from replicator.guests.all_of_node import Candidate
from replicator.models import Guest

WEB, MAIL, BUILD = (Guest(100 + at, name, "alpha") for at, name in enumerate(("web", "mail", "build")))
AT = 1_800_000_000


class Played:
    """The other nodes: ``typed`` is what was ordered there; guest 101 fails."""

    def __init__(self) -> None:
        self.typed: list[tuple[object, ...]] = []

    async def recover(self, name: str, guest: int, set_time: int, options: list[str]) -> None:
        self.typed.append((name, guest, set_time, *options))
        if guest == MAIL.id:
            raise BusyError("It does not want to.")

    async def push(self, name: str) -> None:
        self.typed.append((name, "push"))


async def test_one_that_fails_is_named_and_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """It may have failed after it had become its new node's: the cluster file of that node goes to the others too."""
    nodes = Played()
    chosen = [Candidate(WEB, "beta", AT), Candidate(MAIL, "gamma", AT), Candidate(BUILD, "beta")]

    failed = await recover_each(chosen, cast("Elsewhere", nodes), ["--older"])

    assert [(each.guest, each.why) for each in failed] == [(MAIL, "It does not want to.")]
    assert nodes.typed == [
        ("beta", 100, AT, "--older"),
        ("beta", "push"),
        ("gamma", 101, AT, "--older"),
        ("gamma", "push"),
        ("beta", 102, 0, "--older"),
        ("beta", "push"),
    ]
    assert "Guest 101 (mail) on gamma:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("candidate", "cells"),
    [
        (Candidate(WEB, "beta", AT), ("100", "web", "beta", "2027-01-15_08:00:00", "1m12s, ?", "-")),
        (Candidate(WEB, "beta"), ("100", "web", "beta", "-", "begun", "-")),
        (Candidate(WEB, why="no job replicates it"), ("100", "web", "-", "-", "?", "no job replicates it")),
        (Candidate(WEB, "beta", why="beta is silent"), ("100", "web", "beta", "-", "?", "beta is silent")),
    ],
)
def test_the_table_says_where_as_of_when_and_why_not(candidate: Candidate, cells: tuple[str, ...]) -> None:
    assert row(candidate, AT + 72, UTC) == cells


def test_what_another_node_shows_ends_with_the_set_unless_nothing_is_left() -> None:
    assert parse_shown(f"as of then\n{shown_as(AT)}\n") == (["as of then"], AT)
    assert parse_shown("nothing is left to do.\n") == (["nothing is left to do."], None)
    assert parse_shown("") == ([], None)
