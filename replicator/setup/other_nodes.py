"""What ``zsr setup`` writes on another node: a key with which it may log in here, and its ``zsr.toml``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from replicator.config.ssh import SshSettings
from replicator.errors import ConfigError, ZsrError
from replicator.hosts.host import Host
from replicator.hosts.remote_files import read_file, replace_file
from replicator.models import Node
from replicator.setup.answers import Answers, OtherNode
from replicator.setup.existing import DEFAULT_CLUSTER
from replicator.setup.files import add_line
from replicator.setup.plan import Plan
from replicator.setup.ssh_keys import HostKey, presented_keys
from replicator.setup.texts import other_settings_text, with_cluster_path
from replicator.setup.trials import LIMIT_SECONDS, reached

_MAKE_KEY = """
set -e
umask 077
key="$HOME/.ssh/zsr_ed25519"
mkdir -p "$HOME/.ssh"
[ -f "$key" ] || ssh-keygen -q -t ed25519 -N "" -C "$1" -f "$key" </dev/null
public=$(ssh-keygen -y -f "$key" </dev/null)
shift
known="$HOME/.ssh/known_hosts"
[ ! -s "$known" ] || [ -z "$(tail -c 1 "$known")" ] || echo >>"$known"
for line in "$@"; do
  grep -qxF -- "$line" "$known" 2>/dev/null || printf '%s\\n' "$line" >>"$known"
done
printf '%s\\n%s\\n' "$key" "$public"
"""
"""Makes the key of a node unless there is one, makes the host keys of this node known there, and prints the key.

A last line of known_hosts may have no end: what is added does not become part of it.
"""

_MAKE_FOLDER = 'mkdir -p -m 0700 "$(dirname "$1")"'


@dataclass(slots=True)
class OtherResult:
    """What was done on another node, and what failed, a sentence each."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


async def set_up_other(plan: Plan, node: OtherNode, ssh: SshSettings, home: Path) -> OtherResult:
    """Write what a node is to have; a key that cannot be made keeps nothing else back.

    Args:
        plan: what was written here.
        node: the node.
        ssh: how this node logs in there.
        home: the folder of this user, for the keys that it lets in.
    """
    result, key, answers = OtherResult(), None, plan.gathered.answers
    async with reached(answers.node.name, ssh, Node(node.name, node.address, node.port, node.user)) as host:
        if node.way_back:
            try:
                key, public = await _way_back(host, answers, node)
                if add_line(home / ".ssh" / "authorized_keys", public):
                    result.done.append(f"{node.name} may log in here: its key is in ~/.ssh/authorized_keys.")
            except ZsrError as error:
                result.failed.append(f"{node.name} has no way to log in here: {error}")
        if node.zsr and node.files:
            text = other_settings_text(answers, node, key, metrics_here=plan.metrics_here)
            if plan.cluster.path != DEFAULT_CLUSTER:
                text = with_cluster_path(text, plan.cluster.path)
            try:
                result.done.append(await _settings_there(host, plan.settings.path, text))
            except ZsrError as error:
                result.failed.append(f"{node.name}: {error}")
    return result


async def _way_back(host: Host, answers: Answers, node: OtherNode) -> tuple[str, str]:
    """Give a node a key, and this one's host keys; return the key's path, and its line of authorized_keys."""
    here = Node(answers.node.name, answers.node.address, answers.node.port)
    return await _key_there(host, node.name, here, await presented_keys(here, LIMIT_SECONDS))


async def _key_there(host: Host, name: str, here: Node, keys: Sequence[HostKey]) -> tuple[str, str]:
    """Return the path of a node's key, and the line of authorized_keys for it."""
    lines = [key.known_as(here.address, here.port) for key in keys]
    done = await host.run(["sh", "-c", _MAKE_KEY, "sh", f"zsr@{name}", *lines], limit=LIMIT_SECONDS)
    words = done.stdout.splitlines()
    if not done.ok or len(words) < 2:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ZsrError(f"{host.name} could not make a key: {why}.", advice="Make one there: ssh-keygen -t ed25519")
    public = words[-1].split()
    return words[-2], " ".join([*public[:2], f"zsr@{name}"])


async def _settings_there(host: Host, path: Path, text: str) -> str:
    """Write the settings of a node that has none; return what was done."""
    done = await host.run(["sh", "-c", _MAKE_FOLDER, "sh", str(path)], limit=LIMIT_SECONDS)
    if not done.ok:
        raise ConfigError(f"The folder of '{path}' could not be made on {host.name}: {done.stderr.strip()}.")
    before = await read_file(host, str(path))
    if before is not None:
        return f"{host.name} has a {path} already: it stays as it is."
    await replace_file(host, str(path), text, None)
    return f"{host.name}: wrote {path}."
