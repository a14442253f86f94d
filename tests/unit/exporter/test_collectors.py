"""The metrics of a status of the core."""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import replace

import pytest

from exporter.catalogue import CATALOGUE
from exporter.collectors import ScrapeInput, collect, collectors, scrape_input
from exporter.exposition import Format, render
from exporter.job_series import JobLines
from exporter.metric import Kind
from replicator.api.certificate import Certificate
from replicator.api.coverage import Gap, GuestCoverage, UncoveredVolume
from replicator.api.job_status import JobStatus
from replicator.api.plugin import PluginStore
from replicator.api.pvesr_jobs import PvesrJob, PvesrJobs
from replicator.api.status import GuestOwner, PluginEnds, Unmeasured
from replicator.errors import ErrorClass
from replicator.models import GuestId, Hook, JobId
from tests.support.drills import passed_drill
from tests.support.moved_guests import MOVED, MOVING
from tests.support.scraped import Series, of_job, scrape, value
from tests.support.state_records import gone
from tests.support.statuses import (
    LOOK,
    NOW,
    FakeCore,
    disabled,
    every_state,
    failing,
    forgotten,
    healthy,
    histogram,
    many,
    never_ran,
    status,
    syncing,
    unconfirmed,
    untidy,
    without_first_copy_on_new_target,
)

LABEL_NAME = re.compile(r"[a-z_][a-z0-9_]*")
METRIC_NAME = re.compile(r"zsr_[a-z][a-z0-9_]*")


@pytest.fixture
def everything() -> dict[Series, float]:
    picture = status(
        *every_state(), forgotten("106-0"), untidy(healthy("107-0"), NOW - 60), reachable={"beta": True, "gamma": False}
    )
    picture = replace(picture, frozen_since={100: NOW - 5}, hook_failures={100: {Hook.FREEZE: 0}})
    left = (UncoveredVolume("t/vm-100-disk-1", Gap.STORAGE),)
    picture = replace(picture, owners={100: GuestOwner("alpha", 1)}, coverage={100: GuestCoverage("web", (), left)})
    picture = replace(picture, vanished_jobs={JobId(999, 0): NOW - 60}, unmeasured={JobId(103, 0): Unmeasured.ZFS})
    picture = replace(picture, same_machine={"gamma": "beta"}, unknown_guests=(), failed_freezes={100: 0})
    drill, certificate = replace(passed_drill(), clones_since=NOW - 60), Certificate("node.crt", 0, NOW)
    picture = replace(picture, drills=(drill,), moves=(MOVED,), moving=(MOVING,), certificates=(certificate,))
    picture = replace(picture, targets={"delta": LOOK}, unreported=(), plugins={"notify": PluginEnds(2, NOW, "")})
    return scrape(picture, '{"mail": {"success": 2, "failure": 1}}', '{"mail": true}')


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_names_help_and_units_follow_the_conventions(metric: object) -> None:
    (found,) = [each for each in CATALOGUE if each is metric]
    assert METRIC_NAME.fullmatch(found.name)
    assert all(LABEL_NAME.fullmatch(label) for label in found.labels)
    assert not {"job", "instance", "le"} & set(found.labels)
    assert found.name.endswith("_total") == (found.kind is Kind.COUNTER)
    assert found.name.endswith("_info") == (found.kind is Kind.INFO)
    assert found.help.endswith(".")
    assert "\n" not in found.help
    assert ("timestamp" in found.name) == found.name.endswith("_timestamp_seconds")


def test_every_metric_of_the_catalogue_has_a_series_somewhere(everything: dict[Series, float]) -> None:
    seen = {re.sub("_(bucket|count|sum)$", "", name) if "duration_seconds_" in name else name for name, _ in everything}
    assert {metric.name for metric in CATALOGUE} <= seen


def test_only_metrics_of_the_catalogue_and_of_the_process_are_exported() -> None:
    exported = {family.metric.name for family in collect(ScrapeInput(status(*every_state())))}
    assert {name for name in exported if not name.startswith("process_")} == {metric.name for metric in CATALOGUE}


def test_no_created_series_are_exported(everything: dict[Series, float]) -> None:
    assert not [name for name, _ in everything if name.endswith("_created")]


@pytest.mark.parametrize("job", every_state(), ids=lambda job: job.condition.value)
def test_a_job_is_in_exactly_one_state(job: JobStatus) -> None:
    found = scrape(status(job))
    states = {dict(labels)["state"]: number for (name, labels), number in found.items() if name == "zsr_job_state"}
    assert len(states) == 6
    assert [state for state, number in states.items() if number == 1] == [job.condition.value]
    assert sum(states.values()) == 1


def test_a_job_has_exactly_49_series_at_most() -> None:
    busiest = syncing("100-0")
    busiest = replace(busiest, state=replace(busiest.state, resume_pending=True, consecutive_failures=2))
    busiest = replace(busiest, state=replace(busiest.state, replaced_at=NOW - 5, went_back_at=NOW - 5))
    assert len(of_job(scrape(status(replace(busiest, grace_end=NOW + 60))), "100-0")) == 49


def test_since_when_a_job_is_disabled_or_being_removed_is_there_only_while_it_is() -> None:
    found = scrape(status(*every_state()))
    for name, job, since in (("disabled", "104-0", NOW - 86_400), ("removal", "105-0", NOW - 60)):
        metric = f"zsr_job_{name}_since_timestamp_seconds"
        assert [(dict(labels)["zsr_job"], time) for (of, labels), time in found.items() if of == metric] == [
            (job, since)
        ]


def test_vanished_volumes_are_counted_from_zero() -> None:
    job = healthy("101-0")
    keeping = replace(job, state=replace(job.state, vanished=gone("tank/one", "tank/two")))
    found = scrape(status(healthy("100-0"), keeping))
    name = "zsr_job_volumes_vanished"
    assert {dict(labels)["zsr_job"]: number for (each, labels), number in found.items() if each == name} == {
        "100-0": 0,
        "101-0": 2,
    }


def test_the_end_of_a_grace_is_absent_until_there_is_one() -> None:
    found = scrape(status(healthy("100-0"), replace(healthy("101-0"), grace_end=NOW + 60)))
    name = "zsr_job_vanished_grace_end_timestamp_seconds"
    assert {dict(labels)["zsr_job"]: number for (each, labels), number in found.items() if each == name} == {
        "101-0": NOW + 60
    }


def test_a_claim_is_confirmed_but_after_an_edit_and_before_the_first_copy_on_the_new_target() -> None:
    jobs = (healthy("100-0"), never_ran("101-0"), unconfirmed("102-0"), without_first_copy_on_new_target("103-0"))
    found = scrape(status(*jobs))
    name = "zsr_job_claim_confirmed"
    assert {dict(labels)["zsr_job"]: number for (each, labels), number in found.items() if each == name} == {
        "100-0": 1,
        "101-0": 1,
        "102-0": 0,
        "103-0": 0,
    }


def test_a_conflict_with_proxmox_ve_is_absent_where_it_is_not_known() -> None:
    known = PvesrJobs((PvesrJob(JobId(101, 0), "beta"),))
    jobs = (healthy("100-0"), healthy("101-0"))
    for pvesr, wanted in ((known, {"100-0": 0, "101-0": 1}), (replace(known, problem="damaged."), {"101-0": 1})):
        found = scrape(replace(status(*jobs), pvesr=pvesr))
        name = "zsr_job_foreign_tool_conflict"
        assert {dict(labels)["zsr_job"]: number for (each, labels), number in found.items() if each == name} == wanted


@pytest.mark.parametrize("job", every_state(), ids=lambda job: job.condition.value)
def test_no_job_has_more_than_50_series(job: JobStatus) -> None:
    assert len(of_job(scrape(status(job)), str(job.job.id))) <= 50


def test_outcomes_and_all_classes_of_error_start_at_zero() -> None:
    found = scrape(status(never_ran("100-0")))
    for outcome in ("success", "failure", "cancelled"):
        assert value(found, "zsr_job_runs_total", zsr_job="100-0", outcome=outcome) == 0
    for error_class in ErrorClass:
        assert value(found, "zsr_job_errors_total", zsr_job="100-0", **{"class": error_class.value}) == 0
    assert value(found, "zsr_job_sent_bytes_total", zsr_job="100-0") == 0
    assert value(found, "zsr_job_missed_runs_total", zsr_job="100-0") == 0


@pytest.mark.parametrize(
    "name",
    [
        "zsr_job_last_sync_timestamp_seconds",
        "zsr_job_last_try_timestamp_seconds",
        "zsr_job_run_start_timestamp_seconds",
        "zsr_job_last_duration_seconds",
        "zsr_job_last_sent_bytes",
        "zsr_job_transfer_bytes",
        "zsr_job_transfer_expected_bytes",
        "zsr_job_unreplicated_bytes",
    ],
)
def test_what_does_not_exist_yet_is_absent_and_not_zero(name: str) -> None:
    assert value(scrape(status(never_ran("100-0"))), name, zsr_job="100-0") is None


def test_a_job_that_never_comes_again_has_no_next_run() -> None:
    assert value(scrape(status(disabled("100-0"))), "zsr_job_next_run_timestamp_seconds", zsr_job="100-0") is None


def test_a_running_job_has_a_start_and_no_next_run_yet() -> None:
    found = scrape(status(syncing("100-0")))
    assert value(found, "zsr_job_run_start_timestamp_seconds", zsr_job="100-0") == NOW - 60
    assert value(found, "zsr_job_next_run_timestamp_seconds", zsr_job="100-0") is None


def test_a_transfer_has_its_bytes() -> None:
    found = scrape(status(syncing("100-0", done=250, expected=1000)))
    assert value(found, "zsr_job_transfer_bytes", zsr_job="100-0") == 250
    assert value(found, "zsr_job_transfer_expected_bytes", zsr_job="100-0") == 1000


def test_a_transfer_without_estimate_has_no_expectation() -> None:
    found = scrape(status(syncing("100-0", expected=None)))
    assert value(found, "zsr_job_transfer_bytes", zsr_job="100-0") is not None
    assert value(found, "zsr_job_transfer_expected_bytes", zsr_job="100-0") is None


def test_a_run_that_does_not_transfer_has_no_transfer_bytes() -> None:
    job = syncing("100-0")
    assert job.transfer is not None
    found = scrape(status(replace(job, transfer=replace(job.transfer, transferring=False))))
    assert value(found, "zsr_job_transfer_bytes", zsr_job="100-0") is None
    assert value(found, "zsr_job_run_start_timestamp_seconds", zsr_job="100-0") is not None


def test_a_failing_job_shows_how_often_and_why() -> None:
    found = scrape(status(failing("100-0", error_class=ErrorClass.NO_SPACE, consecutive=4)))
    assert value(found, "zsr_job_consecutive_failures", zsr_job="100-0") == 4
    assert value(found, "zsr_job_errors_total", zsr_job="100-0", **{"class": "no_space"}) == 4
    assert value(found, "zsr_job_errors_total", zsr_job="100-0", **{"class": "network"}) == 0


def test_a_scheduled_now_job_still_has_its_last_try() -> None:
    job = healthy("100-0")
    found = scrape(status(replace(job, state=replace(job.state, last_try=0.0))))
    assert value(found, "zsr_job_last_try_timestamp_seconds", zsr_job="100-0") == NOW - 300


def test_the_infos_carry_the_words() -> None:
    found = scrape(status(healthy("100-0", guest_name="web server", target="beta")))
    labels = {
        "zsr_job": "100-0",
        "guest": "100",
        "guest_name": "web server",
        "source": "alpha",
        "target": "beta",
        "schedule": "*/15",
    }
    assert value(found, "zsr_job_info", **labels) == 1


def test_a_job_whose_guest_is_unknown_is_still_there() -> None:
    found = scrape(status(replace(healthy("100-0"), guest=None)))
    assert value(found, "zsr_job_consecutive_failures", zsr_job="100-0") == 0


def test_a_job_that_is_gone_has_no_series() -> None:
    core = FakeCore(status(healthy("100-0"), healthy("101-0")))
    assert of_job(scrape(core.status()), "101-0")
    core.set_status(healthy("100-0"))
    assert not of_job(scrape(core.status()), "101-0")


def test_no_label_carries_a_message_or_a_time() -> None:
    job = failing("100-0", message="secret sentence")
    values = {text for _, labels in scrape(status(job)) for _, text in labels}
    assert not [text for text in values if "sentence" in text or str(int(NOW))[:5] in text]


def test_nodes_are_reachable_or_not(everything: dict[Series, float]) -> None:
    assert value(everything, "zsr_node_reachable", node="beta") == 1
    assert value(everything, "zsr_node_reachable", node="gamma") == 0


def test_a_guest_that_is_not_frozen_has_no_series_of_a_time_and_counts_each_hook_from_zero() -> None:
    failed: dict[GuestId, dict[Hook, int]] = {100: {Hook.FREEZE: 0, Hook.THAW: 0}, 101: {Hook.THAW: 4}}
    found = scrape(replace(status(), frozen_since={101: NOW - 90}, hook_failures=failed))
    name = "zsr_guest_frozen_since_timestamp_seconds"
    assert value(found, name, guest="101") == NOW - 90
    assert value(found, name, guest="100") is None
    counts = {(dict(labels)["guest"], dict(labels)["hook"]): number for (each, labels), number in found.items()
              if each == "zsr_hook_failures_total"}  # fmt: skip
    assert counts == {("100", "freeze"): 0, ("100", "thaw"): 0, ("101", "thaw"): 4}


def test_the_freezes_that_failed_are_counted_by_guest() -> None:
    found = scrape(replace(status(), failed_freezes={100: 0, 101: 3}))
    counts = [value(found, "zsr_guest_failed_freezes", guest=guest) for guest in ("100", "101", "102")]
    assert counts == [0, 3, None]


def test_a_guests_owner_and_epoch_are_those_of_the_cluster_file() -> None:
    found = scrape(replace(status(), owners={100: GuestOwner("alpha", 1), 101: GuestOwner("beta", 4)}))
    assert value(found, "zsr_guest_owner", guest="101", node="beta") == 1
    assert value(found, "zsr_guest_owner", guest="101", node="alpha") is None
    assert value(found, "zsr_guest_epoch", guest="100") == 1
    assert value(found, "zsr_guest_epoch", guest="101") == 4


def test_what_no_job_replicates_is_counted_by_guest_and_reason() -> None:
    left = tuple(UncoveredVolume(f"t/{number}", Gap.CHILD) for number in range(2))
    web = GuestCoverage("web", (JobId(100, 0),), (*left, UncoveredVolume("t/x", Gap.EXCLUDED)))
    found = scrape(replace(status(), coverage={100: web, 101: GuestCoverage("mail", ())}))
    name = "zsr_guest_uncovered_volumes"
    assert value(found, name, guest="100", reason="child") == 2
    assert value(found, name, guest="100", reason="excluded") == 1
    assert value(found, name, guest="100", reason="storage") is None
    assert [value(found, "zsr_guest_jobs", guest=guest) for guest in ("100", "101", "102")] == [1, 0, None]


def test_a_job_that_vanished_has_nothing_but_the_time_since_when() -> None:
    found = scrape(replace(status(), vanished_jobs={JobId(100, 0): NOW - 60}))
    assert value(found, "zsr_job_vanished_since_timestamp_seconds", zsr_job="100-0", guest="100") == NOW - 60
    assert len(of_job(found, "100-0")) == 1


def test_a_histogram_ends_with_everything() -> None:
    picture = replace(status(), durations={"success": histogram((2.0, 12.5, 1e9))})
    found = scrape(picture)
    assert value(found, "zsr_run_duration_seconds_bucket", outcome="success", le="5.0") == 1
    assert value(found, "zsr_run_duration_seconds_bucket", outcome="success", le="+Inf") == 3
    assert value(found, "zsr_run_duration_seconds_count", outcome="success") == 3
    assert value(found, "zsr_run_duration_seconds_sum", outcome="success") == 1e9 + 14.5


def test_an_outcome_that_was_never_seen_has_empty_buckets() -> None:
    found = scrape(replace(status(), durations={"success": histogram((2.0,))}))
    assert value(found, "zsr_run_duration_seconds_bucket", outcome="failure", le="5.0") == 0
    assert value(found, "zsr_run_duration_seconds_count", outcome="cancelled") == 0


def test_wrong_settings_are_seen() -> None:
    picture = status()
    found = scrape(replace(picture, config=replace(picture.config, ok=False)))
    assert value(found, "zsr_config_last_reload_successful") == 0


def test_notifications_are_counted_by_target_and_outcome(everything: dict[Series, float]) -> None:
    assert value(everything, "zsr_notifications_total", target="mail", outcome="success") == 2
    assert value(everything, "zsr_notifications_total", target="mail", outcome="failure") == 1


def test_a_target_that_never_failed_has_a_zero() -> None:
    found = scrape(status(), '{"mail": {}}')
    assert value(found, "zsr_notifications_total", target="mail", outcome="failure") == 0


def test_without_notifications_there_are_no_series_and_no_complaint() -> None:
    found = scrape(status())
    assert not [name for name, _ in found if name == "zsr_notifications_total"]
    assert value(found, "zsr_collector_success", collector="notifications") == 1


@pytest.mark.parametrize(
    "note", ["{", "[]", '{"mail": 3}', '{"mail": {"success": "2"}}', '{"mail": {"success": -1}}', '{"mail": null}']
)
def test_a_damaged_note_costs_its_own_metrics_only(note: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        found = scrape(status(healthy("100-0")), note)
    assert value(found, "zsr_collector_success", collector="notifications") == 0
    assert value(found, "zsr_collector_success", collector="jobs") == 1
    assert value(found, "zsr_job_consecutive_failures", zsr_job="100-0") == 0
    assert "notifications" in caplog.text
    assert "Traceback" in caplog.text


def test_notes_that_cannot_be_read_cost_their_own_metrics_only() -> None:
    class Broken(FakeCore):
        def memory(self, plugin: str) -> PluginStore:
            raise OSError("state.db is gone")

    broken = Broken(status(healthy("100-0")))
    families = collect(scrape_input(broken, broken.status()))
    success = next(family for family in families if family.metric.name == "zsr_collector_success")
    assert "zsr_job_info" in {family.metric.name for family in families}
    assert (("notifications",), 0) in getattr(success, "samples", ())


def test_what_is_kept_aside_is_counted_by_node_and_guest() -> None:
    found = scrape(replace(status(), diverged={300: 0, 301: 2}))
    assert value(found, "zsr_diverged_volumes", node="alpha", guest="300") == 0
    assert value(found, "zsr_diverged_volumes", node="alpha", guest="301") == 2
    assert value(found, "zsr_diverged_volumes", node="alpha", guest="302") is None


def test_every_collector_reports_itself(everything: dict[Series, float]) -> None:
    names = set(collectors(JobLines()))
    known = "daemon jobs nodes replicas pools guests drills moves scheduler notifications targets"
    assert names == set(known.split())
    for name in names:
        assert value(everything, "zsr_collector_success", collector=name) == 1
        assert value(everything, "zsr_collector_duration_seconds", collector=name) is not None


def test_the_process_has_its_own_metrics(everything: dict[Series, float]) -> None:
    assert value(everything, "process_resident_memory_bytes")
    assert value(everything, "process_start_time_seconds")


def test_no_series_comes_twice() -> None:
    body = render(collect(ScrapeInput(status(*many(50)))), Format.TEXT).decode()
    counted = Counter(line.rpartition(" ")[0] for line in body.splitlines() if not line.startswith("#"))
    assert [series for series, count in counted.items() if count > 1] == []
