"""``zsr reseed`` on a real ZFS: through the daemon or without it, cut off, refused for want of space."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.scenario import FS, A, Scenario

pytestmark = pytest.mark.sampled(9)


@pytest.fixture
def duo(lab: Lab, source: Node, target: Node) -> Scenario:
    """A guest with a zvol and a filesystem, replicated once."""
    duo = Scenario(lab, source, target)
    duo.zvol(A, 32)
    duo.filesystem(FS, 8)
    duo.job()
    duo.well()
    return duo


def guids(duo: Scenario) -> list[str]:
    """The identity of the replicas."""
    return [duo.value(duo.target, name, "guid") for name in (A, FS)]


def test_all_volumes_are_swapped_through_the_daemon_and_it_is_a_run_of_the_job(duo: Scenario) -> None:
    old = guids(duo)
    duo.daemon()

    said = duo.zsr("reseed", "100-0", "--yes")

    assert f"tank:{A}" in said
    assert "needs" in said
    assert not {*guids(duo)} & {*old}
    assert duo.newest_run()["outcome"] == "success"
    assert duo.newest_run()["sent_bytes"] > 20 << 20
    assert duo.same_on_both()
    assert len(duo.aside()) == 2


def test_one_that_is_cancelled_resumes_what_has_arrived_after_runs_in_between(duo: Scenario) -> None:
    duo.zsr("update", "100-0", "--rate", "4")
    duo.daemon()
    cut = duo.source.spawn(["zsr", "reseed", "100-0", f"tank:{A}", "--yes"])
    duo.until(lambda: (duo.metric("zsr_job_transfer_bytes") or 0) > 4 << 20, "4 MiB are on their way")
    duo.zsr("cancel", "100-0")
    duo.until(lambda: duo.metric("zsr_job_run_start_timestamp_seconds") is None, "the reseed has ended")
    cut.wait()
    duo.write(A, 1)
    assert duo.well() < 3 << 20
    duo.zsr("update", "100-0", "--delete", "rate")

    duo.zsr("reseed", "100-0", f"tank:{A}", "--yes")

    assert "resuming the interrupted transfer" in duo.log()
    assert duo.newest_run()["sent_bytes"] < 14 << 20
    assert duo.same_on_both()


def test_a_target_without_room_is_refused_before_anything_is_sent(duo: Scenario) -> None:
    duo.target.run(f"zfs set quota=60M {duo.target.path()}")
    before = guids(duo)

    done = duo.source.zsr("reseed", "100-0", "--yes", check=False)

    assert done.returncode == 1
    assert "the new replicas need" in done.stderr
    assert guids(duo) == before
    assert duo.newest_run()["outcome"] == "success"


def test_without_a_person_to_ask_nothing_is_sent(duo: Scenario) -> None:
    before = guids(duo)

    assert duo.source.zsr("reseed", "100-0", check=False).returncode == 2

    assert guids(duo) == before
