"""Jobs of which a new state.db knows nothing although they replicated before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.daemon.health_check import HealthLevel, job_health
from replicator.daemon.status import is_forgotten
from replicator.daemon.status_json import job_json
from replicator.models import JobState, TargetPlace
from tests.support.statuses import NOW, first_copy, forgotten

MADE = NOW - 900.0
"""When state.db was made."""


def test_a_job_as_old_as_the_file_with_older_sets_on_its_source_was_forgotten() -> None:
    assert is_forgotten(JobState(created=MADE + 5), MADE - 3600, MADE)


@pytest.mark.parametrize(
    ("state", "oldest"),
    [
        (JobState(created=MADE + 5), None),
        (JobState(created=MADE + 5), MADE + 10),
        (JobState(created=MADE + 3600), MADE - 3600),
        (JobState(created=MADE + 5, last_sync=MADE - 3600), MADE - 3600),
        (JobState(created=MADE + 5, runs_succeeded=1), MADE - 3600),
        (JobState(created=MADE + 5, place=TargetPlace("beta", "", held=False)), MADE - 3600),
    ],
    ids=["a new job", "only its own first run", "a job that moved here", "proven", "lost since", "another target"],
)
def test_any_other_job_was_not(state: JobState, oldest: float | None) -> None:
    assert not is_forgotten(state, oldest, MADE)


def test_its_promise_counts_from_the_file_on_also_while_everything_is_sent_again() -> None:
    young, old = forgotten(age=60.0), forgotten(age=3600.0)
    assert not young.is_promise_broken(NOW)
    assert old.is_promise_broken(NOW)
    sending = first_copy(age=3600.0)
    assert not sending.is_promise_broken(NOW)
    assert replace(sending, forgotten=True).is_promise_broken(NOW)


@pytest.mark.parametrize(("age", "level"), [(60.0, HealthLevel.WARNING), (3600.0, HealthLevel.CRITICAL)])
def test_zsr_check_says_that_the_age_is_not_known(age: float, level: HealthLevel) -> None:
    found = job_health(job_json(forgotten(age=age), NOW), NOW, warn_at=0.8, promise_only=True)
    assert found.level is level
    assert "the age of the last copy is not known" in found.findings[0].text
