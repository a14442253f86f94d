"""Panels about the daemons themselves: health, process, exporter; of many daemons the 15 worst."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from grafana.layout import AnyPanel
from grafana.panel import BLUE, GREEN, RED, Panel, Query, graph, stat_panel, words
from grafana.panels.common import Place
from grafana.promql import NODE, worst


def health(number: int, y: int) -> list[AnyPanel]:
    """Event loop, collectors, settings, versions: 12 rows of the grid."""
    return [
        _loop_lag(number, (0, y, 8, 7)),
        _failed_collectors(number + 1, (8, y, 8, 7)),
        _scrape_time(number + 2, (16, y, 8, 7)),
        *_versions(number + 3, y + 7),
    ]


def _loop_lag(number: int, place: Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Event loop delay",
            "How late the daemon's event loop is. Good: below 0.1 s; above 1 s something blocks it.",
            *place,
            unit="s",
        ),
        Query(worst(f"zsr_event_loop_lag_seconds{{{NODE}}}"), "{{instance}}"),
    )


def _failed_collectors(number: int, place: Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Collectors that failed",
            "Parts of the exporter that could not give their metrics at the last scrape. Good: 0.",
            *place,
            unit="none",
        ),
        Query(
            worst(
                f"count by (instance) (zsr_collector_success{{{NODE}}}) - sum by (instance) "
                f"(zsr_collector_success{{{NODE}}})"
            ),
            "{{instance}}",
        ),
        decimals=0,
    )


def _scrape_time(number: int, place: Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Time to answer a scrape",
            "Seconds that the exporter's parts took for the last scrape, added up. Good: below 0.5 s.",
            *place,
            unit="s",
        ),
        Query(worst(f"sum by (instance) (zsr_collector_duration_seconds{{{NODE}}})"), "{{instance}}"),
    )


def _versions(number: int, y: int) -> list[AnyPanel]:
    return [
        stat_panel(
            Panel(
                number,
                "Settings",
                "Whether the daemon's last reading of its settings succeeded. Good: accepted; if rejected, it "
                "goes on with the last ones that were right.",
                *(0, y, 12, 5),
                unit="none",
                empty="no daemon",
                runbook="ZsrSettingsRejected",
            ),
            Query(f"bottomk(12, zsr_config_last_reload_successful{{{NODE}}})", "{{instance}}"),
            steps=((None, RED), (1, GREEN)),
            mappings=words({"1": ("accepted", GREEN), "0": ("REJECTED", RED)}),
        ),
        stat_panel(
            Panel(
                number + 1,
                "Versions",
                "Daemons by version of zsr. Good: one version everywhere.",
                *(12, y, 12, 5),
                unit="none",
                empty="no daemon",
            ),
            Query(f"count by (version) (zsr_build_info{{{NODE}}})", "zsr {{version}}"),
            steps=((None, BLUE),),
            names=True,
        ),
    ]


def process(number: int, y: int) -> list[AnyPanel]:
    """CPU, memory, files and age of the process: 7 rows of the grid."""
    return [
        _memory(number, (0, y, 6, 7)),
        _cpu(number + 1, (6, y, 6, 7)),
        _open_files(number + 2, (12, y, 6, 7)),
        _uptime(number + 3, (18, y, 6, 7)),
    ]


def _memory(number: int, place: Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Memory",
            "Resident memory of the daemon's process. Good: flat; it does not grow with the size of volumes.",
            *place,
            unit="bytes",
        ),
        Query(worst(f"process_resident_memory_bytes{{{NODE}}}"), "{{instance}}"),
    )


def _cpu(number: int, place: Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "CPU",
            "Part of one processor that the daemon itself uses; the zfs commands it starts are not in it. Good: "
            "a few percent between runs.",
            *place,
            unit="percentunit",
        ),
        Query(worst(f"rate(process_cpu_seconds_total{{{NODE}}}[$__rate_interval])"), "{{instance}}"),
    )


def _open_files(number: int, place: Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Open files",
            "File descriptors of the daemon, as a part of what its process may have. Good: far below 100 %.",
            *place,
            unit="percentunit",
        ),
        Query(worst(f"process_open_fds{{{NODE}}} / process_max_fds{{{NODE}}}"), "{{instance}}"),
    )


def _uptime(number: int, place: Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Time since the daemon's start",
            "Age of the process. Good: it only climbs; each fall to 0 is a restart.",
            *place,
            unit="s",
        ),
        Query(f"bottomk(15, time() - process_start_time_seconds{{{NODE}}})", "{{instance}}"),
    )
