"""The JSON format of the daemon's log."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

from replicator.common.log_format import JsonFormatter, facts


def line(message: str, *args: object, extra: Mapping[str, object] | None = None, **more: Any) -> str:
    record = logging.getLogger("zsr.daemon").makeRecord(
        "zsr.daemon", logging.WARNING, "file.py", 1, message, args, more.get("exc_info"), extra=extra
    )
    record.created = 1_800_000_000.25
    return JsonFormatter().format(record)


def test_a_record_is_one_json_object_with_time_level_logger_and_message() -> None:
    assert json.loads(line("Job %s: %s", "100-0", "gone")) == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "level": "warning",
        "logger": "zsr.daemon",
        "message": "Job 100-0: gone",
    }


def test_facts_are_keys_of_their_own() -> None:
    written = json.loads(line("done", extra=facts(job="100-0", sent_bytes=5)))

    assert (written["job"], written["sent_bytes"]) == ("100-0", 5)


def test_a_message_of_several_lines_stays_one_line() -> None:
    assert "\n" not in line("one\ntwo")


def test_a_traceback_has_a_key_of_its_own() -> None:
    try:
        int("unexpected")
    except ValueError:
        written = line("ended", exc_info=sys.exc_info())

    assert "\n" not in written
    assert "ValueError: invalid literal" in json.loads(written)["traceback"]
    assert json.loads(written)["message"] == "ended"
