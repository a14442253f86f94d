"""Notices of broken promises, silent nodes and rejected settings: one when it lasts, one when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from alerts.grouping.conditions import (
    REPEAT_INTERVAL_SECONDS,
    REPORT_AFTER_SECONDS,
    SILENT_AFTER_SECONDS,
    Condition,
    evaluate_conditions,
    mention,
    revert_reported,
)
from alerts.grouping.grouping import Incident
from alerts.grouping.notices import NoticeSource, subject_now
from alerts.notice import Notice, NoticeKind, Severity
from alerts.routing.routes import Match
from replicator.api.disagreement import Disagreement, Dispute
from replicator.api.job_status import JobStatus
from replicator.api.status import ConfigStatus
from tests.support import statuses

NOW, DAY = statuses.NOW, statuses.DAY


@dataclass
class Watcher:
    """A target that evaluates the conditions again and again, and keeps its notices."""

    conditions: Mapping[str, Condition] = field(default_factory=dict)
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    match: Match = field(default_factory=Match)
    answered: set[str] = field(default_factory=set)
    every_promise: bool = False
    reported: list[Notice] = field(default_factory=list)

    def look(
        self,
        now: float,
        *jobs: JobStatus,
        reachable: bool = True,
        problems: tuple[str, ...] = (),
        disagreements: tuple[Disagreement, ...] = (),
    ) -> list[NoticeKind]:
        config = ConfigStatus(ok=not problems, last_success=NOW, problems=problems)
        status = statuses.status(*jobs, now=now, reachable={"beta": reachable}, config=config)
        notices, self.conditions = evaluate_conditions(
            replace(status, disagreements=disagreements),
            self.conditions,
            self.incidents,
            self.match,
            NoticeSource("alpha", "mail", len(self.reported)),
            self.answered,
            every_promise=self.every_promise,
        )
        self.reported += notices
        return [notice.kind for notice in notices]


def late(job: str = "100-0") -> JobStatus:
    well = statuses.healthy(job)
    return replace(well, state=replace(well.state, last_sync=NOW - 5400))


class TestAPromise:
    def test_that_is_broken_is_reported_once_when_it_lasts_and_once_when_it_is_kept_again(self) -> None:
        watcher = Watcher()
        assert watcher.look(NOW, late()) == []
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, late()) == [NoticeKind.RPO_BREACHED]
        assert watcher.look(NOW + 5000, late()) == []
        assert watcher.look(NOW + 6000, statuses.healthy(now=NOW + 6000)) == [NoticeKind.RPO_KEPT]
        assert watcher.look(NOW + 6060, statuses.healthy(now=NOW + 6000)) == []
        breach, kept = watcher.reported
        assert (breach.severity, breach.thread, kept.closes) == (Severity.CRITICAL, kept.thread, True)
        assert kept.subjects[0].worst_lag == 5400 + 5000

    def test_that_is_kept_again_when_a_failure_ends_is_reported_by_its_all_clear_only(self) -> None:
        watcher = Watcher(incidents={"100-0": Incident(reported=NOW - 5000)}, answered={"100-0"})
        watcher.look(NOW, late())
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, late()) == [NoticeKind.RPO_BREACHED]
        assert watcher.look(NOW + 600, statuses.healthy(now=NOW + 600)) == []
        watcher.answered = set()
        assert watcher.look(NOW + 660, statuses.healthy(now=NOW + 600)) == []

    def test_of_a_job_that_is_only_observed_is_forgotten_with_the_job(self) -> None:
        watcher, jobs = Watcher(), (late("pvesr:100-0"), late("zfs:tank/data"))
        watcher.look(NOW, *jobs)
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, *jobs) == [NoticeKind.RPO_BREACHED]
        watcher.look(NOW + 5000, jobs[0])
        assert [name for name in watcher.conditions if "tank" in name] == []
        watcher.look(NOW + 5060)
        assert watcher.conditions == {}

    def test_that_is_kept_again_soon_is_not_reported(self) -> None:
        watcher = Watcher()
        watcher.look(NOW, late())
        watcher.look(NOW + 60, statuses.healthy(now=NOW + 60))
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, late()) == []

    def test_of_two_hundred_jobs_is_one_message(self) -> None:
        jobs = [late(f"{guest}-0") for guest in range(100, 300)]
        watcher = Watcher()
        watcher.look(NOW, *jobs)
        watcher.look(NOW + REPORT_AFTER_SECONDS, *jobs)
        assert [len(notice.subjects) for notice in watcher.reported] == [200]

    def test_that_breaks_soon_after_another_of_its_node_waits_for_more(self) -> None:
        watcher = Watcher()
        watcher.look(NOW, late())
        watcher.look(NOW + REPORT_AFTER_SECONDS, late())
        watcher.look(NOW + 2 * REPORT_AFTER_SECONDS, late(), late("101-0"))
        assert watcher.look(NOW + 3 * REPORT_AFTER_SECONDS, late(), late("101-0")) == []
        assert watcher.look(NOW + REPORT_AFTER_SECONDS + REPEAT_INTERVAL_SECONDS, late(), late("101-0")) == [
            NoticeKind.RPO_BREACHED
        ]

    def test_of_a_job_to_a_node_that_is_known_to_be_silent_is_reported_and_says_so(self) -> None:
        watcher = Watcher(incidents={"100-0": Incident(reported=NOW, node="beta")})
        watcher.look(NOW, late(), reachable=False)
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, late(), reachable=False) == [NoticeKind.RPO_BREACHED]
        assert watcher.reported[0].text == "Node beta does not answer alpha."

    def test_that_a_critical_message_about_failures_has_named_is_not_reported_again_and_a_warning_counts_for_nothing(
        self,
    ) -> None:
        for severity, reported in ((Severity.CRITICAL, []), (Severity.WARNING, [NoticeKind.RPO_BREACHED])):
            watcher = Watcher()
            watcher.look(NOW, late())
            failure = Notice("k", NoticeKind.FAILED, severity, NOW, "alpha", "t", subjects=(subject_now(late()),))
            watcher.conditions = mention(failure, watcher.conditions, NOW)
            assert watcher.look(NOW + REPORT_AFTER_SECONDS, late()) == reported

    def test_that_was_named_by_a_message_that_was_given_up_is_reported(self) -> None:
        watcher = Watcher()
        watcher.look(NOW, late())
        failure = Notice("k", NoticeKind.FAILED, Severity.CRITICAL, NOW, "alpha", "t", subjects=(subject_now(late()),))
        watcher.conditions = revert_reported(failure, mention(failure, watcher.conditions, NOW))
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, late()) == [NoticeKind.RPO_BREACHED]

    def test_whose_message_was_given_up_is_reported_again(self) -> None:
        watcher = Watcher()
        watcher.look(NOW, late())
        watcher.look(NOW + REPORT_AFTER_SECONDS, late())
        watcher.conditions = revert_reported(watcher.reported[0], watcher.conditions)
        assert watcher.look(NOW + DAY, late()) == [NoticeKind.RPO_BREACHED]

    def test_that_another_message_names_of_each_is_reported_where_the_receiver_sorts_them_out(self) -> None:
        watcher = Watcher(every_promise=True)
        watcher.look(NOW, late())
        failure = Notice("k", NoticeKind.FAILED, Severity.CRITICAL, NOW, "alpha", "t", subjects=(subject_now(late()),))
        watcher.conditions = mention(failure, watcher.conditions, NOW)
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, late(), late("101-0")) == [NoticeKind.RPO_BREACHED]
        jobs = (late(), late("101-0"), late("102-0"))
        watcher.look(NOW + REPORT_AFTER_SECONDS + 60, *jobs)
        assert watcher.look(NOW + 2 * REPORT_AFTER_SECONDS + 60, *jobs) == [NoticeKind.RPO_BREACHED]

    def test_that_broke_since_the_last_look_began_then_and_not_now(self) -> None:
        watcher, job = Watcher(), statuses.healthy()
        job = replace(job, state=replace(job.state, last_sync=NOW - job.rpo - 59))
        watcher.look(NOW, job)
        assert watcher.look(NOW - 59 + REPORT_AFTER_SECONDS, job) == [NoticeKind.RPO_BREACHED]

    def test_is_not_given_by_a_job_that_is_off_or_is_sent_for_the_first_time(self) -> None:
        first = statuses.first_copy(age=DAY)
        watcher = Watcher()
        for now in (NOW, NOW + REPORT_AFTER_SECONDS):
            assert watcher.look(now, first, statuses.disabled("101-0"), statuses.removing("102-0")) == []

    def test_of_a_job_that_the_route_is_not_about_is_not_reported(self) -> None:
        watcher = Watcher(match=Match(guest=frozenset({101})))
        watcher.look(NOW, late())
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, late()) == []

    def test_is_broken_by_a_lost_replica_whatever_is_being_sent(self) -> None:
        watcher = Watcher()
        watcher.look(NOW, statuses.lost())
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, statuses.lost()) == [NoticeKind.RPO_BREACHED]


class TestASilentNode:
    def test_is_reported_once_and_once_when_it_is_back(self) -> None:
        watcher, job = Watcher(), replace(statuses.healthy(now=NOW), rpo=6000.0)
        assert watcher.look(NOW, job, reachable=False) == []
        assert watcher.look(NOW + SILENT_AFTER_SECONDS, job, reachable=False) == [NoticeKind.TARGET_UNREACHABLE]
        assert watcher.look(NOW + 900, job, reachable=False) == []
        assert watcher.look(NOW + 960, job) == [NoticeKind.TARGET_BACK]
        assert watcher.reported[0].thread == watcher.reported[1].thread

    def test_that_reboots_is_not_reported(self) -> None:
        watcher, job = Watcher(), replace(statuses.healthy(now=NOW), rpo=6000.0)
        watcher.look(NOW, job, reachable=False)
        assert watcher.look(NOW + 300, job, reachable=False) == []
        assert watcher.look(NOW + 360, job) == []

    def test_whose_jobs_failures_were_reported_is_not_reported_again(self) -> None:
        watcher, job = Watcher(incidents={"100-0": Incident(reported=NOW, node="beta")}), statuses.healthy()
        watcher.look(NOW, job, reachable=False)
        assert watcher.look(NOW + SILENT_AFTER_SECONDS, job, reachable=False) == []

    def test_to_which_nothing_is_replicated_is_not_reported(self) -> None:
        watcher = Watcher()
        watcher.look(NOW, reachable=False)
        assert watcher.look(NOW + SILENT_AFTER_SECONDS, reachable=False) == []


class TestSettings:
    def test_that_are_rejected_are_reported_with_what_is_wrong_and_again_when_they_are_accepted(self) -> None:
        watcher = Watcher()
        assert watcher.look(NOW, problems=("node: wrong",)) == []
        assert watcher.look(NOW + REPORT_AFTER_SECONDS, problems=("node: wrong",)) == [NoticeKind.SETTINGS_REJECTED]
        assert watcher.look(NOW + 900) == [NoticeKind.SETTINGS_ACCEPTED]
        assert watcher.reported[0].text == "node: wrong"


class TestNodesThatDisagree:
    def test_are_reported_at_once_where_no_edit_explains_it_and_again_when_they_agree(self) -> None:
        watcher, since = Watcher(), NOW - 300
        owned = Disagreement("beta", Dispute.OWNER, "guest 100 is owned twice", since)
        assert watcher.look(NOW - 60, disagreements=(owned,)) == []
        assert watcher.look(NOW, disagreements=(owned,)) == [NoticeKind.NODES_DISAGREE]
        assert watcher.look(NOW + 60, disagreements=(owned,)) == []
        assert watcher.look(NOW + 120) == [NoticeKind.NODES_AGREE]
        first, last = watcher.reported
        assert (first.about, first.text, first.severity) == ("beta", "Guest 100 is owned twice.", Severity.CRITICAL)
        assert (last.thread, last.closes) == (first.thread, True)

    def test_only_on_other_facts_are_a_warning_after_a_quarter_of_an_hour(self) -> None:
        watcher, differ = Watcher(), Disagreement("beta", Dispute.FACTS, "the files differ", NOW)
        assert watcher.look(NOW + 899, disagreements=(differ,)) == []
        assert watcher.look(NOW + 900, disagreements=(differ,)) == [NoticeKind.FILES_DIFFER]
        assert watcher.look(NOW + 960) == [NoticeKind.FILES_ALIKE]
        assert watcher.reported[0].severity is Severity.WARNING


STEPS = st.lists(
    st.tuples(st.floats(-3600, 7200), st.sets(st.sampled_from(["100-0", "101-0"])), st.booleans(), st.booleans()),
    max_size=40,
)


@given(STEPS)
def test_every_trouble_that_was_reported_ends_in_exactly_one_all_clear_whatever_the_clock_does(
    steps: list[tuple[float, set[str], bool, bool]],
) -> None:
    watcher, now = Watcher(), NOW
    ends = [(REPEAT_INTERVAL_SECONDS, set[str](), True, True), (REPEAT_INTERVAL_SECONDS + 1, set[str](), True, True)]
    for gap, broken, reachable, accepted in [*steps, *ends]:
        now += gap
        jobs = [
            replace(well, state=replace(well.state, last_sync=now - 9000)) if name in broken else well
            for name in ("100-0", "101-0")
            for well in [statuses.healthy(name, now=now)]
        ]
        watcher.look(now, *jobs, reachable=reachable, problems=() if accepted else ("wrong",))
    assert watcher.conditions == {}
    opened = [
        notice.thread for notice in watcher.reported if notice.opens and notice.kind is not NoticeKind.RPO_BREACHED
    ]
    closed = [notice.thread for notice in watcher.reported if notice.closes and notice.kind is not NoticeKind.RPO_KEPT]
    assert sorted(opened) == sorted(closed)
    breached = [
        job.job for notice in watcher.reported if notice.kind is NoticeKind.RPO_BREACHED for job in notice.subjects
    ]
    kept = [job.job for notice in watcher.reported if notice.kind is NoticeKind.RPO_KEPT for job in notice.subjects]
    assert sorted(breached) == sorted(kept)
