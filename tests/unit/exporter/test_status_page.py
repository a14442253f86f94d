"""The status page at /, also with hostile names."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from exporter.status_page import MAX_ROWS, duration, render_page
from tests.support.statuses import (
    NOW,
    disabled,
    every_state,
    failing,
    healthy,
    lost,
    many,
    never_ran,
    status,
    syncing,
    unconfirmed,
)

VOID = {"meta", "link", "br"}
HOSTILE = "<script>alert('x')</script>&\"'"


class Outline(HTMLParser):
    """Checks that elements are closed in order, and collects elements and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def outline(page: str) -> Outline:
    parsed = Outline()
    parsed.feed(page)
    parsed.close()
    assert parsed.open == []
    return parsed


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (725, "12 min"),
        (3600, "1 h"),
        (3605, "1 h"),
        (90_000, "1 d 1 h"),
        (183_600, "2 d 3 h"),
        (float("inf"), "no limit"),
    ],
)
def test_a_length_of_time_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere() -> None:
    parsed = outline(render_page(status(*every_state())))
    assert not {"script", "img", "iframe"} & {tag for tag, _ in parsed.seen}
    links = [value for _, attributes in parsed.seen for name, value in attributes.items() if name in ("href", "src")]
    assert all(link and link.startswith(("/", "data:")) for link in links)


def test_the_page_is_made_for_phones_and_refreshes_itself() -> None:
    attributes = [found for tag, found in outline(render_page(status())).seen if tag == "meta"]
    assert any(each.get("name") == "viewport" for each in attributes)
    assert any(each.get("http-equiv") == "refresh" for each in attributes)


def test_hostile_names_stay_text() -> None:
    job = failing("100-0", message=HOSTILE)
    guest = replace(healthy("101-0", guest_name=HOSTILE), source=HOSTILE)
    page = render_page(replace(status(job, guest, reachable={HOSTILE: False}), node=HOSTILE))
    assert "<script" not in page
    assert outline(page).text.count(HOSTILE) >= 5


def test_the_worst_come_first() -> None:
    text = outline(render_page(status(*every_state()))).text
    positions = [text.index(job) for job in ("102-0", "101-0", "103-0", "105-0", "100-0", "104-0")]
    assert positions == sorted(positions)


def test_a_failing_job_says_what_happened_and_that_the_promise_is_broken() -> None:
    text = outline(render_page(status(failing()))).text
    assert "Node beta does not answer on port 22. Check that the node is up" in text
    assert "1 h 30 min ago, promise broken" in text
    assert text.strip().startswith("(1) zsr on alpha")


def test_a_new_job_has_never_synced_and_broken_nothing() -> None:
    text = outline(render_page(status(never_ran()))).text
    assert "never" in text
    assert "broken" not in text
    assert "due" in text


def test_a_replica_that_is_lost_is_called_so_and_breaks_the_promise_at_once() -> None:
    job = lost()
    young = replace(job, state=replace(job.state, created=NOW - 60))
    assert "lost, promise broken" in outline(render_page(status(young))).text


def test_a_last_sync_on_a_target_that_was_edited_is_called_unconfirmed() -> None:
    assert "5 min ago, unconfirmed" in outline(render_page(status(unconfirmed()))).text
    assert "unconfirmed" not in outline(render_page(status(replace(lost(), unconfirmed=True)))).text


def test_a_job_that_never_synced_breaks_its_promise_in_the_end() -> None:
    job = never_ran()
    late = replace(job, state=replace(job.state, created=job.state.created - 10_000))
    assert "never, promise broken" in outline(render_page(status(late))).text


def test_a_disabled_job_breaks_no_promise() -> None:
    assert "broken" not in outline(render_page(status(disabled()))).text


def test_a_transfer_shows_how_far_it_is() -> None:
    text = outline(render_page(status(syncing(done=250, expected=1000)))).text
    assert "25 %" in text
    assert "running for 1 min" in text


def test_unreachable_nodes_and_wrong_settings_are_said() -> None:
    picture = status(ready=False, reachable={"gamma": False, "beta": True})
    picture = replace(picture, config=replace(picture.config, ok=False, problems=("jobs.100-0: no guest",)))
    text = outline(render_page(picture)).text
    assert "Not reachable: gamma." in text
    assert "jobs.100-0: no guest" in text
    assert "has not answered yet" in text


def test_without_jobs_it_says_so() -> None:
    assert "There are no jobs on this node." in outline(render_page(status())).text


def test_thousands_of_jobs_are_counted_and_the_worst_shown() -> None:
    jobs = (*many(MAX_ROWS + 20), failing("9000-0"))
    text = outline(render_page(status(*jobs))).text
    assert "9000-0" in text
    assert "And 21 more jobs." in text
