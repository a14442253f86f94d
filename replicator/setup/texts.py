"""The texts of the files that follow from the answers: only what was asked is edited, all other lines stay. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

import tomlkit

from replicator.api.pvesr_jobs import PvesrJobs
from replicator.cluster.file_drafts import FileDraft
from replicator.cluster.model import Cluster
from replicator.cluster.store import ClusterStore
from replicator.errors import ConfigError
from replicator.job_choices import Foreign
from replicator.models import GuestId, Job, JobId
from replicator.schedule.grace import NEW_GRACE_SECONDS
from replicator.setup.answers import Answers, GuestAnswer, OtherNode
from replicator.setup.facts import is_loopback

EXPORTER_PORT = 9847
_SETTINGS_HEAD = "# This node. All keys: docs/settings.md; what is wrong: zsr config check, zsr doctor.\n"
_CLUSTER_HEAD = "# What all nodes share, the same on each of them (zsr cluster push). All keys: docs/settings.md.\n"
_JOB_NUMBERS = range(1000)


def settings_text(before: str | None, answers: Answers, *, metrics_here: bool) -> str:
    """Return the text of ``zsr.toml``.

    Args:
        before: its text so far; None: there is none.
        answers: the answers.
        metrics_here: the Prometheus is on this machine, so the exporter need not be reached from elsewhere.
    """
    document = tomlkit.parse(_SETTINGS_HEAD if before is None else before)
    _set(document, "node", answers.node.name)
    ssh = _table(document, "ssh")
    keys = ssh.get("key", [])
    if answers.ssh.key not in ([keys] if isinstance(keys, str) else keys):
        _set(ssh, "key", answers.ssh.key)
    if answers.metrics is not None:
        if not metrics_here:
            _listen(document, listen_address(answers.node.address))
        _set(_table(document, "doctor"), "prometheus", answers.metrics.prometheus)
    if answers.notify is not None:
        _notify(document, answers.notify.name, answers.notify.url)
    return tomlkit.dumps(document)


def with_cluster_path(text: str, path: Path) -> str:
    """Return the text of ``zsr.toml`` with the place of the cluster file."""
    document = tomlkit.parse(text)
    _set(_table(document, "cluster"), "path", str(path))
    return tomlkit.dumps(document)


def _listen(document: MutableMapping[str, Any], address: str) -> None:
    """Let the exporter listen at an address; what a person chose in place of the default stays."""
    default = f"127.0.0.1:{EXPORTER_PORT}"
    if document.get("exporter", {}).get("listen", default) == default:
        _set(_table(document, "exporter"), "listen", address)


def listen_address(address: str) -> str:
    """Return where an exporter listens that is read by another machine."""
    return f"{_bracketed(address)}:{EXPORTER_PORT}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _notify(document: MutableMapping[str, Any], name: str, url: str) -> None:
    targets = document.setdefault("notify", tomlkit.aot())
    table = next((each for each in targets if each.get("name") == name), None)
    if table is None:
        table = tomlkit.table()
        table["name"] = name
        table["url"] = url
        targets.append(table)
    else:
        for other in ("url_file", "url_env"):
            table.pop(other, None)
        _set(table, "url", url)


def other_settings_text(answers: Answers, node: OtherNode, key: str | None, *, metrics_here: bool) -> str:
    """Return the text of ``zsr.toml`` for another node, which has none; ``key``: with which it logs in, if any."""
    document = tomlkit.parse(_SETTINGS_HEAD)
    document["node"] = node.name
    if key is not None:
        document["ssh"] = {"key": key}
    if answers.metrics is not None and not metrics_here:
        document["exporter"] = {"listen": listen_address(node.address)}
        document["doctor"] = {"prometheus": answers.metrics.prometheus}
    return tomlkit.dumps(document)


def cluster_text(before: str | None, answers: Answers, path: Path, pvesr: PvesrJobs, zone: tzinfo) -> str:
    """Return the text of the cluster file, with a job for each guest.

    Args:
        before: its text so far; None: there is none.
        answers: the answers.
        path: where it is, for messages.
        pvesr: the jobs of Proxmox VE, whose numbers are not taken.
        zone: that of schedules.

    Raises:
        ConfigError: the answers do not go together with what is in the file.
    """
    document = tomlkit.parse(_CLUSTER_HEAD if before is None else before)
    nodes = _table(document, "nodes", above=True)
    for node in (answers.node, *answers.nodes):
        table = _table(nodes, node.name)
        _set(table, "address", node.address)
        _set(table, "port", node.port, 22)
        _set(table, "user", node.user, "root")
        if isinstance(node, OtherNode):
            _set(table, "zsr", node.zsr, True)
    storage = _table(_table(document, "storages", above=True), answers.storage.name)
    _paths(storage, answers)
    guests = _table(document, "guests", above=True) if answers.guests else {}
    for guest in answers.guests:
        if str(guest.id) not in guests:
            guests[str(guest.id)] = _guest(answers, guest)
    draft = FileDraft(path, tomlkit.dumps(document))
    store = ClusterStore(draft, zone)
    for guest in answers.guests:
        _put_job(store, answers, guest, pvesr)
    store.read()
    return draft.text


def _guest(answers: Answers, guest: GuestAnswer) -> Any:
    table = tomlkit.table()
    if guest.name and guest.name != str(guest.id):
        table["name"] = guest.name
    table["node"] = answers.node.name
    if guest.volumes:
        table["volumes"] = guest.volumes
    return table


def _paths(storage: MutableMapping[str, Any], answers: Answers) -> None:
    """Write where the storage is on each of the nodes."""
    if "path" not in storage:
        storage["path"] = answers.storage.path
    wanted = {answers.node.name: answers.storage.path, **{each.name: answers.path_on(each) for each in answers.nodes}}
    paths = storage.get("paths", {})
    for name, path in wanted.items():
        if paths.get(name, storage["path"]) == path:
            continue
        if path == storage["path"]:
            del paths[name]
        else:
            storage.setdefault("paths", tomlkit.inline_table())[name] = path
    allowed = storage.get("nodes")
    if allowed is not None:
        allowed.extend(name for name in wanted if name not in allowed)


def _put_job(store: ClusterStore, answers: Answers, guest: GuestAnswer, pvesr: PvesrJobs) -> None:
    """Create the job of a guest to its target, or give the one that there is its schedule."""
    cluster = store.read()
    owner = cluster.guests[guest.id].node
    if owner != answers.node.name:
        raise ConfigError(
            f"Guest {guest.id} belongs to node {owner}, not to {answers.node.name}.",
            advice=f"Take another number for it, or set it up on {owner}.",
        )
    job = job_to(cluster, guest.id, guest.target)
    if job is not None:
        store.update_job(replace(job, schedule=guest.schedule))
        return
    ids = (JobId(guest.id, number) for number in _JOB_NUMBERS)
    free = next(each for each in ids if each not in cluster.jobs and not pvesr.named_alike(each))
    fresh = Job(free, guest.target, schedule=guest.schedule, keep=guest.keep)
    store.create_job(replace(fresh, grace=NEW_GRACE_SECONDS, foreign=Foreign.MIRROR))


def job_to(cluster: Cluster, guest: GuestId, target: str) -> Job | None:
    """Return the job of a guest to a node, if there is one."""
    return next((job for job in cluster.jobs.values() if job.id.guest == guest and job.target == target), None)


def _table(parent: MutableMapping[str, Any], key: str, *, above: bool = False) -> Any:
    """Return a table, which is made if need be; ``above``: it holds only tables, and needs no heading of its own."""
    if key not in parent:
        parent[key] = tomlkit.table(is_super_table=above)
    return parent[key]


def _set(table: MutableMapping[str, Any], key: str, value: object, default: object = None) -> None:
    """Write a value unless it is that already; one at its default is left out where it does not stand."""
    if table.get(key, default) != value:
        table[key] = value


def hidden(text: str, values: Iterable[str]) -> str:
    """Return a text to be shown, without secret values."""
    for value in values:
        text = text.replace(value, "...")
    return text


def secrets_of(settings: Mapping[str, object]) -> list[str]:
    """Return the texts in the sections of plugins that may be secrets, the longest first."""

    def texts(value: object) -> Iterable[str]:
        if isinstance(value, Mapping):
            for key, each in value.items():
                if key not in ("name", "listen"):
                    yield from texts(each)
        elif isinstance(value, list):
            for each in value:
                yield from texts(each)
        elif isinstance(value, str) and len(value) > 1:
            yield value

    found = (text for name, section in settings.items() if name.startswith("notify") for text in texts(section))
    return sorted(found, key=len, reverse=True)


def prometheus_text(answers: Answers, *, here: bool) -> str:
    """Return the job for ``prometheus.yml``, in which any node names all; ``here``: it is on this machine."""
    if here:
        return (
            "  - job_name: zsr                  # the rules need this name\n"
            "    static_configs:\n"
            f"      - targets: ['127.0.0.1:{EXPORTER_PORT}']\n"
        )
    addresses = dict.fromkeys([answers.node.address, *(node.address for node in answers.nodes if node.zsr)])
    urls = "".join(f"      - url: http://{listen_address(each)}/http_sd\n" for each in addresses)
    return (
        "  - job_name: zsr                  # the rules need this name\n"
        f"    http_sd_configs:               # any node lists all nodes of the cluster\n{urls}"
        "    relabel_configs:\n"
        "      - {source_labels: [__meta_zsr_node], target_label: instance}\n"
    )


def is_here(prometheus: str, addresses: Iterable[str], hostname: str) -> bool:
    """Return whether the URL of a Prometheus leads to this machine."""
    host = prometheus.split("://", 1)[-1].split("/", 1)[0].rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return is_loopback(host) or host in addresses or host == hostname
