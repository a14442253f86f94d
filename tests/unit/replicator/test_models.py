"""Facts that more than one part needs: the forms of a job's id, and which storage owns a dataset."""

from __future__ import annotations

import pytest

from replicator.api.event_codec import from_json, to_json
from replicator.errors import ConfigError
from replicator.events import RunStarted
from replicator.models import JobId
from replicator.zfs.dataset_names import owning_path


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


class TestTheStorageThatOwnsADataset:
    PATHS = ("tank", "tank/data", "tank/data/fast", "slow")

    @pytest.mark.parametrize(
        ("dataset", "owner"),
        [
            ("tank/vm-100-disk-0", "tank"),
            ("tank/data/vm-100-disk-0", "tank/data"),
            ("tank/data/vm-100-disk-0/child", "tank/data"),
            ("tank/data/fast/vm-100-disk-0", "tank/data/fast"),
            ("slow/vm-100-disk-0", "slow"),
        ],
    )
    def test_is_the_innermost_that_it_lies_below(self, dataset: str, owner: str) -> None:
        assert owning_path(dataset, self.PATHS) == owner
        assert owning_path(dataset, reversed(self.PATHS)) == owner

    def test_is_not_one_whose_path_only_begins_like_it(self) -> None:
        assert owning_path("tank/data2/vm-100-disk-0", self.PATHS) == "tank"

    def test_is_the_one_around_it_where_it_is_itself_the_path_of_a_storage(self) -> None:
        assert owning_path("tank/data", self.PATHS) == "tank"
        assert owning_path("tank", self.PATHS) == "tank"

    def test_is_none_where_it_lies_below_none(self) -> None:
        assert owning_path("other/vm-100-disk-0", self.PATHS) is None
        assert owning_path("tank", ()) is None
