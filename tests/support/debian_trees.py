"""Trees of files of clean Debians, made once and kept, and such trees with zsr's package installed."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]
_OWN_MOUNTS = ROOT / "tests/lab/own_mounts"
INCLUDED = "python3,systemd,procps"
"""What is there besides the smallest system: what the package depends on, and PID 1."""

_MIRROR = '. tests/lab/debian.sh; SUITE=$0; mirror ""'
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_KEPT_SECONDS = 86_400.0


class NoTreeError(Exception):
    """There can be no such tree here; the text says why."""


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zsr" / "debian"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time makes what is kept in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def clean(suite: str) -> Path:
    """Return the tree of a Debian, which takes a minute or two where there is none yet.

    Raises:
        NoTreeError: it cannot be made here.
    """
    folder = cache() / f"{suite}-{sha256(INCLUDED.encode()).hexdigest()[:8]}"
    with locked(cache()):
        if not folder.is_dir():
            fresh = folder.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            _bootstrap(suite, fresh)
            fresh.rename(folder)
    return folder


def _bootstrap(suite: str, folder: Path) -> None:
    if os.geteuid() != 0:
        raise NoTreeError("it needs root")
    if shutil.which("mmdebstrap") is None:
        raise NoTreeError("mmdebstrap is not installed (apt install mmdebstrap)")
    mirror = subprocess.run(["bash", "-c", _MIRROR, suite], cwd=ROOT, capture_output=True, text=True, check=False)
    if not (address := mirror.stdout.strip()):
        raise NoTreeError(f"no mirror of Debian {suite} is known: {mirror.stderr.strip()}")
    apt = [line for line in _apt_settings() if line.startswith("Acquire::http")]
    argv = [str(_OWN_MOUNTS), "nice", "-n", "10", "mmdebstrap"]
    argv += ["--quiet", "--mode=root", "--variant=minbase", f"--include={INCLUDED}"]
    argv += [f"--aptopt={each}" for each in (*apt, 'APT::Install-Recommends "false"', 'APT::Sandbox::User "root"')]
    argv += [suite, str(folder), f"deb [signed-by={_KEYRING}] {address} {suite} main"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoTreeError(f"mmdebstrap failed: {done.stderr.strip()[-500:]}")


def _apt_settings() -> list[str]:
    return subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout.splitlines()


def installed(suite: str, package: Path) -> Path:
    """Return the tree of a clean Debian in which a package was installed by dpkg, without a systemd that runs."""
    base = clean(suite)
    digest = sha256(package.read_bytes() + base.name.encode()).hexdigest()[:16]
    folder = cache() / f"installed-{suite}-{digest}"
    with locked(cache()):
        if not folder.is_dir():
            for old in cache().glob(f"installed-{suite}-*"):
                if old.stat().st_mtime < time.time() - _KEPT_SECONDS:
                    shutil.rmtree(old)
            fresh = folder.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            subprocess.run(["cp", "-a", "--reflink=auto", base, fresh], check=True)
            shutil.copy(package, fresh / "root" / "zsr.deb")
            done = subprocess.run(
                ["chroot", fresh, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin", "dpkg", "-i", "/root/zsr.deb"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            fresh.touch()
            fresh.rename(folder)
    return folder
