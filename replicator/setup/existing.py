"""What is set up already: the settings and the cluster file as they are, and how to log in by drafts of keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replicator.cluster.file_store import FileStore
from replicator.cluster.model import Cluster
from replicator.config.problems import read_toml
from replicator.config.settings import cluster_settings
from replicator.config.ssh import SshSettings
from replicator.errors import ConfigError
from replicator.hosts.known_hosts import KnownHosts
from replicator.models import Node
from replicator.setup.files import may_write, read_text
from replicator.setup.ssh_keys import LoginKey

NEW_KEY = "~/.ssh/zsr_ed25519"
"""The key that is offered where none is set."""
DEFAULT_CLUSTER = Path("/etc/zsr/cluster.toml")


@dataclass(frozen=True, slots=True)
class Existing:
    """The files as they are; ``raw`` is empty and ``cluster`` None where there are none."""

    path: Path
    raw: Mapping[str, Any]
    cluster_path: Path
    cluster: Cluster | None

    @property
    def node(self) -> str | None:
        """The name of this node."""
        name = self.raw.get("node")
        return name if isinstance(name, str) else None

    @property
    def key(self) -> Path:
        """The key with which this node logs in, or the one that is offered."""
        keys = self.raw.get("ssh", {}).get("key") or NEW_KEY
        return Path(keys if isinstance(keys, str) else keys[0]).expanduser()

    @property
    def known_hosts(self) -> KnownHosts:
        """The known host keys."""
        return KnownHosts(self.raw.get("ssh", {}).get("known_hosts"))

    @property
    def known_hosts_path(self) -> Path:
        """The file to which a known host key is added."""
        return Path(self.raw.get("ssh", {}).get("known_hosts") or "~/.ssh/known_hosts").expanduser()

    @property
    def targets(self) -> list[str]:
        """The names of the targets of messages."""
        return [str(each.get("name")) for each in self.raw.get("notify", ()) if isinstance(each, Mapping)]

    @property
    def prometheus(self) -> str | None:
        """The URL of the Prometheus that is set."""
        found = self.raw.get("doctor", {}).get("prometheus")
        return found if isinstance(found, str) else None

    def known_node(self, name: str) -> Node | None:
        """Return a node of the cluster file."""
        return None if self.cluster is None else self.cluster.nodes.get(name)


def read_existing(path: Path) -> Existing:
    """Return what is set up.

    Raises:
        ConfigError: a file is there and wrong, or this user may not write there.
    """
    raw, cluster_path = {}, path.absolute().parent / DEFAULT_CLUSTER.name
    if read_text(path) is not None:
        raw = read_toml(path, "")
        cluster_path = cluster_settings(path).path
    for each in (path, cluster_path):
        if not may_write(each):
            raise ConfigError(f"'{each}' cannot be written by this user.", advice="Run zsr setup as root.")
    text = read_text(cluster_path)
    cluster = None if text is None else FileStore(cluster_path).parsed(text)
    return Existing(path, raw, cluster_path, cluster)


def trial_ssh(folder: Path, existing: Existing, key: LoginKey, lines: Iterable[str] = ()) -> SshSettings:
    """Return how to log in with a key that may not be written yet, where some host keys are not either.

    Without the agent: it may hold a key of the person who types, which the daemon does not have.

    Args:
        folder: for the drafts, which end with it.
        existing: what is set up.
        key: the key.
        lines: host keys that a person has confirmed.
    """
    path = key.path
    if key.private is not None:
        path = folder / "key"
        path.touch(mode=0o600)
        path.write_text(key.private)
        path.with_name("key.pub").write_text(f"{key.public}\n")
    known = [text for file in existing.known_hosts.files() if (text := read_text(file)) is not None]
    drafts = folder / "known_hosts"
    drafts.write_text("\n".join([*known, *lines, ""]))
    return SshSettings(str(drafts), (str(path),), agent=False)
