"""The facts of each kind of notice, and that the documents know every kind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from alerts.notice import KIND_FACTS, NoticeKind, Severity
from alerts.render.renderer import FOR_ALL

DOCS = Path(__file__).parents[3] / "docs"
ALL_CLEARS = [kind for kind in NoticeKind if kind.is_all_clear]


def words_in(cell: str) -> set[str]:
    return set(re.findall(r"`([a-z-]+)`", cell))


def first_cells(table_head: str) -> set[str]:
    """All words in code style in the first column of a table of docs/notifications.md."""
    _, _, table = (DOCS / "notifications.md").read_text().partition(table_head)
    rows = table.partition("\n\n")[0].splitlines()
    return set().union(*(words_in(row.split("|")[1]) for row in rows if row.startswith("|")))


def test_every_kind_has_its_facts() -> None:
    assert set(KIND_FACTS) == set(NoticeKind)


def test_every_kind_has_a_badge_of_its_own() -> None:
    badges = [kind.facts.badge for kind in NoticeKind]

    assert "" not in badges
    assert len(set(badges)) == len(badges)


@pytest.mark.parametrize("kind", ALL_CLEARS)
def test_an_all_clear_is_info_and_ends_a_problem_that_alertmanager_knows(kind: NoticeKind) -> None:
    ended = kind.facts.ends

    assert ended is not None
    assert not ended.is_all_clear
    assert ended.facts.alertname
    assert (kind.facts.severity, kind.facts.alertname) == (Severity.INFO, "")


def test_the_all_clears_are_these() -> None:
    assert set(ALL_CLEARS) == {
        NoticeKind.RECOVERED,
        NoticeKind.RPO_KEPT,
        NoticeKind.REPLICA_BACK,
        NoticeKind.GUEST_THAWED,
        NoticeKind.DRILL_PASSED,
        NoticeKind.TARGET_BACK,
        NoticeKind.SETTINGS_ACCEPTED,
        NoticeKind.STATE_WRITABLE,
        NoticeKind.NODES_AGREE,
        NoticeKind.FILES_ALIKE,
    }


@pytest.mark.parametrize("kind", [kind for kind in NoticeKind if kind.facts.jobs_title])
def test_a_kind_that_is_about_jobs_has_a_title_and_a_first_sentence_for_them(kind: NoticeKind) -> None:
    assert kind.facts.jobs_lead.endswith(".")


def test_the_schema_lists_every_kind() -> None:
    schema = json.loads((DOCS / "notification.schema.json").read_text())

    assert schema["properties"]["event"]["enum"] == list(NoticeKind)


def test_the_table_of_events_lists_every_kind_but_the_test_message() -> None:
    assert first_cells("| event | severity |") == set(NoticeKind) - {NoticeKind.TEST}


def test_the_table_of_templates_lists_every_kind() -> None:
    row = next(line for line in (DOCS / "notifications-messages.md").read_text().splitlines() if "| event | `" in line)

    assert words_in(row.split("|")[2]) == {*NoticeKind, FOR_ALL}
