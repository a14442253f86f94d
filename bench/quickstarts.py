"""From two bare Debians to replicated guests: zsr's five-minute page, and syncoid's quick start done the same way.

Each is typed on machines of its own that were just booted (tests/support/two_debians.py).
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.env import save
from tests.support.five_minutes import commands, follow, guests
from tests.support.two_debians import RELEASES, TwoDebians, two_debians
from tests.support.typist import Typist
from tests.support.watcher import watcher
from tools.debian_package import build, kept_wheels

_KEY = "ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519"
_PUBLIC = "cat /root/.ssh/id_ed25519.pub"
_ALL = "--recursive --skip-parent tank/data root@10.0.0.12:tank/data"
_CRON = f"echo '*/15 * * * * root syncoid --quiet {_ALL}' >/etc/cron.d/syncoid"


async def _zsr(hosts: TwoDebians, folder: Path, package: Path) -> Typist:
    """All of the page: replicated guests, restore points, the way back, a mail, a scraped metric."""
    typist = Typist()
    async with watcher(hosts, folder) as watching:
        printed = await asyncio.to_thread(follow, hosts, package, typist)
        for command in (commands("3. Start")[-1], *commands("4. A metric"), *commands("5. A mail")):
            await asyncio.to_thread(typist.run, hosts.alpha, command)
        typist.lines += ["nano /etc/prometheus/prometheus.yml", "systemctl reload prometheus"]
        typist.pastes += 1
        watching.read_job(printed)
        if not await asyncio.to_thread(watching.scraped, "zsr_job_last_sync_timestamp_seconds"):
            raise SystemExit("Prometheus has no metric.")
    return typist


def _syncoid(hosts: TwoDebians, sanoid: Path) -> Typist:
    """Replicated guests, and a line for cron; no restore points, no mail, no metric."""
    typist = Typist()
    hosts.alpha.put(sanoid, "sanoid.deb")
    typist.run(hosts.alpha, "apt install ./sanoid.deb")
    typist.run(hosts.beta, "zfs create -p tank/data")
    typist.run(hosts.alpha, _KEY)
    typist.paste(
        hosts.beta, "echo '", typist.run(hosts.alpha, _PUBLIC).stdout.strip(), "' >>/root/.ssh/authorized_keys"
    )
    with typist.session(hosts.alpha, f"syncoid {_ALL}") as person:
        typist.answer(person, "(yes/no/[fingerprint])?", "yes")
        person.end()
    typist.run(hosts.alpha, f"mkdir -p /etc/cron.d && {_CRON}")
    hosts.beta.run("test $(zfs list -H -o name -t snapshot | grep -c @syncoid_) = 2")
    return typist


def _row(name: str, releases: tuple[str, str], typist: Typist) -> dict[str, object]:
    return {
        "way": name,
        "alpha": releases[0],
        "beta": releases[1],
        "lines": len(typist.lines),
        "keys": typist.keys,
        "machine_seconds": round(typist.machine_seconds, 1),
        "minutes": round(typist.minutes, 1),
        "seconds": {command: round(each, 1) for command, each in typist.seconds.items()},
    }


def main() -> None:
    """Type all of it, in both directions, and write bench/results/quickstarts.json."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = []
    with TemporaryDirectory(prefix="zsr-quickstarts-") as name:
        folder = Path(name)
        folder.chmod(0o777)  # apt fetches as a user of its own
        package = build(folder, "amd64", kept_wheels())
        subprocess.run(["apt-get", "-q", "download", "sanoid"], cwd=folder, check=True)
        (sanoid,) = folder.glob("sanoid_*.deb")
        for releases in (RELEASES, (RELEASES[1], RELEASES[0])):
            with two_debians(*releases) as hosts:
                guests(hosts.alpha)
                rows.append(_row("zsr", releases, asyncio.run(_zsr(hosts, folder, package))))
            with two_debians(*releases) as hosts:
                guests(hosts.alpha)
                rows.append(_row("syncoid", releases, _syncoid(hosts, sanoid)))
            save("quickstarts", {"quickstarts": rows})


if __name__ == "__main__":
    main()
