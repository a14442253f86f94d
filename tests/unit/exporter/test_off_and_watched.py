"""The series of jobs for which nothing is promised, and of targets that run no zsr."""

from __future__ import annotations

from dataclasses import replace

from tests.support.state_stories import scrape
from tests.support.statuses import DAY, LOOK, NOW, every_state, healthy, status


def test_since_when_a_job_is_disabled_or_being_removed_is_there_only_while_it_is() -> None:
    found = {
        name: time for name, time in scrape(status(*every_state())).items() if "d_since_" in name or "l_since_" in name
    }
    assert found == {
        'zsr_job_disabled_since_timestamp_seconds{zsr_job="104-0"}': NOW - DAY,
        'zsr_job_removal_since_timestamp_seconds{zsr_job="105-0"}': NOW - 60,
    }


def test_a_target_without_zsr_has_series_of_what_its_source_saw_last_and_none_after_a_look_that_failed() -> None:
    alone = status(healthy())
    found = scrape(replace(alone, targets={"delta": LOOK}))
    assert {name: number for name, number in found.items() if name.startswith("zsr_target_")} == {
        'zsr_target_replica_last_sync_timestamp_seconds{node="delta",guest="100",source="alpha",storage="tank"}': NOW
        - 60,
        'zsr_target_diverged_volumes{node="delta",guest="100"}': 1,
        'zsr_target_pool_size_bytes{node="delta",pool="tank",role="target"}': 100,
        'zsr_target_pool_free_bytes{node="delta",pool="tank",role="target"}': 70,
    }
    assert not [name for name in scrape(alone) if name.startswith("zsr_target_")]
