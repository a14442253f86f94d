"""Tries all answers of a file, so that what is wrong is reported at once. Asks nobody, and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from replicator.api.doctor import Line
from replicator.api.problem import Problem
from replicator.common.timezones import local_zone
from replicator.doctor import catalogue
from replicator.errors import ConfigError, ZsrError
from replicator.models import Node
from replicator.setup.answers import Answers, OtherNode
from replicator.setup.existing import Existing, trial_ssh
from replicator.setup.facts import Facts, is_loopback
from replicator.setup.plan import Gathered
from replicator.setup.ssh_keys import HostKey, LoginKey, is_known, login_key, presented_keys
from replicator.setup.trials import (
    LIMIT_SECONDS,
    NOTIFY_CHECK,
    PROMETHEUS_CHECK,
    failures,
    login_lines,
    other_facts,
    plugin_lines,
    section_problems,
    storage_lines,
    wrong_address,
)

_KEY_OF = {
    catalogue.CONNECTION: "address",
    catalogue.HOST_KEY: "host_key",
    catalogue.LOGIN: "host_key",
    catalogue.STORAGES: "path",
}
"""The answer that a failing check of a node is about."""


@dataclass(slots=True)
class Verification:
    """The tries of a file's answers; ``problems`` and ``lines`` (what else was found) grow with them."""

    answers: Answers
    existing: Existing
    facts: Facts
    folder: Path
    problems: list[Problem] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    async def verify(self) -> Gathered | None:
        """Try all answers; return None if there are problems."""
        self._here()
        key = self._key()
        known: list[str] = []
        for number, node in enumerate(self.answers.nodes):
            line = await self._host_key(f"nodes.{number}", node, key, known)
            known += [] if line is None else [line]
        await self._plugins()
        return None if self.problems or key is None else Gathered(self.answers, key, tuple(known))

    def _wrong(self, key: str, value: object, allowed: str) -> None:
        shown = repr(value) if isinstance(value, str) else str(value)
        self.problems.append(Problem(key, shown, allowed.removesuffix(".")))

    def _here(self) -> None:
        node, storage = self.answers.node, self.answers.storage
        if (wrong := wrong_address(node.address, self.facts)) is not None:
            self._wrong("node.address", node.address, wrong)
        elif is_loopback(node.address) and not all(is_loopback(each) for each in self.facts.addresses):
            self._wrong("node.address", node.address, "an address that other machines can reach")
        for line in failures(storage_lines(node.name, storage.name, storage.path, self.facts.datasets)):
            self._wrong("storage.path", storage.path, f"{line.text} {line.advice}")
        below = {each.name for each in self.facts.datasets}
        for number, guest in enumerate(self.answers.guests):
            for volume in guest.volumes:
                if f"{storage.path}/{volume.partition(':')[2]}" not in below:
                    self._wrong(f"guests.{number}.volumes", volume, f"a dataset below {storage.path}")

    def _key(self) -> LoginKey | None:
        try:
            return login_key(Path(self.answers.ssh.key), f"zsr@{self.answers.node.name}")
        except ConfigError as error:
            self._wrong("ssh.key", self.answers.ssh.key, str(error))
            return None

    async def _host_key(
        self, key: str, answer: OtherNode, login: LoginKey | None, confirmed: Sequence[str]
    ) -> str | None:
        """Try an other node; return the line that known_hosts lacks."""
        node = Node(answer.name, answer.address, answer.port, answer.user)
        try:
            keys = await presented_keys(node, LIMIT_SECONDS)
        except ZsrError as error:
            self._wrong(f"{key}.address", answer.address, str(error))
            return None
        host_key = next((each for each in keys if each.fingerprint == answer.host_key), None)
        if host_key is None:
            shown = ", ".join(f"{each.fingerprint} ({each.kind})" for each in keys)
            how = f"the one that its own console prints: {keys[0].how_to_compare}"
            self._wrong(f"{key}.host_key", answer.host_key, f"{how}; what answers at {answer.address} has {shown}")
            return None
        line = self._line(key, node, keys, host_key)
        if login is not None and not self.problems:
            await self._log_in(key, answer, node, login, [*confirmed, *([] if line is None else [line])])
        return line

    def _line(self, key: str, node: Node, keys: Sequence[HostKey], host_key: HostKey) -> str | None:
        known = is_known(self.existing.known_hosts, node, keys)
        if known is False:
            allowed = f"the key that {self.existing.known_hosts_path} has for {node.address}: correct that by hand"
            self._wrong(f"{key}.host_key", host_key.fingerprint, allowed)
        return host_key.known_as(node.address, node.port) if known is None else None

    async def _log_in(self, key: str, answer: OtherNode, node: Node, login: LoginKey, confirmed: Sequence[str]) -> None:
        ssh = trial_ssh(self.folder, self.existing, login, confirmed)
        found = await login_lines(self.answers.node.name, ssh, node)
        for line in failures(found):
            if line.check == catalogue.LOGIN:
                self._wrong("ssh.key", str(login.path), f"{line.text} {_how_to_let_in(login, node.user)}")
            else:
                self._wrong(f"{key}.{_KEY_OF[line.check]}", answer.address, f"{line.text} {line.advice}")
        if failures(found):
            return
        try:
            facts = await other_facts(self.answers.node.name, ssh, node)
        except ZsrError as error:
            self._wrong(f"{key}.address", answer.address, str(error))
            return
        path = self.answers.path_on(answer)
        for line in failures(storage_lines(answer.name, self.answers.storage.name, path, facts.datasets)):
            self._wrong(f"{key}.path", path, f"{line.text} {line.advice}")
        if answer.zsr and answer.files and not facts.runs_zsr:
            self.problems.append(Problem(f"{key}.files", "true", "false, since zsr is not installed there"))
        self.lines += [line for line in facts.lines if line.level not in ("ok", "off")]

    async def _plugins(self) -> None:
        """Try messages and metrics; a message is sent only when all else is right."""
        node, zone = self.answers.node.name, local_zone()
        notify, metrics = self.answers.notify, self.answers.metrics
        if notify is not None:
            section = {"notify": [{"name": notify.name, "url": notify.url}]}
            wrong = section_problems(section)
            for problem in wrong:
                self.problems.append(Problem("notify.url", "...", problem.allowed))
            if notify.test and not self.problems:
                lines = await plugin_lines(NOTIFY_CHECK, node, zone, section, send=True)
                self.lines += lines
                for line in failures(lines):
                    self.problems.append(Problem("notify.url", "...", f"one that takes a test message ({line.text})"))
        if metrics is not None:
            lines = await plugin_lines(PROMETHEUS_CHECK, node, zone, {}, prometheus=metrics.prometheus)
            self.lines += [line for line in lines if line.level == "unknown"]


def _how_to_let_in(login: LoginKey, user: str) -> str:
    """Return what lets a key log in. A new one is gone with this command, which writes nothing when a login fails."""
    place = f"there to ~{user}/.ssh/authorized_keys"
    if login.private is None:
        return f"Add this line {place}: {login.public}"
    path = quote(str(login.path))
    make = f"There is no such key yet. Make it: ssh-keygen -t ed25519 -N '' -f {path}."
    return f"{make} Add the line of {path}.pub {place}, and repeat"
