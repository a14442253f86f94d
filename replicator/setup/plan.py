"""What is to be written, known as a whole before anything is: the texts, and the keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from replicator.cluster.file_store import FileStore
from replicator.cluster.model import Cluster
from replicator.cluster.replication_cfg import read_pvesr_jobs
from replicator.common.timezones import local_zone
from replicator.config.settings import PROXMOX_CONFIG, Settings, load_settings
from replicator.config.ssh import SshSettings
from replicator.errors import ConfigError
from replicator.setup.answers import Answers
from replicator.setup.existing import DEFAULT_CLUSTER, Existing
from replicator.setup.files import FileChange, add_line, read_text, write_cluster, write_file, write_key
from replicator.setup.ssh_keys import LoginKey
from replicator.setup.texts import cluster_text, settings_text, with_cluster_path


@dataclass(frozen=True, slots=True)
class Gathered:
    """The answers; the key, which may not be written yet; and the host keys that known_hosts does not have yet."""

    answers: Answers
    key: LoginKey
    known_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The files of this node, the key, and the lines that known_hosts gets."""

    gathered: Gathered
    settings: FileChange
    cluster: FileChange
    known_hosts: Path
    metrics_here: bool

    @property
    def is_needed(self) -> bool:
        """Whether anything here changes."""
        fresh = self.gathered.key.private is not None or bool(self.gathered.known_lines)
        return fresh or self.settings.is_needed or self.cluster.is_needed


def make_plan(gathered: Gathered, existing: Existing, *, metrics_here: bool) -> Plan:
    """Return what follows from the answers.

    Raises:
        ConfigError: they do not go together with what is in the files.
    """
    answers, path = gathered.answers, existing.cluster_path
    before, cluster = read_text(existing.path), read_text(path)
    pvesr = read_pvesr_jobs(PROXMOX_CONFIG / "replication.cfg")
    settings = settings_text(before, answers, metrics_here=metrics_here)
    if before is None and path != DEFAULT_CLUSTER:
        settings = with_cluster_path(settings, path)
    return Plan(
        gathered,
        FileChange(existing.path, before, settings),
        FileChange(path, cluster, cluster_text(cluster, answers, path, pvesr, local_zone())),
        existing.known_hosts_path,
        metrics_here,
    )


def drafted(plan: Plan, ssh: SshSettings, folder: Path) -> tuple[Settings, Cluster]:
    """Return settings and cluster as they will be, read from drafts in a folder; ``ssh``: how to log in until then.

    Raises:
        ConfigError: a plugin refuses its section.
    """
    draft = folder / "zsr.toml"
    draft.touch(mode=0o600)
    draft.write_text(plan.settings.after)
    try:
        settings = load_settings(draft)
    except ConfigError as error:
        what = str(error).replace(str(draft), str(plan.settings.path))
        raise ConfigError(what, advice="Nothing was written.") from None
    return replace(settings, ssh=ssh, path=plan.settings.path), FileStore(plan.cluster.path).parsed(plan.cluster.after)


def write_plan(plan: Plan, clock: Callable[[], float] = time.time) -> Iterator[str]:
    """Write all files of this node, what others need first; yield what was done, a sentence each.

    Raises:
        ZsrError: a file could not be written; it is as it was, and those before it are written.
    """
    stamp = time.strftime("%Y%m%dT%H%M%S", time.localtime(clock()))
    if plan.gathered.key.private is not None:
        write_key(plan.gathered.key.path, plan.gathered.key.private, f"{plan.gathered.key.public}\n")
        yield f"Made the key {plan.gathered.key.path}."
    added = [line for line in plan.gathered.known_lines if add_line(plan.known_hosts, line)]
    if added:
        yield f"Added to {plan.known_hosts}: {', '.join(line.split()[0] for line in added)}."
    for change, write in ((plan.cluster, write_cluster), (plan.settings, write_file)):
        if change.is_needed:
            kept = write(change, stamp)
            yield f"Wrote {change.path}." + ("" if kept is None else f" What was there is in {kept}.")
