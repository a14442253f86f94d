"""Finds the problems of the user's templates before they are needed."""

from __future__ import annotations

from pathlib import Path

from alerts.notice import NoticeKind
from alerts.render.content import RenderContext
from alerts.render.renderer import FOR_ALL, BrokenTemplateError, Form, Renderer
from alerts.render.samples import sample
from replicator.api.problem import Problem

TRIED_AT = 1_800_000_000.0
_MANY = 30


def template_problems(folder: Path, key: str = "templates") -> list[Problem]:
    """The templates that cannot be read, have an unknown name, or fail on a sample of their kind.

    Files whose names begin with a dot or an underscore are ignored: templates may include them.
    """
    try:
        files = sorted(path.name for path in folder.iterdir() if not path.name.startswith((".", "_")))
    except OSError as error:
        return [Problem(key, str(folder), f"a folder that zsr can read ({error.strerror})")]
    renderer = Renderer(folder)
    found = []
    for file in files:
        kind, _, ending = file.rpartition(".")
        if ending not in [form.value for form in Form] or kind not in [FOR_ALL, *NoticeKind]:
            found.append(Problem(key, file, _names_allowed()))
        elif why := _breaks(renderer, kind, Form(ending), file):
            found.append(
                Problem(key, file, f"a template that works; this one does not, so the built-in one is used: {why}")
            )
    return found


def _names_allowed() -> str:
    kinds = ", ".join([FOR_ALL, *NoticeKind])
    return f"EVENT.FORMAT, of {kinds} and {', '.join(Form)}; a file that others only include begins with '_'"


def _breaks(renderer: Renderer, kind: str, form: Form, file: str) -> str:
    kinds = list(NoticeKind) if kind == FOR_ALL else [NoticeKind(kind)]
    for each in kinds:
        for jobs in (1, _MANY):
            try:
                renderer.try_own(file, sample(each, jobs=jobs, now=TRIED_AT), form, RenderContext(TRIED_AT))
            except BrokenTemplateError as error:
                return error.why
    return ""
