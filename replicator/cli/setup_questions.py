"""The questions of ``zsr setup`` in their order; each answer is tried before the next question."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from replicator.cli.setup_dialogue import Dialogue
from replicator.cli.setup_other_node import OtherNodeQuestions, ssh_port
from replicator.common.timezones import local_zone
from replicator.errors import NetworkError
from replicator.models import DEFAULT_SCHEDULE, Node
from replicator.setup.answers import (
    USUAL_KEEP,
    Answers,
    GuestAnswer,
    MetricsAnswer,
    NotifyAnswer,
    OtherNode,
    SshAnswer,
    StorageAnswer,
    ThisNode,
    checked,
)
from replicator.setup.existing import Existing
from replicator.setup.facts import Candidate, Facts, candidates, chosen, is_loopback, node_name, storage_paths
from replicator.setup.plan import Gathered
from replicator.setup.ssh_keys import LoginKey, login_key, presented_keys
from replicator.setup.texts import job_to
from replicator.setup.trials import (
    LIMIT_SECONDS,
    NOTIFY_CHECK,
    PROMETHEUS_CHECK,
    failures,
    plugin_lines,
    section_problems,
    storage_lines,
    wrong_address,
)

_MOST_SHOWN = 6
_NEW_TARGET = "admins"
INTRODUCTION = (
    "zsr setup asks, tries each answer at once, and writes nothing before you say yes.\n"
    "Enter takes the answer in brackets. Ctrl-C ends it, and nothing is changed."
)


@dataclass(frozen=True, slots=True)
class Plans:
    """When guests are replicated, and which restore points are kept."""

    schedule: str
    keep: str


@dataclass(frozen=True, slots=True)
class Questions:
    """Asks a person; ``folder`` holds drafts of keys."""

    dialogue: Dialogue
    existing: Existing
    facts: Facts
    folder: Path

    def ask(self) -> Gathered:
        """Ask everything, and return the answers."""
        self.dialogue.say(INTRODUCTION)
        node = self._this_node()
        storage = self._storage(node)
        guests = self._guests(node, storage)
        usual = self._usual(guests)
        plans = self._plans(usual) if guests else usual
        key = self._key(node)
        nodes, lines = self._others(node, storage, key)
        target = self._target(guests, nodes)
        answers = Answers(
            node=node,
            storage=storage,
            ssh=SshAnswer(key=str(key.path)),
            nodes=nodes,
            guests=[self._guest(each, storage, target, plans, usual) for each in guests],
            notify=self._notify(node),
            metrics=self._metrics(node),
        )
        return Gathered(answers, key, tuple(lines))

    def _this_node(self) -> ThisNode:
        self.dialogue.head("This node")
        guess = self.existing.node or node_name(self.facts.hostname) or None
        name = self.dialogue.ask("Its name", lambda text: str(checked(ThisNode, "name", text)), guess)
        known = self.existing.known_node(name)
        usable = [each for each in self.facts.addresses if not is_loopback(each)] or list(self.facts.addresses)
        guess = known.address if known is not None and not known.is_local else next(iter(usable), None)
        address = self.dialogue.ask("Its address, at which other nodes reach it", self._own_address, guess)
        port = self._own_port(name, address, 22 if known is None else known.port)
        return ThisNode(name=name, address=address, port=port, user="root" if known is None else known.user)

    def _own_port(self, name: str, address: str, guess: int) -> int:
        while True:
            port = self.dialogue.ask("Its SSH port", ssh_port, str(guess))
            try:
                asyncio.run(presented_keys(Node(name, address, port), LIMIT_SECONDS))
            except NetworkError as error:
                self.dialogue.explain(f"{error.what} Other nodes could not log in here.")
                if not self.dialogue.yes("Take it all the same?", default=True):
                    continue
            return port

    def _own_address(self, text: str) -> str:
        address = str(checked(ThisNode, "address", text))
        if is_loopback(address) and not all(is_loopback(each) for each in self.facts.addresses):
            raise ValueError(f"an address that other machines can reach; {address} is each machine's own")
        if (wrong := wrong_address(address, self.facts)) is not None:
            raise ValueError(wrong)
        return address

    def _storage(self, node: ThisNode) -> StorageAnswer:
        self.dialogue.head("Storage: the dataset below which the volumes of guests lie")
        known = [] if self.existing.cluster is None else list(self.existing.cluster.storages.values())
        paths = list(dict.fromkeys([*(each.path_on(node.name) for each in known), *storage_paths(self.facts.datasets)]))
        if paths:
            shown = ", ".join(paths[:_MOST_SHOWN]) + (", ..." if len(paths) > _MOST_SHOWN else "")
            self.dialogue.explain(f"Found: {shown}")

        def there(text: str) -> str:
            path = str(checked(StorageAnswer, "path", text))
            wrong = failures(storage_lines(node.name, path, path, self.facts.datasets))
            if wrong:
                raise ValueError(f"{wrong[0].text} {wrong[0].advice}".removesuffix("."))
            return path

        path = self.dialogue.ask("Its path", there, next(iter(paths), None))
        guess = next((each.name for each in known if each.path_on(node.name) == path), path.rpartition("/")[2])
        name = self.dialogue.ask("Its name in zsr", lambda text: str(checked(StorageAnswer, "name", text)), guess)
        return StorageAnswer(name=name, path=path)

    def _guests(self, node: ThisNode, storage: StorageAnswer) -> list[Candidate]:
        self.dialogue.head("Guests: what is replicated as a whole, a VM, a container, or a dataset")
        cluster = self.existing.cluster
        offered = candidates(self.facts.datasets, storage.name, storage.path, node.name, cluster)
        if not offered:
            self.dialogue.explain(f"There is nothing below {storage.path} yet. Add guests later: docs/settings.md")
            return []
        jobs = set() if cluster is None else {job.id.guest for job in cluster.jobs.values()}
        width = max(len(each.name) for each in offered)
        for each in offered:
            mark = "  (has a job)" if each.id in jobs else ""
            self.dialogue.say(f"  {each.id}  {each.name:<{width}}  {', '.join(each.found) or '-'}{mark}")
        having = [str(each.id) for each in offered if each.id in jobs]
        default = ",".join(having) if having and len(having) < len(offered) else "all"
        return self.dialogue.ask("Replicate (numbers, all, none)", lambda text: chosen(text, offered), default)

    def _usual(self, guests: Sequence[Candidate]) -> Plans:
        """Return what is offered: that of a job which one of the guests has, or the usual one."""
        jobs = {} if self.existing.cluster is None else self.existing.cluster.jobs
        ids = {each.id for each in guests}
        found = next((job for job in jobs.values() if job.id.guest in ids), None)
        return Plans(DEFAULT_SCHEDULE, USUAL_KEEP) if found is None else Plans(found.schedule, found.keep)

    def _plans(self, usual: Plans) -> Plans:
        schedule = self.dialogue.ask(
            "How often (*/15: each quarter of an hour)",
            lambda text: str(checked(GuestAnswer, "schedule", text)),
            usual.schedule,
        )
        keep = self.dialogue.ask(
            "Restore points (6h:15m,7d:1d: each quarter for 6 hours, each day for a week)",
            lambda text: str(checked(GuestAnswer, "keep", text)),
            usual.keep,
        )
        return Plans(schedule, keep)

    def _key(self, node: ThisNode) -> LoginKey:
        self.dialogue.head("SSH")
        shown = str(self.existing.key) + ("" if self.existing.key.exists() else ", a new one")

        def key(text: str) -> LoginKey:
            path = str(checked(SshAnswer, "key", str(Path(text).expanduser())))
            return login_key(Path(path), f"zsr@{node.name}")

        return self.dialogue.ask("Private key with which zsr logs in", key, str(self.existing.key), shown)

    def _others(self, node: ThisNode, storage: StorageAnswer, key: LoginKey) -> tuple[list[OtherNode], list[str]]:
        known = [] if self.existing.cluster is None else [n for n in self.existing.cluster.nodes if n != node.name]
        nodes: list[OtherNode] = []
        lines: list[str] = []
        for number in count():
            questions = OtherNodeQuestions(self.dialogue, self.existing, self.folder, node, storage, key)
            guess = known[number] if number < len(known) else None
            taken = {node.name, *(each.name for each in nodes)}
            found = questions.ask(guess, taken, tuple(lines), may_end=bool(nodes))
            if found is None:
                break
            nodes.append(found.node)
            lines += found.lines
        return nodes, lines

    def _target(self, guests: Sequence[Candidate], nodes: Sequence[OtherNode]) -> str:
        names = [each.name for each in nodes]

        def known(text: str) -> str:
            if text not in names:
                raise ValueError(f"one of {', '.join(names)}")
            return text

        if len(names) == 1 or not guests:
            return names[0]
        return self.dialogue.ask("To which node are the guests replicated", known, names[0])

    def _guest(self, guest: Candidate, storage: StorageAnswer, target: str, plans: Plans, usual: Plans) -> GuestAnswer:
        """Return the answer about a guest; a job keeps its own plans where those that were offered were taken."""
        known = None if self.existing.cluster is None else job_to(self.existing.cluster, guest.id, target)
        if known is not None and plans == usual:
            plans = Plans(known.schedule, known.keep)
        return GuestAnswer(
            id=guest.id,
            target=target,
            name=guest.name if guest.name != str(guest.id) else "",
            volumes=[each for each in guest.volumes if each.startswith(f"{storage.name}:")],
            schedule=plans.schedule,
            keep=plans.keep,
        )

    def _notify(self, node: ThisNode) -> NotifyAnswer | None:
        self.dialogue.head("Messages: where failures are reported")
        now = self.existing.targets
        self.dialogue.say("  By mail: mailtos://USER:PASSWORD@SERVER?from=ADDRESS&to=ADDRESS")
        self.dialogue.say("  By chat, push, webhook or ping: docs/notifications.md")
        shown = f"as it is: {', '.join(now)}" if now else "nowhere"
        while True:
            url = self.dialogue.ask("URL", str, "", shown)
            if not url:
                return None
            default = now[0] if now else _NEW_TARGET
            name = self.dialogue.ask("Its name", lambda text: str(checked(NotifyAnswer, "name", text)), default)
            section = {"notify": [{"name": name, "url": url}]}
            problems = section_problems(section)
            for problem in problems:
                self.dialogue.explain(f"Wrong: {problem.key}: {problem.allowed}.")
            if problems:
                continue
            test = self.dialogue.yes("Send a test message now?", default=True)
            lines = asyncio.run(plugin_lines(NOTIFY_CHECK, node.name, local_zone(), section, send=True)) if test else []
            self.dialogue.show(lines)
            if not failures(lines) or self.dialogue.yes("Take it all the same?", default=False):
                return NotifyAnswer(name=name, url=url, test=test and not failures(lines))

    def _metrics(self, node: ThisNode) -> MetricsAnswer | None:
        self.dialogue.head("Metrics: which Prometheus reads them")
        now = self.existing.prometheus

        def url(text: str) -> str:
            return str(checked(MetricsAnswer, "prometheus", text)) if text and text != "none" else ""

        while True:
            found = self.dialogue.ask("Its URL, http://localhost:9090 for example", url, now or "", now or "none")
            if not found:
                return None
            lines = asyncio.run(plugin_lines(PROMETHEUS_CHECK, node.name, local_zone(), {}, prometheus=found))
            unread = [line for line in lines if line.level == "unknown"]
            self.dialogue.show(unread)
            if not unread or self.dialogue.yes("Take it all the same?", default=True):
                return MetricsAnswer(prometheus=found)
