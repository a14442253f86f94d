"""Install the peers in a lab node: syncoid (Debian), bzfs and zfs-autobackup (PyPI)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.lab import Node

FOLDER = "/opt/peers"
ENVIRONMENT = f"env PERL5LIB={FOLDER}/perl PYTHONPATH={FOLDER}/site"
_DEBS = ("sanoid", "libcapture-tiny-perl")
_WHEELS = ("bzfs==1.25.0", "zfs-autobackup==3.3")


def fetch(folder: Path) -> dict[str, str]:
    """Put the peers into a folder as a node wants them; the version of each.

    Raises:
        subprocess.CalledProcessError: a registry does not give them.
    """
    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        work.chmod(0o777)  # apt fetches as a user of its own
        subprocess.run(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=400", "download", *_DEBS], cwd=work, check=True)
        for deb in work.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", deb, work / "tree"], check=True)
        sanoid = next(work.glob("sanoid_*.deb")).name.split("_")[1]
        shutil.copytree(work / "tree/usr/share/perl5", folder / "perl")
        shutil.copytree(work / "tree/usr/sbin", folder / "sbin")
    target = str(folder / "site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, *_WHEELS], check=True
    )
    for tests in ("bzfs_tests", "bzfs_testbed"):
        shutil.rmtree(folder / "site" / tests, ignore_errors=True)
    return {"syncoid": sanoid} | dict(wheel.split("==") for wheel in _WHEELS)


def put(node: Node) -> dict[str, str]:
    """Fetch the peers and copy them to a node; the version of each."""
    with TemporaryDirectory() as temporary:
        versions = fetch(Path(temporary) / "peers")
        node.put(Path(temporary) / "peers", FOLDER)
    return versions
