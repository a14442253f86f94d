"""Renders content as title, plain text, Markdown or HTML, by built-in templates or by the user's own.

A broken template of the user loses no message: the built-in one is used, and the problem is logged.
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
    """A user's template cannot be used; ``why`` is a sentence."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file}: {why}")
        self.file = file
        self.why = why


class Renderer:
    """Renders notices. ``folder`` holds the user's templates; None: there are none.

    A template that is changed on disk is used from the next message on.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        built_in = FileSystemLoader(BUILT_IN)
        self._built_in = {form: _environment(form, built_in) for form in Form}
        loader = ChoiceLoader([FileSystemLoader(folder or BUILT_IN), PrefixLoader({"builtin": built_in})])
        self._own = {form: _environment(form, loader) for form in Form} if folder else {}

    def render(self, notice: Notice, form: Form, context: RenderContext) -> Rendered:
        """A notice in a format; raises nothing for a user's template."""
        content = compose(notice, context)
        title = one_line(self._part(notice, content, Form.TITLE, context))[:LONGEST_TITLE]
        return Rendered(title, self._part(notice, content, form, context))

    def _part(self, notice: Notice, content: MessageContent, form: Form, context: RenderContext) -> str:
        file = self.own_file(notice.kind, form)
        if file is not None:
            try:
                return self.try_own(file, notice, form, context)
            except BrokenTemplateError as error:
                _log.error("Template %s The built-in template is used for '%s'.", error, content.title)
        return _write(self._built_in[form], f"{FOR_ALL}.{form}", notice, content, context)

    def own_file(self, kind: str, form: Form) -> str | None:
        """The name of the user's template for a kind and a format; None if there is none."""
        if self._folder is None:
            return None
        names = (f"{kind}.{form}", f"{FOR_ALL}.{form}")
        return next((name for name in names if (self._folder / name).is_file()), None)

    def try_own(self, file: str, notice: Notice, form: Form, context: RenderContext) -> str:
        """A notice rendered by a user's template; raises BrokenTemplateError."""
        return _try(self._own[form], file, notice, context)


class OwnTemplate:
    """A single template of the user that has no built-in counterpart; nothing in it is escaped."""

    def __init__(self, path: Path) -> None:
        self._file = path.name
        self._environment = _environment(Form.TEXT, FileSystemLoader(path.parent))

    def write(self, notice: Notice, context: RenderContext, **further: object) -> str:
        """A notice and further values rendered; raises BrokenTemplateError."""
        return _try(self._environment, self._file, notice, context, **further)


def markdown(text: object) -> str:
    """A text with every character of Markdown escaped."""
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


def _try(environment: Environment, file: str, notice: Notice, context: RenderContext, **further: object) -> str:
    """The text of a user's template; raises BrokenTemplateError."""
    try:
        text = _write(environment, file, notice, compose(notice, context), context, **further)
    except BREAKS as error:
        line = getattr(error, "lineno", None)
        place = f"line {line}: " if line else ""
        raise BrokenTemplateError(file, f"{place}{one_line(str(error)) or type(error).__name__}.") from error
    if not text.strip():
        raise BrokenTemplateError(file, "It renders to nothing.")
    return text


def _write(
    environment: Environment,
    file: str,
    notice: Notice,
    content: MessageContent,
    context: RenderContext,
    **further: object,
) -> str:
    template = environment.get_template(file)
    facts = further | {
        "letter": content,
        "notice": notice,
        "now": context.now,
        "clock": lambda t: clock_time(t, context.zone),
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
    """Renders notices with this node's settings. ``clock`` returns unix time. May be used from any thread."""

    renderer: Renderer
    clock: Callable[[], float]
    zone: tzinfo | None = None
    page: str = ""
    dashboard: str = ""

    def write(self, notice: Notice, form: Form, rows: int = MOST_ROWS) -> Rendered:
        """A notice in a format, as of now."""
        return self.renderer.render(notice, form, self.context(rows))

    def context(self, rows: int = MOST_ROWS) -> RenderContext:
        """The context of a rendering now."""
        return RenderContext(self.clock(), self.zone, rows, self.page, self.dashboard)
