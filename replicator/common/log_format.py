"""Formats of the daemon's log: a line of text, or a JSON object per line for log collectors."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from replicator.display import displayable

TEXT_FORMAT = "%(levelname)s %(name)s: %(message)s"
_FACTS = "zsr_facts"


def facts(**values: object) -> dict[str, object]:
    """Return the ``extra`` of a log call: values that the JSON format writes as keys of their own."""
    return {_FACTS: values}


class TextFormatter(logging.Formatter):
    """A line of text, with no character in it that a terminal takes for an order."""

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record, with its traceback if it has one."""
        return displayable(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object per record: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, and its facts.

    A record with a traceback has it under ``traceback``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": displayable(record.getMessage()),
            **getattr(record, _FACTS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
