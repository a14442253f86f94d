"""The house's panels: what every stat, table and graph of ours has in common, on top of the foundation SDK.

Everything that Grafana would otherwise choose by itself is said here: position, data source, unit, thresholds (its
default of 80 makes nonsense of ratios), and what a good value looks like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from grafana_foundation_sdk.builders import common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"

Steps: TypeAlias = Sequence[tuple[float | None, str]]

NEUTRAL: Steps = ((None, GREY),)
ZERO_IS_GOOD: Steps = ((None, GREEN), (1, RED))
PROMISE: Steps = ((None, GREEN), (0.8, YELLOW), (1, RED))
"""The alert fires above 1; the warning colour leaves a fifth of the promise to act in."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What every panel must have. ``id`` is fixed for ever: links and diffs go by it."""

    id: int
    title: str
    description: str
    x: int
    y: int
    w: int
    h: int
    unit: str

    @property
    def grid(self) -> model.GridPos:
        """Its place on the grid of 24 columns."""
        return model.GridPos(h=self.h, w=self.w, x=self.x, y=self.y)


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel; ``legend`` names its series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table made of instant queries: a value of its own, or a label of one that came before."""

    name: str
    expr: str | None = None
    label: str | None = None
    unit: str | None = None
    width: int | None = None
    steps: Steps | None = None
    decimals: int | None = None
    empty: str | None = None


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """Absolute thresholds, the first one without a lower end."""
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )


def words(texts: Mapping[str, tuple[str, str]]) -> list[model.ValueMapping]:
    """Values to a word and its colour, so that nothing is told by colour alone."""
    results = {
        value: model.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(texts.items())
    }
    return [model.ValueMap(options=results)]


def _targets(queries: Sequence[Query], *, instant: bool) -> list[prometheus.Dataquery]:
    targets = []
    for ref, query in zip("ABCDEFGHIJKLMNOP", queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(ref).datasource(SOURCE).legend_format(query.legend)
        targets.append(target.instant() if instant else target.range())
    return targets


def stat_panel(
    panel: Panel,
    *queries: Query,
    steps: Steps,
    mappings: list[model.ValueMapping] | None = None,
    names: bool = False,
) -> stat.Panel:
    """A number, or a word for it, on the colour of its threshold; with the series' names where there are several."""
    built = (
        stat.Panel()
        .id(panel.id)
        .title(panel.title)
        .description(panel.description)
        .grid_pos(panel.grid)
        .datasource(SOURCE)
        .targets(list(_targets(queries, instant=True)))
        .unit(panel.unit)
        .decimals(0)
        .no_value("no jobs")
        .thresholds(thresholds(steps))
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .color_mode(look.BigValueColorMode.BACKGROUND)
        .graph_mode(look.BigValueGraphMode.NONE)
        .justify_mode(look.BigValueJustifyMode.CENTER)
        .text_mode(look.BigValueTextMode.VALUE_AND_NAME if mappings or names else look.BigValueTextMode.VALUE)
        .orientation(look.VizOrientation.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    )
    return built.mappings(mappings) if mappings else built


def graph(
    panel: Panel,
    *queries: Query,
    steps: Steps = NEUTRAL,
    bars: bool = False,
    decimals: int | None = None,
    colors: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Lines over time, or stacked bars for counts. More than one step draws the thresholds into the picture."""
    built = (
        timeseries.Panel()
        .id(panel.id)
        .title(panel.title)
        .description(panel.description)
        .grid_pos(panel.grid)
        .datasource(SOURCE)
        .targets(list(_targets(queries, instant=False)))
        .unit(panel.unit)
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
    if bars:
        built = built.stacking(common.StackingConfig().mode(look.StackingMode.NORMAL).group("A")).axis_soft_max(1)
    if len(steps) > 1:
        built = built.thresholds_style(common.GraphThresholdsStyleConfig().mode(look.GraphThresholdsStyleMode.DASHED))
    if decimals is not None:
        built = built.decimals(decimals)
    for name, color in (colors or {}).items():
        fixed = model.FieldColor(mode=model.FieldColorModeId.FIXED, fixed_color=color)
        built = built.override_by_name(name, [model.DynamicConfigValue(id_val="color", value=fixed)])
    return built


def _column(column: Column) -> list[model.DynamicConfigValue]:
    properties: list[tuple[str, object]] = []
    if column.unit is not None:
        properties.append(("unit", column.unit))
    if column.decimals is not None:
        properties.append(("decimals", column.decimals))
    if column.width is not None:
        properties.append(("custom.width", column.width))
    if column.empty is not None:
        properties.append(("noValue", column.empty))
    if column.steps is not None:
        config = thresholds(column.steps).build()
        properties += [
            ("thresholds", config),
            ("color", model.FieldColor(mode=model.FieldColorModeId.THRESHOLDS)),
            ("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
        ]
    return [model.DynamicConfigValue(id_val=name, value=value) for name, value in properties]


def _arrange(columns: Sequence[Column], fields: Mapping[str, Column]) -> list[model.DataTransformerConfig]:
    """Merge the queries' rows by the labels they share, then name, order and hide the fields."""
    order = {field: columns.index(column) for field, column in fields.items()}
    values = [f"Value #{ref}" for ref in _refs(columns)]
    hidden = {name: True for name in ("Time", *values) if name not in fields}
    names = {field: column.name for field, column in fields.items()}
    return [
        model.DataTransformerConfig(id_val="merge", options={}),
        model.DataTransformerConfig(
            id_val="organize", options={"excludeByName": hidden, "indexByName": order, "renameByName": names}
        ),
    ]


def _refs(columns: Sequence[Column]) -> dict[str, Column]:
    queried = [column for column in columns if column.expr is not None]
    return dict(zip("ABCDEFGHIJKLMNOP", queried, strict=False))


def table_panel(
    panel: Panel,
    columns: Sequence[Column],
    *,
    sort: str,
    mappings: Mapping[str, list[model.ValueMapping]] | None = None,
) -> table.Panel:
    """A table of instant queries that share labels; a column with both ``expr`` and ``label`` shows the label."""
    fields = {column.label or f"Value #{ref}": column for ref, column in _refs(columns).items()}
    fields |= {column.label: column for column in columns if column.label is not None}
    queries = [Query(column.expr) for column in columns if column.expr is not None]
    targets = [target.format(PromQueryFormat.TABLE) for target in _targets(queries, instant=True)]
    built = (
        table.Panel()
        .id(panel.id)
        .title(panel.title)
        .description(panel.description)
        .grid_pos(panel.grid)
        .datasource(SOURCE)
        .targets(list(targets))
        .unit(panel.unit)
        .thresholds(thresholds(NEUTRAL))
        .cell_height(look.TableCellHeight.SM)
        .show_header(True)
        .sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])
        .transformations(_arrange(columns, fields))
    )
    for column in columns:
        properties = _column(column)
        if mappings and column.name in mappings:
            properties.append(model.DynamicConfigValue(id_val="mappings", value=mappings[column.name]))
        if properties:
            built = built.override_by_name(column.name, properties)
    return built
