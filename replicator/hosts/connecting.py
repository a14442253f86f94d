"""Opens an asyncssh connection to a node: with the settings of this node and the comforts of nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncssh

from replicator.config.ssh import SshSettings
from replicator.errors import ZsrError
from replicator.hosts.known_hosts import KnownHosts
from replicator.hosts.openssh import CIPHERS, user_config
from replicator.hosts.replication_network import Way
from replicator.hosts.ssh_errors import connect_error
from replicator.models import Node


async def connect(node: Node, way: Way, settings: SshSettings, known_hosts: KnownHosts) -> asyncssh.SSHClientConnection:
    """Open a connection; its host key is the one known for the node's own address.

    Raises:
        ZsrError: of class ``network``, ``auth`` or ``config`` (`replicator.hosts.ssh_errors`).
    """
    keys: dict[str, object] = {}
    if settings.keys:
        keys["client_keys"] = list(settings.keys)
    if not settings.agent:
        keys["agent_path"] = None
    if way.here is not None:
        keys["local_addr"] = (way.here, 0)
    if way.there != node.address:
        keys["host_key_alias"] = node.address
    config, known = user_config(), known_hosts.read()
    try:
        async with asyncio.timeout(settings.connect_timeout * 2):
            return await asyncssh.connect(
                way.there,
                node.port,
                config=None if config is None else [str(config)],
                known_hosts=known,
                username=node.user,
                connect_timeout=settings.connect_timeout,
                login_timeout=settings.connect_timeout,
                keepalive_interval=settings.keepalive,
                keepalive_count_max=3,
                encryption_algs=list(CIPHERS),
                compression_algs=["none"],
                rekey_bytes=16 * 2**30,
                agent_forwarding=False,
                x11_forwarding=False,
                request_pty=False,
                env={},
                send_env={},
                **keys,
            )
    except (TimeoutError, OSError, ValueError, asyncssh.Error) as error:
        raise _failed(node, way, error, key_is_known=known_hosts.has_key(known, node.address, node.port)) from error


def _failed(node: Node, way: Way, error: BaseException, *, key_is_known: bool) -> ZsrError:
    """Return the error; a key that is not known is named by the node's own address, under which it would be."""
    is_unknown_key = isinstance(error, asyncssh.HostKeyNotVerifiable) and not key_is_known
    at = node if is_unknown_key else replace(node, address=way.there)
    return connect_error(at, error, key_is_known=key_is_known)
