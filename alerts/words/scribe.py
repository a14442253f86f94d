"""Writes messages for channels: the renderer together with the clock, the zone and the links of this node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

from alerts.notice import Notice
from alerts.words.letter import MOST_ROWS, Reader
from alerts.words.render import Form, Rendered, Renderer


@dataclass(frozen=True, slots=True)
class Scribe:
    """``clock`` gives unix time; ``page`` and ``dashboard`` as in `Reader`. May be used from any thread."""

    renderer: Renderer
    clock: Callable[[], float]
    zone: tzinfo | None = None
    page: str = ""
    dashboard: str = ""

    def write(self, notice: Notice, form: Form, rows: int = MOST_ROWS) -> Rendered:
        """A notice in a format, as of now."""
        return self.renderer.render(notice, form, self.reader(rows))

    def reader(self, rows: int = MOST_ROWS) -> Reader:
        """Who reads now."""
        return Reader(self.clock(), self.zone, rows, self.page, self.dashboard)
