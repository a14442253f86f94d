"""docs/doctor.md has a row for each check of ``zsr doctor``, and the JSON is what its schema says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import asyncssh
import pytest

from replicator.api.doctor import Level, Line, Subject
from replicator.cli.doctor import EXIT, WIDTH, rendered
from replicator.cluster.model import Cluster
from replicator.doctor import catalogue, clocks, cluster_state, contact, zfs_state
from replicator.doctor.examination import every_check
from replicator.hosts.ssh_errors import connect_error
from replicator.models import Guest, Job, JobId, Node
from replicator.zfs.errors import listing_error
from tests.support.command_line import Zsr
from tests.support.json_schema import violations

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "doctor.md").read_text()
TABLE = TEXT.partition("<!-- checks -->")[2].partition("<!-- end of checks -->")[0]


def test_each_check_has_one_row_with_what_it_looks_at_and_what_to_do() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| \S[^|]* \| \S[^|]* \| \S[^|]* \|$", TABLE, re.MULTILINE)

    assert sorted(rows) == sorted(set(every_check()))


def test_each_level_has_its_row_with_its_exit_status() -> None:
    rows = dict(re.findall(r"^\| `(ok|off|warn|fail|unknown)` \|.*\| (\d) \|$", TEXT, re.MULTILINE))

    assert rows == {str(level): str(EXIT.get(level, 0)) for level in Level}


BETA = Node("beta", "10.0.0.12")
PROMISE = cluster_state.promises(
    Cluster(
        nodes={"alpha": Node("alpha", "10.0.0.11"), "beta": BETA},
        guests={100: Guest(100, "web", "alpha")},
        jobs={JobId(100, 0): Job(JobId(100, 0), "beta")},
    ),
    "alpha",
    1_800_000_000.0,
)
NO_KEY = connect_error(BETA, asyncssh.HostKeyNotVerifiable("Host key is not trusted"), key_is_known=False)
MISSING = listing_error("tank/data", (), "cannot open 'tank/data': dataset does not exist\n", "beta")
SESSION = [
    [*PROMISE, *contact.contact(BETA, NO_KEY), *(contact.not_asked(check, "beta") for check in catalogue.ASKED)],
    [
        *PROMISE,
        clocks.skew(Subject(catalogue.CLOCK, "beta"), -2820.0),
        clocks.synchronized(Subject(catalogue.TIME_SYNC, "beta"), is_kept=False),
        *zfs_state.storages(Subject(catalogue.STORAGES, "beta"), {"data": "tank/data"}, {}),
        *([] if MISSING is None else [Subject(catalogue.SPACE, "beta").unread(MISSING)]),
    ],
]


@pytest.mark.parametrize("lines", SESSION, ids=["before the first login", "after it"])
def test_the_session_is_what_such_faults_print(lines: list[Line]) -> None:
    *printed, _ = rendered(lines, "alpha", {"beta": BETA.address}, quiet=True)

    assert "\n".join(printed) in TEXT


def test_the_session_fits_a_terminal() -> None:
    assert [line for block in re.findall(r"```\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()
            if len(line) > WIDTH] == []  # fmt: skip


def test_the_json_is_what_the_schema_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    zsr = Zsr.on_alpha(tmp_path, capsys, monkeypatch)
    zsr.cluster_path.write_text('[nodes.alpha]\naddress = "127.0.0.1"\n')
    schema = json.loads((DOCS / "doctor.schema.json").read_text())

    said = zsr("doctor", "--format", "json")

    assert list(violations(said.json, schema, schema)) == []
    assert said.exit == said.json["exit"] == 2
    assert {line["check"] for line in said.json["lines"]} <= set(every_check())
