"""The two text formats of Prometheus, and the choice between them by the Accept header.

Written here rather than by prometheus_client because that one ignores the ``q`` of an Accept header, labels a body
with versions it does not write, and takes seconds for thousands of jobs. A test holds both against each other.
Formats: text 0.0.4 (Prometheus docs, "exposition formats") and OpenMetrics 1.0.0.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import chain

from exporter.families import AnyFamily, Family, HistogramFamily, LineFamily
from exporter.metric import Kind, Metric
from replicator.api.status import RunHistogram

GZIP_LEVEL = 1
"""Higher levels cost twice the time for some per cent; a scrape travels little and is made often."""

_GZIP = 16 + zlib.MAX_WBITS


class Format(Enum):
    """A text format; the value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def choose_format(accept: str) -> Format:
    """The format that an Accept header likes best; text where it is silent, names neither, or is not to be read."""
    weights = {Format.TEXT: 0.0, Format.OPENMETRICS: 0.0}
    for kind, parameters in _choices(accept):
        version = parameters.get("version", "")
        weight = _weight(parameters)
        if kind == "application/openmetrics-text" and version in ("", "1.0.0"):
            weights[Format.OPENMETRICS] = max(weights[Format.OPENMETRICS], weight)
        elif (kind == "text/plain" and version in ("", "0.0.4")) or kind in ("text/*", "*/*"):
            weights[Format.TEXT] = max(weights[Format.TEXT], weight)
    return Format.OPENMETRICS if weights[Format.OPENMETRICS] > weights[Format.TEXT] else Format.TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    weights = {kind: _weight(parameters) for kind, parameters in _choices(accept_encoding)}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def render(families: Iterable[AnyFamily], form: Format, *, compress: bool = False) -> bytes:
    """The body of a scrape."""
    parts = _parts(families, form)
    if not compress:
        return b"".join(parts)
    # Family by family, so that no other request waits for all of them.
    packer = zlib.compressobj(GZIP_LEVEL, wbits=_GZIP)
    packed = [packer.compress(part) for part in parts]
    return b"".join([*packed, packer.flush()])


def _parts(families: Iterable[AnyFamily], form: Format) -> Iterator[bytes]:
    texts = _Escaped()
    for family in families:
        if isinstance(family, HistogramFamily):
            samples: Iterable[str] = _histogram_lines(family, texts)
        elif isinstance(family, LineFamily):
            samples = family.lines
        else:
            samples = _sample_lines(family, texts)
        yield "".join(chain(_head(family.metric, form), samples)).encode("utf-8", "replace")
    if form is Format.OPENMETRICS:
        yield b"# EOF\n"


def _choices(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The alternatives of an Accept or Accept-Encoding header with their parameters, all in lower case."""
    for choice in header.lower().split(","):
        kind, *rest = (part.strip() for part in choice.split(";"))
        pairs = (part.partition("=") for part in rest)
        yield kind, {key.strip(): value.strip().strip('"') for key, _, value in pairs}


def _weight(parameters: dict[str, str]) -> float:
    try:
        weight = float(parameters.get("q", "1"))
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def _head(metric: Metric, form: Format) -> Iterator[str]:
    text = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    if form is Format.OPENMETRICS:
        quoted = text.replace('"', '\\"')
        yield f"# HELP {metric.family} {quoted}\n"
        yield f"# TYPE {metric.family} {metric.kind}\n"
        if metric.unit:
            yield f"# UNIT {metric.family} {metric.unit}\n"
    else:
        yield f"# HELP {metric.name} {text}\n"
        yield f"# TYPE {metric.name} {'gauge' if metric.kind is Kind.INFO else metric.kind}\n"


def _sample_lines(family: Family, texts: _Escaped) -> Iterator[str]:
    names = family.metric.labels
    pairs = ",".join([f'{name}="%s"' for name in names])
    template = f"{family.metric.name}{{{pairs}}} %s\n" if names else f"{family.metric.name} %s\n"
    for values, value in family.samples:
        yield template % (*[texts[text] for text in values], number(value))


def _histogram_lines(family: HistogramFamily, texts: _Escaped) -> Iterator[str]:
    name = family.metric.name
    for values, histogram in family.points:
        pairs = [f'{label}="{texts[text]}"' for label, text in zip(family.metric.labels, values, strict=True)]
        for bound, count in _buckets(histogram):
            le = f'le="{number(bound)}"'
            yield f"{name}_bucket{{{','.join([*pairs, le])}}} {count}\n"
        labels = f"{{{','.join(pairs)}}}" if pairs else ""
        yield f"{name}_count{labels} {histogram.count}\n"
        yield f"{name}_sum{labels} {number(histogram.sum)}\n"


def _buckets(histogram: RunHistogram) -> list[tuple[float, int]]:
    """The buckets with the endless one at their end, which both formats demand and which counts everything."""
    finite = [(float(bound), count) for bound, count in histogram.buckets if math.isfinite(bound)]
    return [*finite, (math.inf, histogram.count)]


class _Escaped(dict[str, str]):
    """Label values `escaped`, each worked out once a scrape."""

    def __missing__(self, value: str) -> str:
        found = self[value] = escaped(value)
        return found


def escaped(value: str) -> str:
    """A label value with backslash, quote and line feed as both formats want them."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    """A sample's value as both formats want it."""
    if isinstance(value, int):
        return str(int(value))
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
