"""The demo's environment: two pools as the nodes alpha and beta, two guests, settings, and the real ``zsr``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from demo.engine import SandboxError
from demo.sandbox import MIB, Pool, Sandbox

GUESTS = {101: "web", 102: "mail"}
DISKS = (0, 1)
SCHEDULE = "*/1"
_ZSR_TIMEOUT = 60.0
_POOL_SIZE = 1024 * MIB


@dataclass(frozen=True, slots=True)
class DemoEnv:
    """All that is set up before the daemon starts; ``listen`` is where the exporter will answer."""

    sandbox: Sandbox
    alpha: Pool
    beta: Pool
    listen: str

    @property
    def settings(self) -> Path:
        """The node's zsr.toml."""
        return self.sandbox.directory / "zsr.toml"

    @property
    def control(self) -> Path:
        """The daemon's control socket."""
        return self.sandbox.directory / "control.sock"

    @property
    def log(self) -> Path:
        """What the daemon writes."""
        return self.sandbox.directory / "daemon.log"

    @property
    def volumes(self) -> tuple[str, ...]:
        """The names of all guests' volumes, the same on both nodes."""
        return tuple(f"subvol-{guest}-disk-{disk}" for guest in GUESTS for disk in DISKS)

    def source(self, volume: str) -> str:
        """A volume's dataset on alpha."""
        return f"{self.alpha.name}/data/{volume}"

    def replica(self, volume: str) -> str:
        """A volume's dataset on beta."""
        return f"{self.beta.name}/data/{volume}"

    @property
    def command(self) -> str:
        """``zsr`` as a user types it in another terminal to speak with this daemon."""
        return f"{os.path.relpath(_zsr())} --config {self.settings}"

    def zsr(self, *arguments: str) -> str:
        """Run the real ``zsr`` with this stage's settings; raises SandboxError with its words."""
        argv = [str(_zsr()), "--config", str(self.settings), *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_ZSR_TIMEOUT, check=False)
        if done.returncode != 0:
            raise SandboxError(f"'{' '.join(argv)}' failed with status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def daemon(self) -> subprocess.Popen[bytes]:
        """Start ``zsr daemon``; it ends with the sandbox."""
        with self.log.open("wb") as log:
            return self.sandbox.spawn(
                lambda: subprocess.Popen(
                    [str(_zsr()), "--config", str(self.settings), "daemon"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the demo, which then ends the daemon in order
                )
            )


def set_up(sandbox: Sandbox, *, listen: str, webhook_port: int) -> DemoEnv:
    """Make pools, volumes, both files of settings and the jobs. Raises SandboxError."""
    stage = DemoEnv(sandbox, sandbox.pool("alpha", _POOL_SIZE), sandbox.pool("beta", _POOL_SIZE), listen)
    for pool in (stage.alpha, stage.beta):
        sandbox.zfs("create", f"{pool.name}/data")
    for seed, volume in enumerate(stage.volumes):
        sandbox.zfs("create", stage.source(volume))
        sandbox.fill(stage.source(volume), size=4 * MIB, seed=seed)
    _write_settings(stage, webhook_port)
    stage.zsr("config", "check")
    for guest in GUESTS:
        stage.zsr("create-local-job", f"{guest}-0", "beta", "--schedule", SCHEDULE)
    return stage


def _write_settings(stage: DemoEnv, webhook_port: int) -> None:
    folder = stage.sandbox.directory
    cluster = folder / "cluster.toml"
    guests = "".join(
        f'\n[guests.{number}]\nname = {json.dumps(name)}\nnode = "alpha"\n' for number, name in GUESTS.items()
    )
    cluster.write_text(
        "# What the nodes share. Both nodes of the demo are this machine; each has its own pool.\n"
        '[nodes.alpha]\naddress = "local"\n\n[nodes.beta]\naddress = "local"\n\n'
        f'[storages.data]\npath = "{stage.alpha.name}/data"\npaths = {{ beta = "{stage.beta.name}/data" }}\n{guests}'
    )
    stage.settings.write_text(
        "# The settings of node alpha.\n"
        f'node = "alpha"\nstate_dir = "{folder / "state"}"\ncontrol = "{stage.control}"\n\n'
        f'[cluster]\nstore = "file"\npath = "{cluster}"\n\n'
        f'[exporter]\nlisten = "{stage.listen}"\n\n'
        f'[[notify]]\nname = "demo"\nurl = "json://127.0.0.1:{webhook_port}"\n'
    )
    stage.settings.chmod(0o600)
    (folder / "state").mkdir(mode=0o700)


def _zsr() -> Path:
    """The ``zsr`` of this very virtual environment."""
    return Path(sys.executable).with_name("zsr")
