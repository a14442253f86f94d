"""The section of messages: what is read and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.render.settings import MessageSettings, read_message_settings


def test_nothing_is_asked_for() -> None:
    assert read_message_settings(None) == read_message_settings({}) == (MessageSettings(), [])


def test_all_that_can_be_said() -> None:
    section = {"templates": "/etc/zsr/templates", "page": "https://a.example.org/", "dashboard": "http://[::1]:3000"}
    assert read_message_settings(section) == (
        MessageSettings(Path("/etc/zsr/templates"), "https://a.example.org/", "http://[::1]:3000"),
        [],
    )


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ([], ""),
        ({"tempaltes": "/x"}, "tempaltes"),
        ({"templates": "x"}, "templates"),
        ({"templates": 7}, "templates"),
        ({"page": "ftp://x"}, "page"),
        ({"page": "https://[x"}, "page"),
        ({"page": None}, "page"),
        ({"dashboard": "https://bob:hunter2@example.org"}, "dashboard"),
    ],
)
def test_what_is_wrong_is_reported_without_secrets(section: object, key: str) -> None:
    _, problems = read_message_settings(section)
    assert [problem.key for problem in problems] == [key]
    assert "hunter2" not in str(problems)
