"""docs/notifications*.md name every event, every key of a target and every part of a template."""

from __future__ import annotations

import re

import pytest

from alerts.channels.settings import CHANNEL_KEYS
from alerts.notice import NoticeKind
from alerts.routing.routes import MATCH_KEYS, ROUTE_KEYS
from tests.support.pages import ROOT

PAGE = (ROOT / "docs" / "notifications.md").read_text()
MESSAGES = (ROOT / "docs" / "notifications-messages.md").read_text()


@pytest.mark.parametrize("kind", [kind for kind in NoticeKind if kind is not NoticeKind.TEST])
def test_an_event_is_in_the_table_of_events(kind: NoticeKind) -> None:
    events = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", PAGE, re.MULTILINE)

    assert f"`{kind}`" in " ".join(events)


@pytest.mark.parametrize("kind", NoticeKind)
def test_an_event_is_among_the_names_of_templates(kind: NoticeKind) -> None:
    (row,) = re.findall(r"^\| event \| (.*) \|$", MESSAGES, re.MULTILINE)

    assert f"`{kind}`" in row


@pytest.mark.parametrize("key", [*CHANNEL_KEYS, *ROUTE_KEYS, *MATCH_KEYS])
def test_a_key_of_a_target_is_in_a_table(key: str) -> None:
    rows = [row for row in PAGE.splitlines() if row.startswith("| ")]

    assert any(f"`{key}`" in row for row in rows)
