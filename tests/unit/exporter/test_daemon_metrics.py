"""The metrics of a daemon itself: its view of the cluster, and what else only its log would know."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.api.certificate import Certificate
from replicator.api.status import PluginEnds
from replicator.models import JobId
from tests.support.scraped import scrape, value
from tests.support.statuses import NOW, healthy, status, untidy


def test_a_node_shows_its_name_and_the_digest_of_its_view_of_the_cluster() -> None:
    found = scrape(status())
    assert value(found, "zsr_node_info", node="alpha", boot="boot-of-alpha") == 1
    assert value(found, "zsr_cluster_info", digest="0123456789abcdef", store="file") == 1


def test_a_daemon_shows_what_else_only_its_log_would_know() -> None:
    picture = status(untidy(healthy("100-0"), NOW - 60))
    pending = replace(picture.config, pending=("max_parallel", "notify"))
    picture = replace(
        picture,
        config=pending,
        damaged_states=("state.db.damaged-1",),
        plugins={"notify": PluginEnds(3, NOW, "x"), "exporter": PluginEnds()},
    )
    found = scrape(picture, usable='{"mail": true, "phone": false}')
    assert value(found, "zsr_config_pending_restart") == 2
    assert value(found, "zsr_state_damaged_files") == 1
    assert value(found, "zsr_plugin_restarts_total", plugin="notify") == 3
    assert value(found, "zsr_plugin_restarts_total", plugin="exporter") == 0
    assert value(found, "zsr_notification_target_usable", target="mail") == 1
    assert value(found, "zsr_notification_target_usable", target="phone") == 0
    assert value(found, "zsr_job_tidying_failing_since_timestamp_seconds", zsr_job="100-0") == NOW - 60


def test_the_jobs_that_no_target_reports_are_counted_where_messages_are_sent_at_all() -> None:
    assert value(scrape(status()), "zsr_jobs_without_notification") is None
    assert value(scrape(replace(status(), unreported=())), "zsr_jobs_without_notification") == 0
    assert value(scrape(replace(status(), unreported=(JobId(100, 0),))), "zsr_jobs_without_notification") == 1


def test_the_period_of_each_certificate_is_shown() -> None:
    found = scrape(replace(status(), certificates=(Certificate("/node.crt", NOW - 60, NOW + 60),)))
    assert value(found, "zsr_exporter_certificate_begin_timestamp_seconds", file="/node.crt") == NOW - 60
    assert value(found, "zsr_exporter_certificate_expiry_timestamp_seconds", file="/node.crt") == NOW + 60


@pytest.mark.parametrize("note", ["[]", "{", "7"])
def test_a_damaged_note_of_usable_targets_is_a_failed_collector(note: str) -> None:
    assert value(scrape(status(), usable=note), "zsr_collector_success", collector="notifications") == 0
