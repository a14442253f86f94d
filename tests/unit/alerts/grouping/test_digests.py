"""What a digest says of volumes and guests that no job replicates."""

from __future__ import annotations

from dataclasses import replace

from alerts.grouping.digests import MOST_NAMES, digest
from alerts.grouping.notices import NoticeSource
from alerts.routing.routes import Match
from replicator.api.coverage import Gap, GuestCoverage, UncoveredVolume
from replicator.api.job_status import Disablement, JobStatus
from replicator.job_choices import Removal
from replicator.models import GuestId, JobCondition, JobId
from tests.support.statuses import NOW, disabled, healthy, status

JOB = JobId(100, 0)


def text(coverage: dict[GuestId, GuestCoverage], match: Match | None = None) -> list[str]:
    """The sentences of a digest next to its lines."""
    found = replace(status(healthy("100-0")), coverage=coverage)
    return digest(found, {}, NOW - 60, match or Match(), NoticeSource("alpha", "mail", 1)).text.splitlines()


def left_out(*names: str, reason: Gap = Gap.NOT_LISTED) -> GuestCoverage:
    return GuestCoverage("web", (JOB,), tuple(UncoveredVolume(name, reason) for name in names))


def test_a_node_whose_guests_are_all_covered_has_nothing_to_say() -> None:
    assert text({100: left_out()}) == []


def test_volumes_and_guests_are_named() -> None:
    excluded = left_out("t/c", reason=Gap.EXCLUDED)
    assert text({100: left_out("t/a", "t/b"), 101: excluded, 102: GuestCoverage("mail", ())}) == [
        "1 guest has no job: 102 mail.",
        "2 volumes are not replicated: t/a, t/b.",
        "1 volume is excluded by the settings: t/c.",
    ]


def test_a_promise_of_more_than_a_week_is_named() -> None:
    weak = replace(healthy("100-0"), rpo=14 * 86_400.0)
    found = digest(status(weak, healthy("101-0")), {}, NOW - 60, Match(), NoticeSource("alpha", "mail", 1))
    assert found.text == "Promises of more than 7 days: 100-0. Nothing warns before that."


def test_of_many_only_the_first_are_named() -> None:
    [line] = text({100: left_out(*(f"t/{number}" for number in range(MOST_NAMES + 2)))})
    assert line.endswith("t/5 and 2 more (zsr coverage).")


def test_a_route_of_other_guests_or_of_single_jobs_does_not_say_it() -> None:
    known: dict[GuestId, GuestCoverage] = {100: left_out("t/a")}
    assert text(known, Match(guest=frozenset({100}))) == ["1 volume is not replicated: t/a."]
    assert text(known, Match(guest=frozenset({101}))) == []
    assert text(known, Match(target=frozenset({"beta"}))) == []


def sentences(*jobs: JobStatus) -> list[str]:
    return digest(status(*jobs), {}, NOW - 60, Match(), NoticeSource("alpha", "mail", 1)).text.splitlines()


def test_disabled_jobs_are_named_with_their_time_the_longest_first() -> None:
    short, half = disabled("101-0"), disabled("102-0")
    half = replace(half, state=replace(half.state, disabled_since=NOW - 7200, resume_pending=True))
    assert sentences(half, healthy("100-0"), short) == [
        "2 jobs are disabled: 101-0 (for 1 d), 102-0 (for 2 h, a half-received state waits on beta)."
    ]


def test_a_removal_that_waits_is_named() -> None:
    waiting = disabled("101-0")
    waiting = replace(waiting, job=replace(waiting.job, removal=Removal.FULL), condition=JobCondition.REMOVING)
    assert sentences(healthy("100-0"), waiting) == [
        "1 removal waits because the job is disabled: 101-0 (for 1 d). They go on after: zsr enable."
    ]


def test_of_many_disabled_jobs_it_names_the_first_and_where_the_others_are() -> None:
    jobs = [disabled(f"{100 + number}-0") for number in range(8)]
    (line,) = sentences(*jobs)
    assert line.startswith("8 jobs are disabled: 100-0 (for 1 d), ")
    assert line.endswith("105-0 (for 1 d) and 2 more (zsr status).")


def test_it_says_with_which_node_a_job_is_disabled_and_for_how_long_yet() -> None:
    job = disabled("101-0")
    job = replace(job, job=replace(job.job, disabled=False), disablement=Disablement(NOW + 3600, "beta"))
    assert sentences(job) == ["1 job is disabled: 101-0 (for 1 d, with node beta, for another 1 h)."]
