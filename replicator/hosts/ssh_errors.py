"""The table from messages of asyncssh and the OpenSSH client to error classes with advice (contract: Errors)."""

from __future__ import annotations

import os
import re

import asyncssh

from replicator.errors import AuthError, ConfigError, ConnectionLostError, HostKeyError, NetworkError, ZsrError
from replicator.models import Node

_HOST_KEY = "If the node was reinstalled, replace its line in known_hosts by hand; zsr never does."
_KEY = "Check ssh.key in the settings: it must be a private key file without a passphrase that this user can read."
_SETTINGS = "Check the ssh settings of both nodes: ssh -v shows where they differ."

_TABLE: tuple[tuple[str, type[ZsrError], str], ...] = (
    (r"Host key verification failed|REMOTE HOST IDENTIFICATION|[Hh]ost key is known", HostKeyError, _HOST_KEY),
    (r"Permission denied|Too many authentication failures|account .* (?:locked|expired)", AuthError, ""),
    (r"Bad configuration option|Unknown cipher|[Nn]o matching .* found|Bad port", ConfigError, _SETTINGS),
    (r"Identity file .* not accessible|error in libcrypto|invalid format|bad permissions", ConfigError, _KEY),
    (r"Could not resolve|Name or service not known", NetworkError, "Check the node's address in the cluster file."),
    (r"Connection refused|timed out|No route to host|Network is unreachable", NetworkError, ""),
    (r"Connection reset|[Cc]onnection (?:to .* )?closed|Broken pipe|not responding|lost", ConnectionLostError, ""),
)
"""Patterns of one line of the OpenSSH client's stderr, their class, and what to do; the first match counts."""


def openssh_error(node: str, stderr: str) -> ZsrError:
    """Return the error for an OpenSSH client that ended with 255: the connection failed, not the remote command.

    The last line that is known counts: the client gives its reason at the end, after what a server or a shell prints.
    """
    lines = [line.strip().removesuffix("^M") for line in stderr.splitlines() if line.strip()]  # it ends them with CR LF
    for said in reversed(lines):
        for pattern, kind, advice in _TABLE:
            if not re.search(pattern, said):
                continue
            what = f"The connection to node {node} failed: {said.rstrip('.')}."
            return kind(what, node=node, advice=advice, raw=stderr)
    reason = lines[-1].rstrip(".") if lines else "no message"
    return ConnectionLostError(f"The connection to node {node} was lost: {reason}.", node=node, raw=stderr)


def connect_error(node: Node, error: BaseException, *, key_is_known: bool = True) -> ZsrError:
    """Return the error for a connection that could not be opened; ``key_is_known``: known_hosts has a key of it."""
    at = f"node {node.name} ({node.address}, port {node.port})"
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return _host_key_error(node, at, error.reason, key_is_known=key_is_known)
        case asyncssh.KeyImportError() | asyncssh.KeyEncryptionError() | FileNotFoundError() | PermissionError():
            return ConfigError(f"The SSH key for {at} cannot be used: {error}.", node=node.name, advice=_KEY)
        case asyncssh.PermissionDenied():
            return AuthError(f"{at.capitalize()} refused user {node.user}: {error.reason}.", node=node.name)
        case TimeoutError() | asyncssh.Error() | OSError():
            said = os.strerror(number) if (number := getattr(error, "errno", None)) and number > 0 else str(error)
            reason = str(getattr(error, "reason", "") or said) or "no answer in time"
            return NetworkError(f"Could not connect to {at}: {reason}.", node=node.name)
    return ConfigError(f"The SSH settings for {at} are wrong: {error}.", node=node.name, advice=_SETTINGS)


def _host_key_error(node: Node, at: str, reason: str, *, key_is_known: bool) -> HostKeyError:
    if key_is_known:
        what = f"The host key of {at} is not the one in known_hosts: {reason}."
        return HostKeyError(what, node=node.name, advice=_HOST_KEY)
    port = "" if node.port == 22 else f"-p {node.port} "
    login = f"ssh {port}{node.user}@{node.address}"
    return HostKeyError(
        f"known_hosts has no key of {at}.",
        node=node.name,
        advice=f"Log in once, and compare the fingerprint with that on its console: {login}",
    )
