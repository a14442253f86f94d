"""Messages as a reader gets them at night: title, text, Markdown, HTML."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.notice import Notice, NoticeKind
from alerts.render.content import RenderContext
from alerts.render.links import GUEST, REPLICATION
from alerts.render.renderer import Form, Renderer
from alerts.render.samples import sample, sample_subject
from alerts.subject import Subject
from alerts.text import TITLE_SEEN
from grafana import layout

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
READER = RenderContext(NOW, UTC)
RENDERER = Renderer()


def text(notice: Notice, form: Form = Form.TEXT, reader: RenderContext = READER) -> str:
    return RENDERER.render(notice, form, reader).body


def title(notice: Notice) -> str:
    return RENDERER.render(notice, Form.TEXT, READER).title


def failed(**changes: object) -> Notice:
    subject = replace(sample_subject(now=NOW), **changes)  # type: ignore[arg-type]
    return replace(sample(NoticeKind.FAILED, now=NOW), subjects=(subject,))


def test_a_failure_answers_all_questions_of_the_night() -> None:
    assert text(failed()).splitlines() == [
        "Job 100-0: replication of guest 100 web from alpha to beta failed for the 2nd time in a row.",
        "",
        "What happened: Node beta does not answer on port 22. (class: network)",
        "Failing since: 2027-01-15 07:28:00 (32 minutes ago)",
        "If alpha died now: guest 100 web would fall back to 2027-01-15 07:23:00 "
        "(37 minutes ago; promised: 30 minutes)."
        " The promise is broken.",
        "Next try: 2027-01-15 08:05:00 (in 5 minutes)",
        "What to do: Check that the node is up and its SSH port answers; zsr probes it every minute.",
        "Log of the run: zsr log 100-0 --run 673",
        "",
        "Sent by zsr on alpha; times are in UTC.",
    ]


def test_a_promise_that_still_holds_is_not_called_broken() -> None:
    assert "broken" not in text(failed(rpo=7200.0))


def test_a_guest_without_a_replica_is_called_so() -> None:
    assert "guest 100 web would be lost; there is no replica on beta yet" in text(failed(last_sync=None))


def test_a_message_that_comes_late_says_so() -> None:
    late = text(failed(), reader=RenderContext(NOW + 3600, UTC))
    assert "This message comes late: it happened 2027-01-15 08:00:00 (1 hour ago)." in late


def test_times_are_those_of_the_readers_zone() -> None:
    local = text(failed(), reader=RenderContext(NOW, ZoneInfo("Europe/Vienna")))
    assert "Failing since: 2027-01-15 08:28:00" in local
    assert "times are in CET" in local


def test_the_all_clear_says_how_long_how_often_and_how_bad() -> None:
    assert text(sample(NoticeKind.RECOVERED, now=NOW)).splitlines()[2:8] == [
        "Last sync: 2027-01-15 07:23:00 (37 minutes ago)",
        "Had been failing: since 2027-01-15 07:28:00, for 32 minutes",
        "Failed runs: 2",
        "Oldest the replica was: 40 minutes (promised: 30 minutes)",
        "",
        "There is nothing to do.",
    ]


def test_a_lost_replica_says_what_was_there_what_is_at_stake_and_what_happens_now() -> None:
    assert text(sample(NoticeKind.REPLICA_LOST, now=NOW)).splitlines() == [
        "Job 100-0: replication of guest 100 web from alpha to beta found no complete replica on the target any more.",
        "",
        "What was there: a copy that was 40 minutes old",
        "If alpha died now: guest 100 web would be lost; there is no replica on beta any more",
        "Next try: 2027-01-15 08:05:00 (in 5 minutes)",
        "Log of the run: zsr log 100-0 --run 673",
        "",
        "zsr sends a new full copy by itself. Find out on the target what removed the replica (zpool history), before "
        "the next one goes the same way.",
        "",
        "Sent by zsr on alpha; times are in UTC.",
    ]


def test_vanished_volumes_are_reported_with_their_replicas_and_how_to_destroy_them() -> None:
    shown = text(sample(NoticeKind.VOLUMES_VANISHED, now=NOW))
    assert "Job 100-0, on beta: tank/vm-100-disk-1" in shown.splitlines()
    assert "zsr keeps these replicas for the job's grace" in shown
    assert "zsr vanished destroy" in shown


def test_the_end_of_a_grace_is_reported_with_how_to_keep_the_replicas() -> None:
    shown = text(sample(NoticeKind.GRACE_ENDING, now=NOW))
    assert "Job 100-0, on beta: tank/vm-100-disk-1, destroyed in 1 day" in shown.splitlines()
    assert "zsr update JOB --grace never" in shown


def test_a_frozen_guest_is_reported_with_the_command_that_thaws_it() -> None:
    shown = text(sample(NoticeKind.GUEST_FROZEN, now=NOW))
    assert "from alpha to beta froze the guest for a snapshot and could not thaw it." in shown
    assert "Thaw it now: thaw-web" in shown.splitlines()
    assert "zsr tries again every minute." in shown


def test_the_all_clear_of_a_frozen_guest_says_how_long_it_stood_still() -> None:
    shown = text(sample(NoticeKind.GUEST_THAWED, now=NOW))
    assert "Had been frozen: since 2027-01-15 07:28:00, for 32 minutes" in shown


def test_the_all_clear_of_a_lost_replica_says_how_long_there_was_none() -> None:
    shown = text(sample(NoticeKind.REPLICA_BACK, now=NOW))
    assert "Had been without a copy: since 2027-01-15 07:28:00, for 32 minutes" in shown
    assert "There is nothing to do." in shown


def test_a_list_of_lost_replicas_says_of_each_that_there_is_none_any_more() -> None:
    shown = text(sample(NoticeKind.REPLICA_LOST, jobs=3, now=NOW))
    assert "- 101 mail: nothing, there is no replica any more [job 101-0 to beta]" in shown.splitlines()


def test_200_jobs_are_a_list_that_ends() -> None:
    shown = text(sample(NoticeKind.TARGET_UNREACHABLE, jobs=200, now=NOW))
    assert shown.count("\n- ") == 21
    assert "- 100 web: 2027-01-15 07:23:00 (37 minutes ago) [job 100-0 to beta, promised: 30 minutes; " in shown
    assert "- and 180 more: zsr status shows all" in shown


@pytest.mark.parametrize(
    ("kind", "jobs", "words"),
    [
        (NoticeKind.FAILED, 1, "Guest 100 web: replication failed (network), to beta"),
        (NoticeKind.FAILED, 2, "Guests 100 and 101: replication failed (network), to beta"),
        (NoticeKind.FAILED, 200, "Guests 100, 101 and 198 more: replication failed (network), to beta"),
        (NoticeKind.STILL_FAILING, 1, "Guest 100 web: replication still fails (network), to beta"),
        (NoticeKind.RECOVERED, 1, "Guest 100 web: replication recovered, to beta"),
        (NoticeKind.RPO_BREACHED, 1, "Guest 100 web: promise broken, copy on beta too old"),
        (NoticeKind.REPLICA_LOST, 1, "Guest 100 web: replica lost, gone from beta"),
        (NoticeKind.REPLICA_LOST, 2, "Guests 100 and 101: replicas lost, gone from beta"),
        (NoticeKind.REPLICA_BACK, 1, "Guest 100 web: copied in full again, to beta"),
        (NoticeKind.VOLUMES_VANISHED, 1, "Guest 100 web: volumes are gone, replicas stay on beta"),
        (NoticeKind.GUEST_FROZEN, 1, "Guest 100 web: may be frozen, thaw failed"),
        (NoticeKind.GUEST_FROZEN, 2, "Guests 100 and 101: may be frozen, thaw failed"),
        (NoticeKind.GUEST_THAWED, 1, "Guest 100 web: thawed"),
        (NoticeKind.REMOVAL_STUCK, 1, "Guest 100 web: removal is stuck (network), on beta"),
        (NoticeKind.TARGET_UNREACHABLE, 200, "Node beta is unreachable: guests 100, 101 and 198 more"),
        (NoticeKind.TARGET_BACK, 0, "Node beta is back, seen from alpha"),
        (NoticeKind.SETTINGS_REJECTED, 0, "Settings of alpha are rejected: zsr.toml"),
        (NoticeKind.NODES_DISAGREE, 0, "alpha and beta disagree on who owns what"),
        (NoticeKind.FILES_DIFFER, 0, "The cluster files of alpha and beta differ"),
        (NoticeKind.FILES_ALIKE, 0, "alpha has the cluster file of the other nodes again"),
        (NoticeKind.UNDELIVERED, 0, "Messages to 'phone' do not arrive, from alpha"),
        (NoticeKind.RECOVERED, 0, "Messages to '' arrive again, from alpha"),
        (NoticeKind.DIGEST, 12, "1 of 12 jobs not well on alpha: guest 100 web"),
    ],
)
def test_the_title_says_which_guest_and_what(kind: NoticeKind, jobs: int, words: str) -> None:
    assert title(sample(kind, jobs=jobs, now=NOW)) == words


@given(
    name=st.text(max_size=80),
    target=st.text(min_size=1, max_size=80),
    numbers=st.lists(st.integers(100, 999_999_999), min_size=1, max_size=5, unique=True),
    kind=st.sampled_from([NoticeKind.FAILED, NoticeKind.STILL_FAILING, NoticeKind.RECOVERED]),
)
def test_the_first_characters_of_a_title_always_say_guest_and_what(
    name: str, target: str, numbers: list[int], kind: NoticeKind
) -> None:
    subjects = tuple(replace(sample_subject(now=NOW), guest=n, guest_name=name, target=target) for n in numbers)
    shown = title(replace(sample(kind, now=NOW), subjects=subjects))[:TITLE_SEEN]
    assert shown.startswith(f"Guest{'s' if len(numbers) > 1 else ''} {numbers[0]}")
    assert "fail" in shown or "recovered" in shown
    assert shown.isprintable()


@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("jobs", [0, 1, 30])
def test_every_kind_has_words_in_every_format(kind: NoticeKind, form: Form, jobs: int) -> None:
    rendered = RENDERER.render(sample(kind, jobs=jobs, now=NOW), form, READER)
    assert rendered.title
    assert rendered.body.strip()
    assert "None" not in rendered.body


def test_a_digest_says_lag_bytes_longest_run_and_restore_points() -> None:
    shown = text(sample(NoticeKind.DIGEST, jobs=3, now=NOW)).splitlines()
    assert shown[:6] == [
        "alpha from 2027-01-14 08:00:00 to 2027-01-15 08:00:00: 2 of 3 jobs are well.",
        "",
        "Runs: 288, 4 of them failed",
        "Sent: 1.3 GiB",
        "Longest run: 2 minutes, 100 web",
        "Oldest restore point: 2027-01-11 08:00:00, 100 web",
    ]
    assert shown[8] == (
        "- 100 web: error, 37 minutes old, promised 30 minutes "
        "[job 100-0 to beta · 96 runs, 4 failed · 1.2 GiB · longest 2 minutes · history 4 days]"
    )


def test_line_breaks_in_names_and_errors_forge_no_line_and_no_header() -> None:
    forged = failed(guest_name="web\r\nBcc: all@example.org", message="broken\nWhat to do: nothing")
    assert "\n" not in title(forged)
    assert "\nBcc" not in text(forged)
    assert text(forged).count("\nWhat to do:") == 1


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def tags(body: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(body)
    return parser.seen


def test_names_and_errors_are_no_html() -> None:
    body = text(failed(guest_name="<b>web</b>", message="<script>alert(1)</script>"), Form.HTML)
    assert not {"script", "b"} & {tag for tag, _ in tags(body)}
    assert "&lt;script&gt;" in body


def test_names_and_errors_are_no_markdown() -> None:
    assert r"\*web\*\_x" in text(failed(guest_name="*web*_x"), Form.MARKDOWN)


def test_html_loads_nothing_from_elsewhere() -> None:
    body = text(sample(NoticeKind.DIGEST, jobs=12, now=NOW), Form.HTML)
    assert not {"img", "script", "link", "iframe"} & {tag for tag, _ in tags(body)}
    assert "http" not in body


@pytest.mark.parametrize(
    ("jobs", "address"),
    [
        (1, "https://grafana.example.org/d/zsr-guest?var-guest=100"),
        (2, "https://grafana.example.org/d/zsr-replication"),
    ],
)
def test_links_lead_to_the_page_and_to_the_dashboard_of_what_it_is_about(jobs: int, address: str) -> None:
    reader = RenderContext(NOW, UTC, page="https://alpha.example.org/", dashboard="https://grafana.example.org/")
    body = text(sample(NoticeKind.FAILED, jobs=jobs, now=NOW), Form.HTML, reader)
    assert [attributes["href"] for tag, attributes in tags(body) if tag == "a"] == [
        "https://alpha.example.org/",
        address,
    ]


def test_the_dashboards_are_those_that_there_are() -> None:
    assert (REPLICATION, GUEST) == (layout.REPLICATION, layout.GUEST)


def test_a_reader_of_few_rows_is_given_few() -> None:
    few = text(sample(NoticeKind.DIGEST, jobs=30, now=NOW), reader=RenderContext(NOW, UTC, rows=3))
    assert "- and 27 more" in few


def test_a_subject_of_which_little_is_known_has_words_too() -> None:
    bare = Subject(sample_subject(now=NOW).job, 100, "", "alpha", "beta")
    for kind in NoticeKind:
        assert text(replace(sample(kind, now=NOW), subjects=(bare,), digest=None, foreign=None))
