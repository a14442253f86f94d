"""The settings of drills in the cluster file: of a guest, or of all guests."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from replicator.cluster.file_store import FileStore
from replicator.cluster.toml_schema import read_cluster
from replicator.models import DRILL_TIMEOUT_SECONDS, Guest

CLUSTER = """
[nodes.alpha]
address = "local"
[guests.100]
node = "alpha"
"""


def guest(of_guest: str = "", defaults: str = "") -> Guest:
    """The guest of a file without problems."""
    cluster, problems = read_cluster(tomllib.loads(f"{CLUSTER}{of_guest}\n[defaults]\n{defaults}\n"), "")
    assert problems == []
    return cluster.guests[100]


def test_nothing_is_drilled_by_itself_without_a_schedule() -> None:
    assert (guest().drill, guest().check, guest().drill_timeout) == (None, None, DRILL_TIMEOUT_SECONDS)


def test_the_defaults_count_for_guests_that_do_not_say_otherwise() -> None:
    assert guest(defaults='drill = "sun 02:00"\ndrill_timeout = "1h"').drill == "sun 02:00"
    assert guest(defaults='drill_timeout = "1h"').drill_timeout == 3600
    own = guest('drill = "mon 03:00"\ndrill_timeout = "2h"\ncheck = "true"', 'drill = "sun 02:00"')
    assert (own.drill, own.drill_timeout, own.check) == ("mon 03:00", 7200, "true")


def test_a_guest_may_be_left_out() -> None:
    assert guest('drill = "off"', 'drill = "sun 02:00"').drill is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('drill = "never on sunday"', "guests.100.drill"),
        ('check = ""', "guests.100.check"),
        ("drill_timeout = 0", "guests.100.drill_timeout"),
        ('[defaults]\ndrill = "never on sunday"', "guests.100.drill"),
        ('[defaults]\nschedule = "*/15"', "defaults.schedule"),
        ("[defaults]\ndrill_timeout = 0", "defaults.drill_timeout"),
    ],
)
def test_a_wrong_one_is_named(text: str, key: str) -> None:
    _, problems = read_cluster(tomllib.loads(f"{CLUSTER}{text}\n"), "")
    assert [problem.key for problem in problems] == [key]


def test_a_check_is_refused_from_a_file_that_others_may_write(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(f'{CLUSTER}check = "true"\n')
    path.chmod(0o600)
    assert FileStore(path).read().guests[100].hooks_refused == ""
    path.chmod(0o666)
    assert FileStore(path).read().guests[100].hooks_refused
