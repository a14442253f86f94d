"""What ``adopt``, ``restore-points`` and ``diverged`` refuse before they ask any ZFS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Zsr


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.on_alpha(tmp_path, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["adopt", "100-7"], "There is no job 100-7."),
        (["adopt", "100"], "'100' is not a job id."),
        (["adopt", "200-0"], "Job 200-0 belongs to node beta, not to alpha. Run it there."),
        (["restore-points", "100-7"], "There is no job 100-7."),
        (["diverged", "list", "--node", "delta"], "There is no node 'delta'. Known: alpha, beta, gamma."),
        (["diverged", "destroy", "delta", "rpool/data/zsr-diverged/a-1"], "There is no node 'delta'."),
        (["diverged", "open", "delta", "rpool/data/zsr-diverged/a-1"], "There is no node 'delta'."),
        (["diverged", "close", "delta", "rpool/data/zsr-diverged/a-1"], "There is no node 'delta'."),
        (["diverged", "open", "alpha", "rpool/data/vm-100-disk-0"], "These are: rpool/data/zsr-diverged."),
        (["diverged", "destroy", "alpha", "rpool/data/vm-100-disk-0"], "These are: rpool/data/zsr-diverged."),
    ],
)
def test_wrong_use_is_a_sentence_and_status_2(zsr: Zsr, arguments: list[str], sentence: str) -> None:
    zsr.well("create-local-job", "200-0", "gamma")

    said = zsr(*arguments)

    assert (said.exit, said.out) == (2, "")
    assert sentence in said.err


def test_a_job_that_is_being_removed_adopts_nothing(zsr: Zsr) -> None:
    zsr.well("create-local-job", "100-0", "beta")
    zsr.well("delete", "100-0")

    said = zsr("adopt", "100-0", "--yes")

    assert (said.exit, said.out) == (2, "")
    assert "Job 100-0 is being removed, and would destroy the datasets that it adopts." in said.err
