"""Keys of SSH: one that logs in, made before it is written, and those of hosts, shown before they are known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from replicator.errors import ConfigError, NetworkError
from replicator.hosts.known_hosts import KnownHosts
from replicator.hosts.openssh import user_config
from replicator.hosts.ssh_errors import connect_error
from replicator.models import Node

HOST_KEY_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512")
"""Kinds of host keys, the preferred first."""

_NAMES = {"ssh-ed25519": "ED25519", "ecdsa-sha2-nistp256": "ECDSA", "ssh-rsa": "RSA"}
_FILES = {"ED25519": "ed25519", "ECDSA": "ecdsa", "RSA": "rsa"}


@dataclass(frozen=True, slots=True)
class LoginKey:
    """A key pair that logs in; ``private`` None: it is in its file already."""

    path: Path
    public: str
    private: str | None = None


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key that a host presents: its kind, its fingerprint, and its two words in known_hosts."""

    kind: str
    fingerprint: str
    words: str

    def known_as(self, address: str, port: int) -> str:
        """Return the line of known_hosts for it."""
        return f"{address if port == 22 else f'[{address}]:{port}'} {self.words}"

    @property
    def how_to_compare(self) -> str:
        """The command that prints its fingerprint on the host itself."""
        return f"ssh-keygen -lf /etc/ssh/ssh_host_{_FILES.get(self.kind, 'ed25519')}_key.pub"


def login_key(path: Path, comment: str) -> LoginKey:
    """Return the key of a file, or a new one that is to be written there.

    Raises:
        ConfigError: what is there is no private key that zsr can use.
    """
    if not path.exists():
        made = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
        return LoginKey(path, _public(made), made.export_private_key("openssh").decode())
    try:
        return LoginKey(path, _public(asyncssh.read_private_key(str(path))))
    except asyncssh.KeyEncryptionError:
        advice = "Give one without a passphrase, which nobody can type for a daemon."
        raise ConfigError(f"The key '{path}' has a passphrase.", advice=advice) from None
    except (OSError, asyncssh.KeyImportError) as error:
        raise ConfigError(
            f"'{path}' is no private key that can be used: {error}.", advice="Give another one, or a new name."
        ) from error


def _public(key: asyncssh.SSHKey) -> str:
    return str(key.export_public_key("openssh").decode().strip())


async def presented_keys(node: Node, limit: float) -> list[HostKey]:
    """Return the keys that a host presents, the preferred first; nothing is logged in to.

    Raises:
        NetworkError: it does not answer, or not as an SSH server.
    """
    first = await _presented(node, HOST_KEY_KINDS, limit)
    found = [first]
    for kind in HOST_KEY_KINDS:
        try:
            key = await _presented(node, (kind,), limit)
        except NetworkError:
            continue  # it has no key of that kind
        found += [key] if key not in found else []
    order = list(_NAMES.values())
    return sorted(found, key=lambda each: order.index(each.kind) if each.kind in order else len(order))


async def _presented(node: Node, kinds: Sequence[str], limit: float) -> HostKey:
    config = user_config()
    try:
        async with asyncio.timeout(limit):
            key = await asyncssh.get_server_host_key(
                node.address,
                node.port,
                server_host_key_algs=list(kinds),
                config=None if config is None else [str(config)],
            )
    except (TimeoutError, OSError, ValueError, asyncssh.Error) as error:
        raise _no_answer(node, error) from error
    if key is None:
        raise NetworkError(f"{node.address} (port {node.port}) presents no host key.", advice="Is it an SSH server?")
    kind = key.get_algorithm()
    return HostKey(_NAMES.get(kind, kind), key.get_fingerprint(), " ".join(_public(key).split()[:2]))


def _no_answer(node: Node, error: BaseException) -> NetworkError:
    found = connect_error(node, error)
    return NetworkError(found.what, node=node.name, advice="Check that it is up, the address and port, and its sshd.")


def is_known(known_hosts: KnownHosts, node: Node, keys: Sequence[HostKey]) -> bool | None:
    """Return whether known_hosts has one of the keys for a node; None: it has none of that node at all."""
    known = known_hosts.read()
    if not known_hosts.has_key(known, node.address, node.port):
        return None
    trusted = {_words(key) for key in known.match(node.address, "", node.port)[0]}
    return any(key.words in trusted for key in keys)


def _words(key: asyncssh.SSHKey) -> str:
    return " ".join(_public(key).split()[:2])
