"""Where the lab gets Debian from: the mirror of the machine's own apt, or a sentence that says what is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "tests/lab/debian.sh"

INDEXES = """\
https://packages.example.org/tools stable stable main
http://mirror.example.org/debian {suite} {suite} contrib
http://mirror.example.org/debian {suite} {suite} main
http://other.example.org/debian {suite} {suite} main
"""
SECURITY = "http://security.example.org/debian-security bookworm-security stable-security main\n"


def sources(folder: Path, indexes: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``sources`` of debian.sh on a machine whose apt has these indexes."""
    apt_get = folder / "apt-get"
    apt_get.write_text(f"#!/bin/sh\ncat <<'EOF'\n{indexes}EOF\n")
    apt_get.chmod(0o755)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f". {SCRIPT}; sources"],
        env={"PATH": f"{folder}:/usr/bin:/bin", **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_script_names_no_mirror_of_its_own() -> None:
    assert "://" not in SCRIPT.read_text()


def test_the_first_mirror_of_apt_that_has_the_suite_is_used(tmp_path: Path) -> None:
    done = sources(tmp_path, INDEXES.format(suite="bookworm") + SECURITY)
    addresses = {line.split()[2] for line in done.stdout.splitlines()}
    assert addresses == {"http://mirror.example.org/debian", "http://security.example.org/debian-security"}
    assert "trixie-backports main" in done.stdout


def test_without_a_security_mirror_there_is_no_line_for_it(tmp_path: Path) -> None:
    done = sources(tmp_path, INDEXES.format(suite="bookworm"))
    assert done.returncode == 0
    assert "security" not in done.stdout


@pytest.mark.parametrize("indexes", ["", "https://packages.example.org/tools stable stable main\n"])
def test_where_apt_has_no_mirror_of_debian_the_missing_thing_is_said(tmp_path: Path, indexes: str) -> None:
    done = sources(tmp_path, indexes)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "The lab needs a Debian mirror" in done.stderr
    assert "ZLAB_MIRROR" in done.stderr


def test_a_mirror_that_is_set_is_used(tmp_path: Path) -> None:
    done = sources(tmp_path, "", ZLAB_MIRROR="http://near.example.org/debian")
    assert done.returncode == 0
    assert {line.split()[2] for line in done.stdout.splitlines()} == {"http://near.example.org/debian"}
