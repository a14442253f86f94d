"""A user's own templates: what they may, and that a broken one is said and loses no message."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path

import pytest

from alerts.notice import NoticeKind
from alerts.render.content import RenderContext
from alerts.render.renderer import Form, Renderer
from alerts.render.samples import sample
from alerts.render.template_check import template_problems

NOW = 1_800_000_000.0
READER = RenderContext(NOW, UTC)
FAILED = sample(NoticeKind.FAILED, now=NOW)
RECOVERED = sample(NoticeKind.RECOVERED, now=NOW)


def write(folder: Path, **files: str) -> Renderer:
    for name, text in files.items():
        base, _, ending = name.rpartition("__")
        (folder / f"{base}.{ending}").write_text(text)
    return Renderer(folder)


def test_a_template_changes_one_event_in_one_format(tmp_path: Path) -> None:
    renderer = write(
        tmp_path, failed__txt="Hallo {{ letter.title }}, seit {{ clock(notice.subjects[0].failing_since) }}"
    )
    assert renderer.render(FAILED, Form.TEXT, READER).body.startswith("Hallo Guest 100 web: replication failed")
    assert renderer.render(FAILED, Form.TEXT, READER).body.endswith("seit 2027-01-15 07:28:00")
    assert "Hallo" not in renderer.render(FAILED, Form.HTML, READER).body
    assert "Hallo" not in renderer.render(RECOVERED, Form.TEXT, READER).body


def test_the_template_called_letter_is_for_all_events_that_have_none(tmp_path: Path) -> None:
    renderer = write(tmp_path, letter__txt="all", failed__txt="mine")
    assert renderer.render(FAILED, Form.TEXT, READER).body == "mine"
    assert renderer.render(RECOVERED, Form.TEXT, READER).body == "all"


def test_a_title_may_be_changed_and_stays_one_line(tmp_path: Path) -> None:
    renderer = write(tmp_path, failed__title="[zsr]\nBcc: x {{ letter.title }}")
    assert renderer.render(FAILED, Form.TEXT, READER).title.startswith("[zsr] Bcc: x Guest 100 web")


def test_a_block_of_the_built_in_letter_can_be_replaced(tmp_path: Path) -> None:
    extended = '{% extends "builtin/letter.html" %}{% block foot %}Call 4711{% endblock %}'
    body = write(tmp_path, letter__html=extended).render(FAILED, Form.HTML, READER).body
    assert "Call 4711" in body
    assert "What happened" in body
    assert "Sent by zsr" not in body


def test_html_of_a_users_template_is_escaped_too(tmp_path: Path) -> None:
    renderer = write(tmp_path, failed__html="{{ '<b>' }}{{ letter.title }}")
    assert renderer.render(FAILED, Form.HTML, READER).body.startswith("&lt;b&gt;")


BROKEN = {
    "a mistake of grammar": "{% if %}",
    "a name that is not there": "{{ leter.title }}",
    "a field that is not there": "{{ letter.titel }}",
    "a sum of what cannot be added": "{{ letter.title + 1 }}",
    "a division by zero": "{{ 1 / 0 }}",
    "a missing part": "{% include 'gone.txt' %}",
    "nothing": "   ",
    "a way out of the sandbox": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "a flood": "{% for i in range(90000) %}{{ letter.lead }}{% endfor %}",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_template_is_said_and_the_built_in_words_go_out(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    renderer = write(tmp_path, failed__txt=text)
    assert renderer.render(FAILED, Form.TEXT, READER) == Renderer().render(FAILED, Form.TEXT, READER)
    assert "failed.txt" in caplog.text
    assert "The built-in template is used" in caplog.text
    (problem,) = template_problems(tmp_path)
    assert (problem.key, problem.value) == ("templates", "failed.txt")


def test_bytes_that_are_no_text_are_a_broken_template(tmp_path: Path) -> None:
    (tmp_path / "failed.txt").write_bytes(b"\xff\xfe\x00")
    assert Renderer(tmp_path).render(FAILED, Form.TEXT, READER) == Renderer().render(FAILED, Form.TEXT, READER)
    assert len(template_problems(tmp_path)) == 1


def test_a_broken_template_for_all_events_is_found_by_any_of_them(tmp_path: Path) -> None:
    write(tmp_path, letter__txt="{{ notice.digest.end }}")
    assert len(template_problems(tmp_path)) == 1


def test_a_name_that_means_nothing_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, faild__txt="x", failed__text="x", _part__txt="x")
    assert [problem.value for problem in template_problems(tmp_path)] == ["faild.txt", "failed.text"]


def test_templates_that_work_are_no_problem(tmp_path: Path) -> None:
    write(tmp_path, letter__md="{{ letter.title | md }}", failed__title="{{ letter.title }}")
    assert template_problems(tmp_path) == []


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    (problem,) = template_problems(tmp_path / "gone")
    assert "No such file" in problem.allowed
    assert Renderer(tmp_path / "gone").render(FAILED, Form.TEXT, READER).body


def test_a_template_that_was_changed_is_used_from_then_on(tmp_path: Path) -> None:
    renderer = write(tmp_path, failed__txt="one")
    assert renderer.render(FAILED, Form.TEXT, READER).body == "one"
    write(tmp_path, failed__txt="two, and longer")
    os.utime(tmp_path / "failed.txt", (1, 1))
    assert renderer.render(FAILED, Form.TEXT, READER).body == "two, and longer"
