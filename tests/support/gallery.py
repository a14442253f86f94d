"""The environment of the dashboards' screenshots: the demo's daemon, one for its target, real ZFS, one broken job.

alpha replicates three guests to beta each minute; the job 102-1 to gamma is broken, for gamma does not answer. Guests
write all the time. A real Prometheus looks on, with the alert rules.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientSession

from demo.env import DemoEnv, set_up
from demo.sandbox import MIB, Sandbox
from demo.servers import free_port
from demo.webhook import inbox
from demo.writer import write
from replicator.daemon.control import call
from tests.support.prometheus import Prometheus, prometheus

ROOT = Path(__file__).parents[2]
SCRAPE = 5
"""Seconds between two scrapes."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """What the pictures are of."""

    prometheus: Prometheus
    stage: DemoEnv

    async def jobs(self) -> Mapping[str, Mapping[str, Any]]:
        """The jobs of alpha as its daemon reports them over the control socket, by id."""
        answer = await call(self.stage.control, {"verb": "status"})
        assert isinstance(answer, dict)
        return {str(job["id"]): job for job in answer["jobs"]}


def _more(stage: DemoEnv) -> None:
    """A third guest, and a second target for the mail server that is not there."""
    volume = "subvol-103-disk-0"
    stage.sandbox.zfs("create", stage.source(volume))
    stage.sandbox.fill(stage.source(volume), size=8 * MIB, seed=103)
    cluster = stage.sandbox.directory / "cluster.toml"
    cluster.write_text(
        cluster.read_text()
        + '\n[guests.103]\nname = "files"\nnode = "alpha"\n'
        + f'\n[nodes.gamma]\naddress = "127.0.0.1"\nport = {free_port()}\n'
    )
    stage.zsr("create-local-job", "103-0", "beta", "--schedule", "*/1")
    stage.zsr("create-local-job", "102-1", "gamma", "--schedule", "*/1")


def _second_daemon(stage: DemoEnv, listen: str) -> subprocess.Popen[bytes]:
    """Start the daemon of beta, which runs no jobs and holds what alpha sends."""
    folder = stage.sandbox.directory
    (folder / "beta-state").mkdir(mode=0o700)
    text = stage.settings.read_text()
    for old, new in (
        ('node = "alpha"', 'node = "beta"'),
        (f'"{folder / "state"}"', f'"{folder / "beta-state"}"'),
        (str(stage.control), str(folder / "beta.sock")),
        (stage.listen, listen),
    ):
        assert old in text
        text = text.replace(old, new)
    settings = folder / "beta.toml"
    settings.write_text(text)
    settings.chmod(0o600)
    return stage.sandbox.spawn(lambda: _start(settings, folder / "beta.log"))


def _start(settings: Path, log: Path) -> subprocess.Popen[bytes]:
    zsr = Path(sys.executable).with_name("zsr")
    with log.open("wb") as output:
        return subprocess.Popen(
            [str(zsr), "--config", str(settings), "daemon"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _name(settings: Path, nodes: Mapping[str, str]) -> None:
    """Let Prometheus scrape the daemons under the names that they have in a real cluster, with the cluster's name."""
    text = yaml.safe_load(settings.read_text())
    (zsr,) = text["scrape_configs"]
    zsr["static_configs"] = [
        {"targets": [address], "labels": {"instance": name, "cluster": "demo"}} for name, address in nodes.items()
    ]
    settings.write_text(yaml.safe_dump(text))


async def _reload(server: Prometheus) -> None:
    async with ClientSession() as session, session.post(f"{server.url}/-/reload") as answer:
        assert answer.status == 200, await answer.text()


@asynccontextmanager
async def gallery(directory: Path) -> AsyncIterator[Gallery]:
    """Run the scene while the context lasts."""
    alpha, beta = (f"127.0.0.1:{free_port()}" for _ in range(2))
    rules = sorted((ROOT / "alerts/rules").glob("*.yml"))
    with Sandbox("gallery") as sandbox:
        async with inbox() as box:
            stage = await asyncio.to_thread(set_up, sandbox, listen=alpha, webhook_port=box.port)
            await asyncio.to_thread(_more, stage)
            daemons = [stage.daemon(), _second_daemon(stage, beta)]
            folders = [sandbox.mountpoint(stage.source(volume)) for volume in (*stage.volumes, "subvol-103-disk-0")]
            writer = asyncio.create_task(write(folders))
            try:
                async with prometheus(
                    directory,
                    [],
                    interval=f"{SCRAPE}s",
                    rules=[rule for rule in rules if not rule.stem.endswith("_test")],
                    flags=["--web.enable-lifecycle"],
                ) as server:
                    _name(directory / "prometheus.yml", {"alpha:9847": alpha, "beta:9847": beta})
                    await _reload(server)
                    yield Gallery(server, stage)
            finally:
                writer.cancel()
                with suppress(asyncio.CancelledError):
                    await writer
                for daemon in daemons:
                    daemon.terminate()
                for daemon in daemons:
                    await asyncio.to_thread(daemon.wait, 30)
