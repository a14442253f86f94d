"""The questions of ``zsr setup`` about one other node: the way there, its host key, the login, the storage there."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import click

from replicator.api.doctor import Line
from replicator.cli.setup_dialogue import Dialogue
from replicator.doctor import catalogue
from replicator.errors import ConfigError, NetworkError, ZsrError
from replicator.models import Node
from replicator.setup.answers import OtherNode, StorageAnswer, ThisNode, checked
from replicator.setup.existing import Existing, trial_ssh
from replicator.setup.facts import storage_paths
from replicator.setup.ssh_keys import HostKey, LoginKey, is_known, presented_keys
from replicator.setup.trials import LIMIT_SECONDS, OtherFacts, failures, login_lines, other_facts, storage_lines


@dataclass(frozen=True, slots=True)
class Found:
    """The answers about another node, and the lines that known_hosts lacks."""

    node: OtherNode
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OtherNodeQuestions:
    """Asks about another node; ``folder`` holds drafts of keys."""

    dialogue: Dialogue
    existing: Existing
    folder: Path
    here: ThisNode
    storage: StorageAnswer
    key: LoginKey

    def ask(self, guess: str | None, taken: Collection[str], lines: tuple[str, ...], *, may_end: bool) -> Found | None:
        """Return the answers; None if there is no further node.

        Args:
            guess: the name of a node that is in the cluster file.
            taken: names that it cannot have.
            lines: host keys that are confirmed already.
            may_end: no answer means that there is none.
        """
        self.dialogue.head("Another node" if may_end else "The other node")
        name = self._name(guess, taken, may_end=may_end)
        if not name:
            return None
        node, key, line = self._way(name)
        if line is not None:
            lines = (*lines, line)
        while not self._lets_in(node, lines):
            node, key, line = self._way(name)
            lines = lines if line is None else (*lines, line)
        facts = self._facts(node, lines)
        path = self._path(node, facts)
        zsr, files, way_back = self._duties(node, facts)
        answer = OtherNode(
            name=name,
            address=node.address,
            port=node.port,
            user=node.user,
            host_key=key.fingerprint,
            path=None if path == self.storage.path else path,
            zsr=zsr,
            files=files,
            way_back=way_back,
        )
        return Found(answer, lines)

    def _name(self, guess: str | None, taken: Collection[str], *, may_end: bool) -> str:
        def name(text: str) -> str:
            if may_end and not text:
                return ""
            if text in taken:
                raise ValueError(f"a name that no other node has: {', '.join(sorted(taken))} are taken")
            return str(checked(OtherNode, "name", text))

        return self.dialogue.ask("Its name", name, guess or ("" if may_end else None), guess or "none" * may_end)

    def _way(self, name: str) -> tuple[Node, HostKey, str | None]:
        """Return the node as it is reached, its host key, and the line that known_hosts lacks."""
        known = self.existing.known_node(name)
        while True:
            address = self.dialogue.ask(
                "Its address",
                lambda text: str(checked(OtherNode, "address", text)),
                name if known is None else known.address,
            )
            port = self.dialogue.ask("Its SSH port", ssh_port, "22" if known is None else str(known.port))
            user = self.dialogue.ask(
                "Log in there as",
                lambda text: str(checked(OtherNode, "user", text)),
                "root" if known is None else known.user,
            )
            node = Node(name, address, port, user)
            try:
                keys = asyncio.run(presented_keys(node, LIMIT_SECONDS))
                found = self._host_key(node, keys)
            except NetworkError as error:
                self.dialogue.explain(str(error))
                continue
            if found is not None:
                return node, *found

    def _host_key(self, node: Node, keys: list[HostKey]) -> tuple[HostKey, str | None] | None:
        """Let a person confirm the host key; return it with the line that known_hosts lacks, None: it is not right."""
        known = is_known(self.existing.known_hosts, node, keys)
        key = keys[0]
        if known:
            self.dialogue.explain(f"Its host key is the one in known_hosts: {key.fingerprint} ({key.kind})")
            return key, None
        if known is False:
            raise ConfigError(
                f"The host key of {node.address} is not the one in known_hosts: {key.fingerprint} ({key.kind}).",
                advice="It is another machine, or it was installed again. Compare the key there, and correct "
                f"{self.existing.known_hosts_path} by hand: zsr never does.",
            )
        self.dialogue.say(f"  {node.address} presents this host key, which known_hosts does not have:")
        self.dialogue.say(f"    {key.fingerprint} ({key.kind})")
        self.dialogue.say("  Compare it with what this prints there, at its own console:")
        self.dialogue.say(f"    {key.how_to_compare}")
        if self.dialogue.yes("Are they the same?", default=False):
            return key, key.known_as(node.address, node.port)
        self.dialogue.explain("Then something else answers there. It gets no login, and known_hosts stays as it is.")
        return None

    def _lets_in(self, node: Node, lines: tuple[str, ...]) -> bool:
        """Log in, until it works; return False if the address is to be asked again."""
        while True:
            ssh = trial_ssh(self.folder, self.existing, self.key, lines)
            found = asyncio.run(login_lines(self.here.name, ssh, node))
            wrong = failures(found)
            self.dialogue.show(_without_advice(wrong) or found[-1:])
            if not wrong:
                return True
            if wrong[0].check != catalogue.LOGIN:
                return False
            self.dialogue.say(f"  Add this line there to the file ~{node.user}/.ssh/authorized_keys:")
            self.dialogue.say(f"    {self.key.public}")
            self.dialogue.say("  Enter: it is there, try again. p: add it for me, with a password. a: another address.")
            word = self.dialogue.ask("Next", _next, "", "try again")
            if word == "a":
                return False
            if word == "p":
                self._copy_id(node)

    def _copy_id(self, node: Node) -> None:
        """Let ssh-copy-id add the key, which asks for the password itself at this terminal."""
        key = self.folder / "key" if self.key.private is not None else self.key.path
        argv = ["ssh-copy-id", "-i", str(key), "-p", str(node.port)]
        argv += ["-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}", "-o", "StrictHostKeyChecking=yes"]
        try:
            subprocess.run([*argv, f"{node.user}@{node.address}"], check=False)
        except OSError as error:
            self.dialogue.explain(f"ssh-copy-id cannot be run: {error.strerror}. Add the line by hand.")

    def _facts(self, node: Node, lines: tuple[str, ...]) -> OtherFacts:
        ssh = trial_ssh(self.folder, self.existing, self.key, lines)
        try:
            facts = asyncio.run(other_facts(self.here.name, ssh, node))
        except ZsrError as error:
            self.dialogue.explain(str(error))
            raise click.Abort from error
        self.dialogue.show(line for line in facts.lines if line.level not in ("ok", "off"))
        return facts

    def _path(self, node: Node, facts: OtherFacts) -> str:
        names = [each.name for each in facts.datasets if each.kind == "filesystem"]
        known = None if self.existing.cluster is None else self.existing.cluster.storages.get(self.storage.name)
        wanted = self.storage.path if known is None else known.path_on(node.name)
        default = wanted if wanted in names else next(iter(storage_paths(facts.datasets)), wanted)

        def there(text: str) -> str:
            path = str(checked(StorageAnswer, "path", text))
            wrong = failures(storage_lines(node.name, self.storage.name, path, facts.datasets))
            if wrong:
                raise ValueError(f"{wrong[0].text} {wrong[0].advice}".removesuffix("."))
            return path

        return self.dialogue.ask(f"Path of the storage there ({self.storage.path} here)", there, default)

    def _duties(self, node: Node, facts: OtherFacts) -> tuple[bool, bool, bool]:
        """Return whether it runs zsr, whether its files are written, and whether it may log in here."""
        known = self.existing.known_node(node.name)
        zsr = self.dialogue.yes(
            "Does zsr run there too, or will it (to replicate back, to watch)?",
            default=facts.runs_zsr if known is None else known.zsr,
        )
        if not zsr:
            return False, False, False
        if not facts.runs_zsr:
            self.dialogue.explain("It is not installed there. When it is, run zsr setup there too.")
        files = facts.runs_zsr and self.dialogue.yes("Write its zsr.toml and cluster.toml too?", default=True)
        way_back = self.dialogue.yes("May it log in here too (a key is made there)?", default=True)
        return True, files, way_back


def ssh_port(text: str) -> int:
    """Return a port; raises ValueError with what is allowed."""
    try:
        return int(checked(OtherNode, "port", int(text)))
    except ValueError:
        raise ValueError("a port, 1 to 65535") from None


def _next(text: str) -> str:
    if text not in ("", "p", "a"):
        raise ValueError("Enter, p or a")
    return text


def _without_advice(lines: list[Line]) -> list[Line]:
    """Return lines without what to do about a refused login, which is said with the key itself."""
    return [replace(each, advice="") if each.check == catalogue.LOGIN else each for each in lines]
