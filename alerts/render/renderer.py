"""Lay a letter out as title, plain text, Markdown or HTML, by built-in templates or by the user's own.

A user's template that is broken loses no message: the built-in words go out, and the log says what is wrong.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from alerts.notice import Notice
from alerts.render.compose import compose
from alerts.render.content import MOST_ROWS, MessageContent, RenderContext
from alerts.text import clock_time, distance, duration, one_line, ordinal
from replicator.common.sizes import size

BUILT_IN = Path(__file__).parent / "templates"
FOR_ALL = "letter"
"""Name of the template for all kinds that have none of their own."""
LONGEST = 500_000
"""Characters that a template may write."""
LONGEST_TITLE = 250

BREAKS = (TemplateError, OSError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What a template can raise: the user's expressions are Python's, on our values."""

_MARKS = re.compile(r"([\\`*_\[\]<>~|#])")
_log = logging.getLogger("zsr.alerts")


class Form(StrEnum):
    """A format; its value is the ending of a template's name."""

    TITLE = "title"
    TEXT = "txt"
    MARKDOWN = "md"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message in one format."""

    title: str
    body: str


class BrokenTemplateError(Exception):
    """A user's template cannot be used: ``file`` and a sentence why."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file}: {why}")
        self.file = file
        self.why = why


class Renderer:
    """Turns notices into messages. ``folder`` holds the user's templates; None: there are none.

    A template that is changed on disk is used from the next message on.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        built_in = FileSystemLoader(BUILT_IN)
        self._built_in = {form: _environment(form, built_in) for form in Form}
        loader = ChoiceLoader([FileSystemLoader(folder or BUILT_IN), PrefixLoader({"builtin": built_in})])
        self._own = {form: _environment(form, loader) for form in Form} if folder else {}

    def render(self, notice: Notice, form: Form, reader: RenderContext) -> Rendered:
        """A notice in a format; never raises for a user's template."""
        letter = compose(notice, reader)
        title = one_line(self._part(notice, letter, Form.TITLE, reader))[:LONGEST_TITLE]
        return Rendered(title, self._part(notice, letter, form, reader))

    def _part(self, notice: Notice, letter: MessageContent, form: Form, reader: RenderContext) -> str:
        file = self.own_file(notice.kind, form)
        if file is not None:
            try:
                return self.try_own(file, notice, form, reader)
            except BrokenTemplateError as error:
                _log.error("Template %s The built-in words are used for '%s'.", error, letter.title)
        return _write(self._built_in[form], f"{FOR_ALL}.{form}", notice, letter, reader)

    def own_file(self, kind: str, form: Form) -> str | None:
        """The name of the user's template for a kind and a format; None if there is none."""
        if self._folder is None:
            return None
        names = (f"{kind}.{form}", f"{FOR_ALL}.{form}")
        return next((name for name in names if (self._folder / name).is_file()), None)

    def try_own(self, file: str, notice: Notice, form: Form, reader: RenderContext) -> str:
        """What a user's template makes of a notice; raises BrokenTemplateError."""
        return _try(self._own[form], file, notice, reader)


class OwnTemplate:
    """A single template of the user's, for what has no built-in words; nothing in it is escaped."""

    def __init__(self, path: Path) -> None:
        self._file = path.name
        self._environment = _environment(Form.TEXT, FileSystemLoader(path.parent))

    def write(self, notice: Notice, reader: RenderContext, **further: object) -> str:
        """What it makes of a notice and further values; raises BrokenTemplateError."""
        return _try(self._environment, self._file, notice, reader, **further)


def markdown(text: object) -> str:
    """A text in which no character means anything to Markdown."""
    return _MARKS.sub(r"\\\1", str(text))


def _environment(form: Form, loader: ChoiceLoader | FileSystemLoader) -> Environment:
    made = ImmutableSandboxedEnvironment(
        loader=loader,
        autoescape=form is Form.HTML,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    made.filters |= {
        "distance": distance,
        "duration": duration,
        "md": markdown,
        "one_line": one_line,
        "ordinal": ordinal,
        "size": size,
    }
    return made


def _try(environment: Environment, file: str, notice: Notice, reader: RenderContext, **further: object) -> str:
    """What a user's template writes; raises BrokenTemplateError."""
    try:
        text = _write(environment, file, notice, compose(notice, reader), reader, **further)
    except BREAKS as error:
        line = getattr(error, "lineno", None)
        place = f"line {line}: " if line else ""
        raise BrokenTemplateError(file, f"{place}{one_line(str(error)) or type(error).__name__}.") from error
    if not text.strip():
        raise BrokenTemplateError(file, "It writes nothing.")
    return text


def _write(
    environment: Environment,
    file: str,
    notice: Notice,
    letter: MessageContent,
    reader: RenderContext,
    **further: object,
) -> str:
    template = environment.get_template(file)
    facts = further | {
        "letter": letter,
        "notice": notice,
        "now": reader.now,
        "clock": lambda t: clock_time(t, reader.zone),
    }
    parts, length = [], 0
    for part in template.generate(facts):
        length += len(part)
        if length > LONGEST:
            raise ValueError(f"it writes more than {LONGEST} characters")
        parts.append(part)
    return "".join(parts).rstrip("\n")


@dataclass(frozen=True, slots=True)
class MessageWriter:
    """``clock`` gives unix time; ``page`` and ``dashboard`` as in `RenderContext`. May be used from any thread."""

    renderer: Renderer
    clock: Callable[[], float]
    zone: tzinfo | None = None
    page: str = ""
    dashboard: str = ""

    def write(self, notice: Notice, form: Form, rows: int = MOST_ROWS) -> Rendered:
        """A notice in a format, as of now."""
        return self.renderer.render(notice, form, self.context(rows))

    def context(self, rows: int = MOST_ROWS) -> RenderContext:
        """Who reads now."""
        return RenderContext(self.clock(), self.zone, rows, self.page, self.dashboard)
