"""Tables made of instant queries that share labels: one query a column, merged to one line a subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.panel import NEUTRAL, Panel, Query, Steps, dressed, targets, thresholds


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
    link: str = ""
    """Where a click on a cell leads; ``${__data.fields.<column>}`` is what another column of the same line shows."""
    hint: str = ""
    """What the link's tooltip says."""


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
    if column.link:
        properties.append(("links", [{"title": column.hint, "url": column.link}]))
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
    asked = [target.format(PromQueryFormat.TABLE) for target in targets(queries, instant=True)]
    built = (
        dressed(table.Panel(), panel)
        .targets(list(asked))
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
