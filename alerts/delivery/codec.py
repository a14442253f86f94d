"""Converts notices to JSON values and back, for ``state.db``. Pure; fields of newer versions are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from alerts.foreign import Foreign
from alerts.notice import Notice, NoticeKind, Severity
from alerts.subject import Digest, DigestLine, Subject
from replicator.ids import stored_guest
from replicator.models import JobId

T = TypeVar("T")


def plain(value: object) -> Any:
    """A value as JSON; dataclasses become objects without the fields that have their defaults."""
    if isinstance(value, JobId):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        reported = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: plain(given) for field, given in reported if given != field.default}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value


def subject_of(data: Mapping[str, Any]) -> Subject:
    """A subject from JSON; raises KeyError, TypeError, ValueError or ConfigError where it is none."""
    return _made(Subject, data, job=JobId.from_text(data["job"]), guest=stored_guest(data["guest"]))


def notice_of(data: Mapping[str, Any]) -> Notice:
    """A notice from JSON; raises KeyError, TypeError, ValueError or ConfigError where it is none."""
    foreign = data.get("foreign")
    digest = data.get("digest")
    return _made(
        Notice,
        data,
        kind=NoticeKind(data["kind"]),
        severity=Severity(data["severity"]),
        subjects=tuple(subject_of(each) for each in data.get("subjects", ())),
        digest=None if digest is None else _digest(digest),
        foreign=None if foreign is None else _made(Foreign, foreign, labels=_pairs(foreign.get("labels", ()))),
    )


def _digest(data: Mapping[str, Any]) -> Digest:
    lines = (_made(DigestLine, line, subject=subject_of(line["subject"])) for line in data["lines"])
    return _made(Digest, data, lines=tuple(lines))


def _pairs(data: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in data)


def _made(made: type[T], data: Mapping[str, Any], /, **values: object) -> T:
    names = {field.name for field in fields(made)}  # type: ignore[arg-type]
    return made(**{**{name: value for name, value in data.items() if name in names}, **values})
