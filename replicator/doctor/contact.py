"""What is known of another node by logging in there: the way to it and back, its shell, its zsr. Pure."""

from __future__ import annotations

import re

from replicator.api.doctor import Line, Subject
from replicator.doctor import catalogue
from replicator.errors import AuthError, ConfigError, HostKeyError, ZsrError
from replicator.hosts.ssh_errors import openssh_error
from replicator.models import Node

NOT_ASKED = "Node {node} could not be looked at."
"""The sentence of all checks of a node that nobody can log in to; the line of the reason has the advice."""


def not_asked(check: str, node: str) -> Line:
    """Return the line of a check that needs a node which cannot be asked."""
    return Subject(check, node).unknown(NOT_ASKED.format(node=node))


def contact(node: Node, error: ZsrError | None) -> list[Line]:
    """Return the lines about connection, host key and login; ``error``: why the login failed, None: it did not."""
    connection, host_key, login = (Subject(check, node.name) for check in catalogue.CONTACT)
    answers = connection.ok(f"{node.address} answers on port {node.port}.")
    known = host_key.ok("Its host key is the one in known_hosts.")
    match error:
        case None:
            return [answers, known, login.ok(f"It lets {node.user} in with a key.")]
        case HostKeyError():
            return [answers, host_key.failed(error), not_asked(catalogue.LOGIN, node.name)]
        case AuthError():
            return [answers, known, login.fail(error.what, f"Install this node's key there: {_copy_id(node)}")]
        case ConfigError():
            rest = (not_asked(check, node.name) for check in (catalogue.CONNECTION, catalogue.HOST_KEY))
            return [*rest, login.fail(error.what, error.advice or "Check [ssh] in zsr.toml: key and known_hosts.")]
    rest = (not_asked(check, node.name) for check in (catalogue.HOST_KEY, catalogue.LOGIN))
    return [connection.fail(error.what, "Check that it is up, its address in the cluster file, and its sshd."), *rest]


def _login(node: Node) -> str:
    return f"{'' if node.port == 22 else f'-p {node.port} '}{node.user}@{node.address}"


def _copy_id(node: Node) -> str:
    return f"ssh-copy-id {_login(node)}"


def shell(node: str, noise: str | None) -> Line:
    """Return the line about a login shell; ``noise``: what it printed of its own."""
    subject = Subject(catalogue.SHELL, node)
    if noise is None:
        return subject.ok("Its login shell runs commands, and prints nothing of its own.")
    text = f"Its login shell prints text before each command: {noise!r}. zsr skips it; a stream may not survive it."
    return subject.warn(text, "Remove that from the shell's profile there (~/.bashrc, /etc/profile.d).")


def way_back(node: Node, here: Node, *, replicates_here: bool, status: int, stderr: str) -> Line:
    """Return the line about logging in from a node to this one.

    Args:
        node: the other node.
        here: this node, as the cluster file says it is reached.
        replicates_here: guests of the other node have jobs to this one.
        status: the exit status of the OpenSSH client there.
        stderr: what it printed.
    """
    subject = Subject(catalogue.WAY_BACK, node.name)
    if status == 0:
        return subject.ok(f"{node.name} can log in to {here.name} ({here.address}).")
    if status == 127:
        why = f"{node.name} has no ssh, so it cannot log in to {here.name}."
        advice = "Install it there: apt install openssh-client"
    else:
        error = openssh_error(here.name, stderr)
        why = f"From {node.name}: {error.what}"
        tried = f"Try it there, by hand: ssh {_login(here)}"
        advice = f"On {node.name}: {_copy_id(here)}" if _is_refused(error) else tried
    if replicates_here:
        return subject.fail(why, advice)
    return subject.warn(f"{why} A guest that moves to {node.name} could not be replicated back.", advice)


def _is_refused(error: ZsrError) -> bool:
    return isinstance(error, AuthError) and not isinstance(error, HostKeyError)


def no_way_back(node: Node, here: Node) -> Line | None:
    """Return the line where logging in from a node to this one need not or cannot be tried; None: try it."""
    subject = Subject(catalogue.WAY_BACK, node.name)
    if not node.zsr:
        return subject.off(f"{node.name} runs no zsr (zsr = false), so it logs in nowhere.")
    if here.is_local:
        why = f"nodes.{here.name}.address is 'local', so {node.name} does not know where {here.name} is."
        return subject.warn(why, "Write this node's name or IP into the cluster file.")
    return None


def machine(node: str, here: str, theirs: str | None, ours: str) -> Line:
    """Return the line about the boot ids of two nodes: the same one is the same machine."""
    subject = Subject(catalogue.MACHINE, node)
    if not theirs or not ours:
        return subject.unknown("Whether it is another machine is not known: a boot id cannot be read.")
    if theirs != ours:
        return subject.ok(f"It is another machine than {here}.")
    text = f"The address of {node} leads to this machine itself: its copies would be lost together with {here}."
    return subject.fail(text, f"Check nodes.{node}.address in the cluster file.")


_VERSION = re.compile(r"version (\d+)\.(\d+)\.\S+")


def zsr(node: Node, printed: str | None, ours: str) -> Line:
    """Return the line about the zsr of another node; ``printed``: by ``zsr --version`` there, None: it has none."""
    subject = Subject(catalogue.ZSR, node.name)
    if not node.zsr:
        return subject.off(f"{node.name} runs no zsr (zsr = false): it only receives.")
    if printed is None or (found := _VERSION.search(printed)) is None:
        text = (
            f"There is no zsr for {node.user} on {node.name}: its guests are not replicated, and nothing watches there."
        )
        return subject.warn(text, f"Install it there, or set nodes.{node.name}.zsr = false if it only receives.")
    theirs = found[0].removeprefix("version ")
    if theirs == ours:
        return subject.ok(f"It has the same zsr, {ours}.")
    own = _VERSION.search(f"version {ours}")
    near = own is not None and own[1] == found[1] and abs(int(own[2]) - int(found[2])) <= 1
    text = f"It has zsr {theirs}, and this node {ours}."
    if near:
        return subject.warn(text, "That works for an upgrade. Bring both to the same version soon.")
    return subject.fail(text, "More than one minor version apart is not supported: upgrade the older one.")
