"""The machine's time zone, however the machine states it."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest

from replicator.common.timezones import local_zone, zone


def test_a_name_that_is_no_zone_is_reported() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zone("Europe/Atlantis")


@pytest.mark.parametrize("value", ["Europe/Vienna", ":Europe/Vienna"])
def test_the_environment_names_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TZ", value)
    assert local_zone() == ZoneInfo("Europe/Vienna")


def test_a_rule_in_the_environment_does_not_stop_zsr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST")
    monkeypatch.setattr("replicator.common.timezones._LOCALTIME", tmp_path / "none")
    assert local_zone() == ZoneInfo("UTC")


def test_a_copy_in_the_place_of_the_link_still_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rules = next(
        (Path(folder) / "Europe/Vienna" for folder in TZPATH if (Path(folder) / "Europe/Vienna").exists()), None
    )
    if rules is None:
        pytest.skip("this machine has no zone files of its own")
    monkeypatch.delenv("TZ", raising=False)
    shutil.copy(rules, tmp_path / "localtime")
    monkeypatch.setattr("replicator.common.timezones._LOCALTIME", tmp_path / "localtime")
    summer = datetime(2026, 7, 1, tzinfo=local_zone())
    assert summer.utcoffset() == datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Vienna")).utcoffset()
