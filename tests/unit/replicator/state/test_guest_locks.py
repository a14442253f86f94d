"""The lock of a guest, with real processes: one holder, and never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from replicator.errors import BusyError, ZsrError
from replicator.state.guest_locks import guest_lock

HOLDER = """
import sys, time
from pathlib import Path
from replicator.state.guest_locks import guest_lock
with guest_lock(Path(sys.argv[1]), 100):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "locks"


def test_one_at_a_time(folder: Path) -> None:
    with guest_lock(folder, 100), pytest.raises(BusyError, match="Guest 100"), guest_lock(folder, 100):
        pass


def test_guests_do_not_lock_each_other(folder: Path) -> None:
    with guest_lock(folder, 100), guest_lock(folder, 101):
        pass


def test_free_again_afterwards_also_after_an_error(folder: Path) -> None:
    with pytest.raises(KeyError), guest_lock(folder, 100):
        raise KeyError
    with guest_lock(folder, 100):
        pass


def test_held_by_another_process_until_it_dies(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BusyError), guest_lock(folder, 100):
            pass
        holder.kill()
    with guest_lock(folder, 100):
        pass


def test_the_refusal_names_the_holder_and_since_when(folder: Path) -> None:
    words = rf"of process {os.getpid()} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\."
    with guest_lock(folder, 100), pytest.raises(BusyError, match=words), guest_lock(folder, 100):
        pass


@pytest.mark.parametrize("text", ["", "12", "a b", "1 99999999999999999999", "\xff"])
def test_a_file_that_does_not_name_the_holder_is_no_harm(folder: Path, text: str) -> None:
    with guest_lock(folder, 100):
        (folder / "guest-100.lock").write_text(text)
        with pytest.raises(BusyError, match=r"removal or thaw\. "), guest_lock(folder, 100):
            pass


def test_not_inherited_by_a_command_that_outlives_its_holder(folder: Path) -> None:
    with guest_lock(folder, 100):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with guest_lock(folder, 100):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_place_where_none_can_be_created_is_reported_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ZsrError, match="Could not create the lock"), guest_lock(tmp_path / "file", 100):
        pass
