"""Facts that more than one part needs: the forms of a job's id, and which storage owns a dataset."""

from __future__ import annotations

import pytest

from replicator.api.event_codec import from_json, to_json
from replicator.errors import ConfigError
from replicator.events import RunStarted
from replicator.models import JobId


class TestJobId:
    @pytest.mark.parametrize(
        ("text", "job_id"),
        [
            ("100-0", JobId(100, 0)),
            ("pvesr:100-0", JobId(100, 0, "pvesr")),
            ("zfs:tank/data", JobId(0, 0, "zfs", "tank/data")),
            ("zfs:100-007", JobId(0, 0, "zfs", "100-007")),
        ],
    )
    def test_of_any_form_is_read_as_it_is_written(self, text: str, job_id: JobId) -> None:
        assert JobId.from_text(text) == job_id
        assert str(job_id) == text

    @pytest.mark.parametrize("text", ["pvesr:100-0", "zfs:tank/data"])
    def test_of_another_engine_is_refused_in_settings_and_commands(self, text: str) -> None:
        with pytest.raises(ConfigError, match="is not a job id"):
            JobId.parse(text)

    @pytest.mark.parametrize("text", ["", "zfs:", ":100-0", "zsr:100-0", "zfs:two words", "99-0"])
    def test_of_no_form_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match="is not a job id"):
            JobId.from_text(text)

    def test_of_another_engine_is_another_job(self) -> None:
        assert sorted([JobId(101, 0), JobId(100, 0, "pvesr"), JobId(100, 0)]) == [
            JobId(100, 0, "pvesr"),
            JobId(100, 0),
            JobId(101, 0),
        ]

    def test_of_another_engine_survives_the_journal(self) -> None:
        event = RunStarted(1.0, JobId(0, 0, "zfs", "tank/data"), 7)

        assert from_json(*to_json(event)) == event
