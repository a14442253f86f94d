"""The command line of the OpenSSH child: the same settings as the open connection has, and nobody's comforts. Pure.

Of the user's ``~/.ssh/config`` both read what a connection needs (HostName, IdentityFile, ProxyJump, ...). What is
there for a person at a terminal is off: a shared master connection would end with its owner, a RemoteCommand would run
in place of zfs, a banner would be read as words of zfs. The system's ssh_config counts for neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from replicator.config.ssh import SshSettings
from replicator.hosts.replication_network import Way
from replicator.models import Node

_SSH_PORT = 22
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr")
"""In order of speed on processors with AES instructions (reference/peers.md 4.1)."""

_NO_COMFORTS: Mapping[str, str] = {
    "IgnoreUnknown": "WarnWeakCrypto,SessionType,StdinNull,ForkAfterAuthentication",  # first: each is of some version
    "WarnWeakCrypto": "no",
    "SessionType": "default",
    "StdinNull": "no",
    "ForkAfterAuthentication": "no",
    "LogLevel": "ERROR",
    "ControlMaster": "no",
    "ControlPath": "none",
    "RemoteCommand": "none",
    "PermitLocalCommand": "no",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "Tunnel": "no",
    "RequestTTY": "no",
    "EscapeChar": "none",
    "VisualHostKey": "no",
    "UpdateHostKeys": "no",
    "AddKeysToAgent": "no",
    "HostbasedAuthentication": "no",
    "GSSAPIAuthentication": "no",
    "VerifyHostKeyDNS": "no",
    "KnownHostsCommand": "none",
}


def user_config() -> Path | None:
    """Return the user's OpenSSH configuration, if there is one."""
    path = Path("~/.ssh/config").expanduser()
    return path if path.is_file() else None


def openssh_argv(
    node: Node,
    settings: SshSettings,
    known_hosts: Sequence[Path | str],
    command: str,
    way: Way | None = None,
    *,
    elsewhere: bool = False,
) -> list[str]:
    """Return the argv of an OpenSSH client that runs a command line on a node; ``way``: in its replication network.

    ``elsewhere``: the client itself runs on another node, whose user has a configuration and known hosts of his own.
    """
    way = way or Way(node.address)
    options = _options(node, settings, known_hosts, way)
    argv = ["ssh", "-T", "-x", "-p", str(node.port)]
    if not elsewhere:
        config = user_config()
        argv[1:1] = ["-F", "none" if config is None else str(config)]
    elif not known_hosts:
        del options["UserKnownHostsFile"], options["GlobalKnownHostsFile"]
    for key, value in options.items():
        argv += ["-o", f"{key}={value}"]
    for identity in settings.keys:
        argv += ["-i", identity]
    if not settings.agent:
        argv += ["-o", "IdentityAgent=none"]
    return [*argv, "--", f"{node.user}@{way.there}", command]


def _options(node: Node, settings: SshSettings, known_hosts: Sequence[Path | str], way: Way) -> dict[str, str]:
    options = {
        **_NO_COMFORTS,
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "Ciphers": ",".join(CIPHERS),
        "Compression": "no",
        "ConnectTimeout": str(max(1, round(settings.connect_timeout))),
        # Its timer costs a call for every 32 KiB; the open connection's keepalive detects a lost node (`reach`).
        "ServerAliveInterval": "0",
        "UserKnownHostsFile": " ".join(f'"{path}"' for path in known_hosts) or "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
    }
    if way.here is not None:
        options["BindAddress"] = way.here
    if way.there != node.address:  # the port is part of a name in known_hosts, but not of an alias
        options["HostKeyAlias"] = node.address if node.port == _SSH_PORT else f"[{node.address}]:{node.port}"
    return options
