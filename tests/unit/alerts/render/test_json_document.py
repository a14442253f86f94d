"""What webhooks are sent is what docs/notification.schema.json says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from alerts.notice import NoticeKind, Severity
from alerts.render.content import RenderContext
from alerts.render.json_document import document, header_id, moment
from alerts.render.samples import sample
from tests.support.json_schema import violations

SCHEMA = json.loads((Path(__file__).parents[4] / "docs" / "notification.schema.json").read_text())
NOW = 1_800_000_000.0
READER = RenderContext(NOW, UTC, page="https://alpha.example.org/", dashboard="https://grafana.example.org")


def made(kind: NoticeKind, jobs: int = 1) -> dict[str, Any]:
    written = document(sample(kind, jobs=jobs, now=NOW), READER, "title", "text")
    loaded: dict[str, Any] = json.loads(json.dumps(written))
    return loaded


@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize("jobs", [0, 1, 200])
def test_every_kind_is_as_the_schema_says(kind: NoticeKind, jobs: int) -> None:
    assert list(violations(made(kind, jobs), SCHEMA, SCHEMA)) == []


def test_what_is_not_known_is_as_the_schema_says() -> None:
    notice = sample(NoticeKind.FAILED, now=NOW)
    bare = replace(notice.subjects[0], run=None, failing_since=None, last_sync=None, rpo=None, next_run=None)
    written = document(replace(notice, subjects=(replace(bare, worst_lag=None, error_class=""),)), READER, "t", "")
    assert list(violations(written, SCHEMA, SCHEMA)) == []


def test_the_schema_knows_all_kinds_and_severities() -> None:
    known = SCHEMA["properties"]
    assert (known["event"]["enum"], known["severity"]["enum"]) == ([*NoticeKind], [*Severity])


@pytest.mark.parametrize(
    ("field", "value"), [("version", 2), ("event", "other"), ("time", "now"), ("jobs", [{}]), ("opens", "yes")]
)
def test_something_else_is_not_as_the_schema_says(field: str, value: object) -> None:
    assert list(violations(made(NoticeKind.FAILED) | {field: value}, SCHEMA, SCHEMA))


def test_all_jobs_are_in_it() -> None:
    assert len(made(NoticeKind.TARGET_UNREACHABLE, 200)["jobs"]) == 200


def test_links_are_in_it() -> None:
    assert made(NoticeKind.FAILED)["links"] == {
        "status_page": "https://alpha.example.org/",
        "dashboard": "https://grafana.example.org/d/zsr-guest?var-guest=100",
    }


def test_times_are_in_utc_to_the_millisecond() -> None:
    assert moment(NOW + 0.25) == "2027-01-15T08:00:00.250Z"


def test_a_key_that_cannot_stand_in_a_header_does_not() -> None:
    assert [header_id(key) for key in ("alpha/100-0/7", "a\r\nb", "ü", "")] == ["alpha/100-0/7", None, None, None]
