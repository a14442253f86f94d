"""A site of real parts on one machine: nodes with sshd and daemons, real ZFS, Prometheus with the rules, Alertmanager.

Guest 100 ("web") of alpha is replicated to beta as in `tests.support.states`. Hurried are the daemons' background looks
(`tests.support.hurried_zsr`) and the rules: no ``for``, and an hour of a range or an offset is a minute.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml
from prometheus_client.parser import text_string_to_metric_families

from demo.engine import SandboxError, run_patiently
from demo.prometheus import (
    alertmanager_command,
    alertmanager_settings,
    hurried,
    prometheus_command,
    prometheus_settings,
    shipped_rules,
)
from demo.sandbox import MIB, Sandbox
from demo.servers import LOOPBACK, end, free_port
from replicator.common.durations import parse_duration
from tests.support.prometheus import binary
from tests.support.real_node import PATIENCE, RealNode, until
from tests.support.scraped import Series

VOLUME = "subvol-100-disk-0"
JOB = '[jobs.100-0]\ntarget = "beta"\n'
WITHOUT_FOR = 1_000_000
RANGE = 60
"""By how much ranges and offsets are shorter; none gets shorter than `SHORTEST` seconds."""
SHORTEST = 4.0


def hurried_rules(folder: Path) -> list[Path]:
    """The shipped rules, made quick."""
    files = []
    for path in shipped_rules():
        rules = hurried(yaml.safe_load(path.read_text()), interval="1s", times=WITHOUT_FOR)
        for group in rules["groups"]:
            group["rules"] = [{**rule, "expr": _shorter(rule["expr"])} for rule in group["rules"]]
        file = folder / path.name
        file.write_text(yaml.safe_dump(rules))
        files.append(file)
    return files


def _shorter(expression: str) -> str:
    return re.sub(r"(?<=\[)\w+(?=\])|(?<=offset )\w+", lambda found: _span(found[0]), expression)


def _span(text: str) -> str:
    return f"{max(SHORTEST, parse_duration(text) / RANGE) * 1000:.0f}ms"


def holders(folder: str) -> str:
    """The processes that see a mount below a folder in a namespace of their own, or have an argument below it."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            apart = (place / "ns" / "mnt").readlink() != Path("/proc/self/ns/mnt").readlink()
            if folder in words or "zfs" in words or (apart and folder in (place / "mountinfo").read_text()):
                found.append(f"{place.name} {'in a namespace of its own: ' if apart else ''}{words[:200]}")
    return "\n".join(found)


class RealSite:
    """The site. It begins with all well: the first run has succeeded, and both nodes are watched."""

    def __init__(self, sandbox: Sandbox, *, job: str = JOB) -> None:
        self.sandbox = sandbox
        self._stack = ExitStack()
        self._watchers: dict[str, str] = {}
        self._seed = 0
        self.nodes: dict[str, RealNode] = {}
        self.job = job
        try:
            self._begin()
        except BaseException as error:
            try:
                self.close()
            except SandboxError as also:
                error.add_note(f"Its end failed too: {also}")
            raise

    def _begin(self) -> None:
        folder = self.sandbox.directory
        Path("/run/sshd").mkdir(exist_ok=True)
        (folder / "key").unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
        self.pools = {name: self._pool(name) for name in ("alpha", "beta")}
        self.zfs("create", self.source(VOLUME))
        self.change()
        for name in ("alpha", "beta"):
            self.add_node(name)
        self.write_cluster()
        for node in self.nodes.values():
            node.start()
        self._watch()
        self.until(
            lambda: self.value("zsr_job_last_sync_timestamp_seconds", zsr_job="100-0") is not None, "a first run"
        )

    def _pool(self, name: str) -> str:
        pool = self.sandbox.pool(name)
        self._stack.callback(self.sandbox.destroy, pool)
        self.zfs("create", f"{pool.name}/data")
        return pool.name

    def close(self) -> None:
        """End all of it."""
        for node in self.nodes.values():
            node.close()
        try:
            self._stack.close()
        except SandboxError as error:
            error.add_note(holders(str(self.sandbox.directory)))
            raise
        for name in self.nodes:
            subprocess.run(["rm", "-rf", str(self.nodes[name].folder)], check=True)

    # --- nodes

    def add_node(self, name: str, *, node: str | None = None, boot: str | None = None) -> RealNode:
        """Set up a node with sshd, without a daemon."""
        made = RealNode(name, self.sandbox, self.sandbox.directory / "run")
        self.nodes[name] = made
        made.set_up(node=node, boot=boot)
        key = (self.sandbox.directory / "key.pub").read_text()
        (made.folder / "authorized_keys").write_text(key)
        made.start_ssh()
        self.exchange_host_keys()
        return made

    def exchange_host_keys(self) -> None:
        """Let each node know the host keys of all."""
        lines = [
            f"[{LOOPBACK}]:{node.port} {' '.join((node.folder / 'host-key.pub').read_text().split()[:2])}\n"
            for node in self.nodes.values()
        ]
        for node in self.nodes.values():
            (node.folder / "known_hosts").write_text("".join(lines))

    @property
    def alpha(self) -> RealNode:
        """The source."""
        return self.nodes["alpha"]

    @property
    def beta(self) -> RealNode:
        """The target."""
        return self.nodes["beta"]

    def cluster(self) -> str:
        """The cluster file without jobs."""
        nodes = "".join(
            f'[nodes.{name}]\naddress = "{LOOPBACK}"\nport = {self.nodes[name].port}\n' for name in ("alpha", "beta")
        )
        return (
            f'{nodes}[storages.local-zfs]\npath = "{self.pools["alpha"]}/data"\n'
            f'paths = {{ beta = "{self.pools["beta"]}/data" }}\n[guests.100]\nname = "web"\nnode = "alpha"\n'
        )

    def write_cluster(self, text: str | None = None, *, nodes: Sequence[str] = ()) -> None:
        """Write the cluster file of these nodes, by default of all, as an editor does."""
        for name in nodes or self.nodes:
            fresh = self.nodes[name].folder / "editor"
            fresh.write_text(self.cluster() + self.job if text is None else text)
            fresh.replace(self.nodes[name].cluster)

    def edit(self, old: str, new: str, *, nodes: Sequence[str] = ()) -> None:
        """Replace a part of the cluster file, which must be there."""
        for name in nodes or self.nodes:
            text = self.nodes[name].cluster.read_text()
            assert old in text, f"{old!r} is not in {text}"
            self.write_cluster(text.replace(old, new), nodes=[name])

    def set_clocks(self, ahead: float) -> None:
        """Set the clocks of all nodes."""
        for node in self.nodes.values():
            node.set_clock(ahead)

    # --- ZFS

    def zfs(self, *arguments: str) -> str:
        """Run ``zfs`` as a person does, again while it says that a dataset is busy."""
        return run_patiently("zfs", *arguments)

    def source(self, volume: str = VOLUME) -> str:
        """A volume's dataset on alpha."""
        return f"{self.pools['alpha']}/data/{volume}"

    def replica(self, volume: str = VOLUME) -> str:
        """A volume's dataset on beta."""
        return f"{self.pools['beta']}/data/{volume}"

    def change(self, size: int = MIB, volume: str = VOLUME) -> None:
        """Write into a volume of the guest."""
        self._seed += 1
        self.sandbox.fill(self.source(volume), size, seed=self._seed)

    def snapshots(self, dataset: str) -> list[str]:
        """The names of a dataset's snapshots, oldest first."""
        lines = self.zfs("list", "-H", "-t", "snapshot", "-o", "name", "-s", "createtxg", "-r", dataset).split("\n")
        return [line for line in lines if line.startswith(f"{dataset}@")]

    # --- what is seen

    def _watch(self) -> None:
        folder = self.sandbox.directory / "watch"
        subprocess.run(["rm", "-rf", str(folder)], check=True)
        folder.mkdir()
        self._targets = folder / "targets.json"
        self.scrape_from(*self.nodes)
        self._start("alertmanager", alertmanager_command, alertmanager_settings(), folder)
        settings = prometheus_settings([], rules=hurried_rules(folder), alertmanagers=[self._watchers["alertmanager"]])
        discovery = [{"files": [str(self._targets)], "refresh_interval": "1s"}]
        settings["scrape_configs"] = [{"job_name": "zsr", "file_sd_configs": discovery}]
        self._settings = settings
        self._prometheus = self._start("prometheus", prometheus_command, settings, folder)

    def _start(
        self, name: str, command: Callable[..., list[str]], settings: Mapping[str, Any], folder: Path
    ) -> subprocess.Popen[bytes]:
        program = binary("prometheus-alertmanager" if name == "alertmanager" else name)
        address = self._watchers[name] = f"{LOOPBACK}:{free_port()}"
        argv = command(program, folder, settings, address)
        with (folder / f"{name}.log").open("wb") as log:
            begun = self.sandbox.spawn(
                lambda: subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            )
        self._stack.callback(end, begun)
        ready, said = f"http://{address}/-/ready", folder / f"{name}.log"
        until(lambda: _get(ready), lambda: said.read_text())  # noqa: PLW0108 - the file is there later
        return begun

    def reload(self, *, unloaded: frozenset[str] = frozenset(), **scrape: object) -> None:
        """Let Prometheus leave out rule files, and scrape with further settings."""
        job = self._settings["scrape_configs"][0]
        files = [path for path in self._settings["rule_files"] if Path(path).name not in unloaded]
        text = yaml.safe_dump({**self._settings, "rule_files": files, "scrape_configs": [{**job, **scrape}]})
        (self.sandbox.directory / "watch" / "prometheus.yml").write_text(text)
        self._prometheus.send_signal(signal.SIGHUP)

    def scrape_from(self, *names: str, **others: str) -> None:
        """Let Prometheus scrape these nodes, and other addresses by the names of their instances."""
        addresses = {**{name: self.nodes[name].listen for name in names}, **others}
        groups = [{"targets": [address], "labels": {"instance": name}} for name, address in addresses.items()]
        fresh = self._targets.with_suffix(".new")
        fresh.write_text(json.dumps(groups))
        fresh.replace(self._targets)

    def ask(self, path: str, **parameters: str) -> Any:
        """The ``data`` of an answer of Prometheus' API."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return json.loads(_get(f"http://{self._watchers['prometheus']}/api/v1/{path}{query}") or "{}")["data"]

    def alerts(self) -> list[dict[str, str]]:
        """The labels of the alerts that fire in Prometheus."""
        return [dict(each["labels"]) for each in self.ask("alerts")["alerts"] if each["state"] == "firing"]

    def received(self) -> list[dict[str, str]]:
        """The labels of the alerts that Alertmanager has."""
        answer = _get(f"http://{self._watchers['alertmanager']}/api/v2/alerts")
        return [dict(each["labels"]) for each in json.loads(answer or "[]")]

    def metrics(self, name: str = "alpha") -> dict[Series, float]:
        """All series of a node's /metrics; none while it does not answer."""
        text = _get(f"http://{self.nodes[name].listen}/metrics") or ""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, metric: str, at: str = "alpha", **labels: str) -> float | None:
        """The value of the series of a node's metric that has these labels; None: there is none."""
        wanted = set(labels.items())
        found = self.metrics(at)
        return next((value for (name, has), value in found.items() if name == metric and wanted <= has), None)

    def until(self, holds: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
        """Wait for something that comes by itself."""
        until(holds, lambda: f"{what}\n{self.said()}", patience)

    def said(self) -> str:
        """The end of what the daemons wrote, and the alerts, for a message about a failure."""
        logs = [f"--- {name}\n{node.log.read_text()[-2500:]}" for name, node in self.nodes.items() if node.log.exists()]
        firing = "\n".join(map(str, self.alerts())) if "prometheus" in self._watchers else ""
        return "\n".join([*logs, firing])

    def run(self, job: str = "100-0") -> None:
        """Let a job run now, to its end, with something to send."""
        self.change()
        self.alpha.zsr("run", "--id", job)

    def failed(self, times: int = 3, job: str = "100-0", node: str = "alpha") -> None:
        """Wait until the runs of a job have failed so often in a row."""
        self.until(
            lambda: (self.value("zsr_job_consecutive_failures", node, zsr_job=job) or 0) >= times, f"{times} failures"
        )

    @staticmethod
    def now() -> float:
        """The time of this machine."""
        return time.time()

    def let(self, seconds: float) -> None:
        """Let time pass in which nothing is to happen."""
        time.sleep(seconds)


def _get(url: str) -> str | None:
    """What a URL answers; None: no answer that is good."""
    try:
        with urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except (URLError, OSError, TimeoutError):
        return None
