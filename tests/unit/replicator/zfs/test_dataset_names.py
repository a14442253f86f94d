"""The names of datasets: whose storage one lies in, and what is set aside."""

from __future__ import annotations

import pytest

from replicator.zfs.dataset_names import is_diverged, is_reseed, owning_path


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


@pytest.mark.parametrize(
    ("name", "diverged", "reseed"),
    [
        ("tank/data/vm-100-disk-0", False, False),
        ("tank/data/vm-100-disk-0-reseed", False, False),
        ("tank/data/zsr-diverged", True, False),
        ("tank/data/zsr-diverged/vm-100-disk-0-1790000000", True, False),
        ("tank/data/zsr-diverged/vm-100-disk-0-reseed", True, True),
        ("tank/data/zsr-diverged-too/vm-100-disk-0", False, False),
    ],
)
def test_what_lies_in_the_folder_of_diverged_replicas_is_no_replica(name: str, diverged: bool, reseed: bool) -> None:
    assert is_diverged(name) is diverged
    assert is_reseed(name) is reseed
