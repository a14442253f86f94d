"""The frame that all dashboards share: variables, links, rows, and default settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.models import dashboard as model

from grafana.panel import RUNBOOKS, SOURCE
from grafana.promql import FLEET, NODE

AnyPanel: TypeAlias = stat.Panel | table.Panel | timeseries.Panel

REPLICATION, GUEST, NODES = "zsr-replication", "zsr-guest", "zsr-node"
"""The dashboards' uids. Links and bookmarks go by them: they never change."""

_CARRIED = "${datasource:queryparam}&${cluster:queryparam}&${job:queryparam}&${__url_time_range}"
"""The variables that a link passes on. Instance and guest are left out: a link leads to one of them, wherever it is."""


def to_guest(guest: str) -> str:
    """The address of the Guest dashboard for a guest's number, which may be a ``${__data.fields...}``."""
    return f"/d/{GUEST}?{_CARRIED}&var-guest={guest}"


def to_node(instance: str) -> str:
    """The address of the Node dashboard for an instance, which may be a ``${__data.fields...}``."""
    return f"/d/{NODES}?{_CARRIED}&var-instance={instance}"


@dataclass(frozen=True, slots=True)
class Row:
    """A heading with its panels; the panels' ``y`` begin one below the row's."""

    id: int
    title: str
    y: int
    panels: Sequence[AnyPanel]
    collapsed: bool = False


def _choice(name: str, label: str, series: str, source: str, *, every: str = ".+") -> build.QueryVariable:
    """A variable with several values or all of them, filled from a label."""
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f"label_values({series}, {source})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(every)
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
    )


def _one_guest(series: str) -> build.QueryVariable:
    """The guest of the Guest dashboard: always exactly one, at first the lowest number."""
    return (
        build.QueryVariable("guest")
        .label("Guest")
        .datasource(SOURCE)
        .query(f"label_values({series}, guest)")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
    )


def _variables(board: build.Dashboard, *, one_guest: bool) -> build.Dashboard:
    source = build.DatasourceVariable("datasource").label("Data source").type("prometheus")
    jobs = f"zsr_job_info{{{NODE}}}"
    guest = _one_guest(jobs) if one_guest else _choice("guest", "Guest", jobs, "guest")
    return (
        board.with_variable(source)
        .with_variable(_choice("cluster", "Cluster", "zsr_build_info", "cluster", every=".*"))
        .with_variable(_choice("job", "Job", 'zsr_build_info{cluster=~"$cluster"}', "job"))
        .with_variable(_choice("instance", "Instance", f"zsr_build_info{{{FLEET}}}", "instance"))
        .with_variable(guest)
        .with_variable(
            _choice("zsr_job", "Replication job", f'zsr_job_info{{{NODE}, guest=~"$guest"}}', "zsr_job"),
        )
    )


def _link(title: str, url: str, tooltip: str, *, away: bool = False) -> build.DashboardLink:
    return (
        build.DashboardLink(title)
        .type(model.DashboardLinkType.LINK)
        .url(url)
        .icon("doc" if away else "dashboard")
        .tooltip(tooltip)
        .target_blank(away)
    )


def _links(uid: str) -> list[build.DashboardLink]:
    others = [
        (REPLICATION, "Replication", "The whole fleet, the worst job first"),
        (GUEST, "Guest", "One guest: its jobs, its copies, its history"),
        (NODES, "Node", "What a node sends, what it holds, its pools"),
    ]
    inside = [_link(title, f"/d/{other}?{_CARRIED}", said) for other, title, said in others if other != uid]
    return [*inside, _link("Runbooks", RUNBOOKS, "What to do for each alert", away=True)]


def board(uid: str, title: str, description: str, tags: list[str], *, one_guest: bool = False) -> build.Dashboard:
    """An empty dashboard of the house, with its variables and links."""
    built = (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["zsr", "zfs", "replication", *tags])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time("now-24h", "now")
        .refresh("1m")
        .timezone("browser")
    )
    for link in _links(uid):
        built = built.link(link)
    return _variables(built, one_guest=one_guest)


def filled(built: build.Dashboard, top: Iterable[AnyPanel], rows: Iterable[Row]) -> build.Dashboard:
    """The dashboard with the panels at its top and the rows below them."""
    for panel in top:
        built = built.with_panel(panel)
    for row in rows:
        place = model.GridPos(h=1, w=24, x=0, y=row.y)
        heading = build.Row(row.title).id(row.id).collapsed(row.collapsed).grid_pos(place)
        if row.collapsed:  # the panels of a folded row are inside it, those of an open one follow it
            for panel in row.panels:
                heading = heading.with_panel(panel)
        built = built.with_row(heading)
        if not row.collapsed:
            for panel in row.panels:
                built = built.with_panel(panel)
    return built
