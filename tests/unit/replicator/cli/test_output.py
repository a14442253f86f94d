"""Asking at a terminal: no is the default, and without a terminal nothing is assumed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

ASK = "from replicator.cli.output import confirmed; print('said', confirmed('Really?'))"


def answer(text: str) -> str:
    """What is said by a process that asks at a terminal, where this is typed."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, text.encode())
        done = subprocess.run(
            [sys.executable, "-c", ASK], stdin=theirs, capture_output=True, text=True, check=True, timeout=60
        )
    finally:
        os.close(theirs)
        os.close(ours)
    return done.stdout


@pytest.mark.parametrize(("typed", "meant"), [("y\n", "True"), ("n\n", "False"), ("\n", "False")])
def test_only_yes_is_yes(typed: str, meant: str) -> None:
    said = answer(typed)

    assert "Really? [y/N]" in said
    assert said.endswith(f"said {meant}\n")


def test_without_a_terminal_nothing_is_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode != 0
    assert "said" not in done.stdout
    assert "There is no terminal to ask at. Confirm with --yes." in done.stderr
