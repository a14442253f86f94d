"""The common base of all stat and graph panels, on top of the foundation SDK.

Every default of Grafana that matters is set here: position, data source, unit, thresholds (the default of 80 makes no
sense for ratios), and the description of a good value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from grafana_foundation_sdk.builders import common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model

RUNBOOKS = "https://github.com/zsr-project/zsr/blob/main/alerts/runbooks"

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"

AnyPanel = TypeVar("AnyPanel", stat.Panel, table.Panel, timeseries.Panel)

Steps: TypeAlias = Sequence[tuple[float | None, str]]

NEUTRAL: Steps = ((None, GREY),)
ZERO_IS_GOOD: Steps = ((None, GREEN), (1, RED))
FULL: Steps = ((None, GREEN), (0.8, ORANGE), (0.9, RED))
"""How full a pool may be: ZFS slows down above 80 %, and above 90 % the next full copy may not fit."""

COUNTED = "2m"
"""The narrowest bar of a count. `$__rate_interval` is never less than four scrapes: narrower bars would each count what
their neighbours count too."""

POINTS = 500
"""Points of a line at most. A wide screen would ask for three times as many, of every job of the fleet."""

PROMISE: Steps = ((None, GREEN), (0.8, YELLOW), (1, RED))
"""The alert fires above 1; the warning colour leaves a fifth of the promise to act in."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The parts of every panel. ``id`` never changes: links and diffs go by it."""

    id: int
    title: str
    description: str
    x: int
    y: int
    w: int
    h: int
    unit: str
    empty: str = "no jobs"
    """What the panel says when no series is there; a bare "No data" leaves people guessing."""
    runbook: str = ""
    """The alert whose runbook says what to do when the panel is red."""

    @property
    def grid(self) -> model.GridPos:
        """Its place on the grid of 24 columns."""
        return model.GridPos(h=self.h, w=self.w, x=self.x, y=self.y)


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel; ``legend`` names its series."""

    expr: str
    legend: str = ""


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """Absolute thresholds, the first one without a lower end."""
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )


def words(texts: Mapping[str, tuple[str, str]]) -> list[model.ValueMapping]:
    """Values to a word and its colour, so that colour is never the only sign."""
    results = {
        value: model.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(texts.items())
    }
    return [model.ValueMap(options=results)]


def runbook(alert: str) -> build.DashboardLink:
    """A link from a panel to what to do about an alert."""
    return (
        build.DashboardLink(f"Runbook: {alert}")
        .type(model.DashboardLinkType.LINK)
        .url(f"{RUNBOOKS}/{alert}.md")
        .icon("doc")
        .tooltip("What it means, how bad it is, what to do")
        .target_blank(True)
    )


def dressed(built: AnyPanel, panel: Panel) -> AnyPanel:
    """A panel with all that every panel has."""
    built = (
        built.id(panel.id)
        .title(panel.title)
        .description(panel.description)
        .grid_pos(panel.grid)
        .datasource(SOURCE)
        .unit(panel.unit)
        .no_value(panel.empty)
    )
    return built.links([runbook(panel.runbook)]) if panel.runbook else built


def targets(queries: Sequence[Query], *, instant: bool) -> list[prometheus.Dataquery]:
    """The panel's queries, named A, B, C ... in their order."""
    asked = []
    for ref, query in zip("ABCDEFGHIJKLMNOP", queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(ref).datasource(SOURCE).legend_format(query.legend)
        asked.append(target.instant() if instant else target.range())
    return asked


def stat_panel(
    panel: Panel,
    *queries: Query,
    steps: Steps,
    mappings: list[model.ValueMapping] | None = None,
    names: bool = False,
    only_names: bool = False,
    decimals: int = 0,
) -> stat.Panel:
    """A number, or a word for it, on the colour of its threshold; with the series' names where there are several."""
    text = look.BigValueTextMode.VALUE_AND_NAME if mappings or names else look.BigValueTextMode.VALUE
    built = (
        dressed(stat.Panel(), panel)
        .targets(list(targets(queries, instant=True)))
        .decimals(decimals)
        .thresholds(thresholds(steps))
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .color_mode(look.BigValueColorMode.BACKGROUND)
        .graph_mode(look.BigValueGraphMode.NONE)
        .justify_mode(look.BigValueJustifyMode.CENTER)
        .text_mode(look.BigValueTextMode.NAME if only_names else text)
        .orientation(look.VizOrientation.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    )
    if only_names:
        built = built.text(common.VizTextDisplayOptions().value_size(28))
    if mappings or names:  # several words side by side: Grafana would make the shortest as large as it can
        built = built.text(common.VizTextDisplayOptions().title_size(16).value_size(22))
    return built.mappings(mappings) if mappings else built


def graph(
    panel: Panel,
    *queries: Query,
    steps: Steps = NEUTRAL,
    bars: bool = False,
    decimals: int | None = None,
    colors: Mapping[str, str] | None = None,
    shades: str = "",
    limits: str = "",
    top: float | None = None,
) -> timeseries.Panel:
    """Lines over time, or stacked bars for counts. More than one step draws the thresholds.

    ``colors`` go by a series' name or by a pattern (``/failure$/``), all others are ``shades`` of one colour if that is
    given; series that match the pattern ``limits`` are what must not be crossed. The axis ends at ``top`` at least.
    """
    built = _plain_graph(panel, queries, steps, bars=bars)
    if bars:
        built = built.stacking(common.StackingConfig().mode(look.StackingMode.NORMAL).group("A"))
        built = built.interval(COUNTED)
    if len(steps) > 1:
        built = built.thresholds_style(common.GraphThresholdsStyleConfig().mode(look.GraphThresholdsStyleMode.DASHED))
    if decimals is not None:
        built = built.decimals(decimals)
    if top is not None or decimals == 0:
        built = built.axis_soft_max(1 if top is None else top)  # a line of zeros would have an axis up to 100
    if shades:
        built = built.color_scheme(build.FieldColor().mode(model.FieldColorModeId.SHADES).fixed_color(shades))
    return _colored(built, colors or {}, limits)


def _plain_graph(panel: Panel, queries: Sequence[Query], steps: Steps, *, bars: bool) -> timeseries.Panel:
    """The look that all graphs share."""
    return (
        dressed(timeseries.Panel(), panel)
        .targets(list(targets(queries, instant=False)))
        .max_data_points(POINTS)
        .min(0)
        .thresholds(thresholds(steps))
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
        .draw_style(look.GraphDrawStyle.BARS if bars else look.GraphDrawStyle.LINE)
        .line_width(1 if bars else 2)
        .fill_opacity(70 if bars else 8)
        .show_points(look.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(look.LegendDisplayMode.LIST)
            .placement(look.LegendPlacement.BOTTOM)
            .calcs([])
        )
        .tooltip(common.VizTooltipOptions().mode(look.TooltipDisplayMode.MULTI).sort(look.SortOrder.DESCENDING))
    )


def _colored(built: timeseries.Panel, colors: Mapping[str, str], limits: str) -> timeseries.Panel:
    for name, color in colors.items():
        by = built.override_by_regexp if name.startswith("/") else built.override_by_name
        built = by(name, [_fixed(color)])
    if limits:
        dashes = model.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]})
        flat = model.DynamicConfigValue(id_val="custom.fillOpacity", value=0)
        built = built.override_by_regexp(f"/{limits}/", [_fixed(RED), dashes, flat])
    return built


def _fixed(color: str) -> model.DynamicConfigValue:
    value = model.FieldColor(mode=model.FieldColorModeId.FIXED, fixed_color=color)
    return model.DynamicConfigValue(id_val="color", value=value)
