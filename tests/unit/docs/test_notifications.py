"""docs/notifications*.md name every event, every key of a target and every part of a template."""

from __future__ import annotations

import re
from datetime import UTC

import pytest

from alerts.channels.settings import CHANNEL_KEYS
from alerts.notice import NoticeKind
from alerts.render.content import RenderContext
from alerts.render.renderer import Form, Renderer
from alerts.render.samples import sample
from alerts.routing.routes import MATCH_KEYS, ROUTE_KEYS
from tests.support.pages import ROOT, blocks

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
READER = RenderContext(NOW, UTC, page="https://alpha.example.org/", dashboard="https://grafana.example.org")
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


@pytest.mark.parametrize(("kind", "jobs"), [(NoticeKind.FAILED, 1), (NoticeKind.DIGEST, 3)])
def test_a_message_on_the_page_is_what_zsr_sends(kind: NoticeKind, jobs: int) -> None:
    sent = Renderer().render(sample(kind, jobs=jobs, now=NOW), Form.TEXT, READER)
    shown = [block for block in blocks(ROOT / "docs" / "notifications-messages.md", "") if "Subject: " in block]

    assert any(f"Subject: {sent.title}\n\n{sent.body}".startswith(block.rstrip()) for block in shown)
