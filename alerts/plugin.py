"""The plugin ``notify``: tells people of failing and recovered jobs through the targets of ``[[notify]]``."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo

from alerts.apprise_channel import AppriseChannel
from alerts.channel import Channel
from alerts.delivery import GATHER, Delivery
from alerts.desk import Desk, Sleep
from alerts.notes import Counters, forget_absent_targets
from alerts.redaction import RedactingFilter, guarded_logs, secrets_of
from alerts.sender import SEND_LIMIT, Sender, known_scheme, make_service
from alerts.targets import Target, read_targets
from replicator.notes import READ_TO
from replicator.plugins import Core, Problem
from replicator.zones import local_zone

RESTART_PAUSE = 60.0
"""Seconds until a target's delivery is taken up again after an unexpected error."""

Channels = Callable[[Target, RedactingFilter, Desk], Channel | None]

_LOG = logging.getLogger(__name__)


class AlertsPlugin:
    """Sink for events that people must hear of; see ``docs/notifications.md``.

    Args:
        sleep: how to wait between attempts (tests wait by their own clock).
        send_limit: seconds one attempt may take.
        gather: seconds after a failure in which others with the same cause come into the same message.
        zone: zone of the times in messages; None is this machine's.
        environ: where ``url_env`` is looked up; None is the process's environment.
        channels: makes the way to a target, or says in the log why there is none; None is apprise.
    """

    section = "notify"

    def __init__(
        self,
        *,
        sleep: Sleep = asyncio.sleep,
        send_limit: float = SEND_LIMIT,
        gather: float = GATHER,
        zone: tzinfo | None = None,
        environ: Mapping[str, str] | None = None,
        channels: Channels | None = None,
    ) -> None:
        self._sleep = sleep
        self._send_limit = send_limit
        self._gather = gather
        self._zone = zone
        self._environ = os.environ if environ is None else environ
        self._channels: Channels = channels or self._apprise

    def check(self, settings: object) -> list[Problem]:
        """All that is wrong with the section; shows of a URL at most its scheme. Reads files, sends nothing."""
        targets, problems = read_targets(settings, self._environ)
        return [*problems, *url_problems(targets)]

    async def run(self, core: Core, settings: object) -> None:
        """Deliver until cancelled. A target that became unusable since ``check`` is said in the log and left out."""
        targets, problems = read_targets(settings, self._environ)
        for problem in problems:
            _LOG.error("Notification target left out: %s", problem)
        active = [target for target in targets if target.enabled]
        memory = core.memory(self.section)
        forget_absent_targets(memory, [target.name for target in active])
        desk = Desk(
            core=core,
            memory=memory,
            counters=Counters(memory, [target.name for target in targets]),
            sleep=self._sleep,
            zone=self._zone or core.status().timezone or local_zone(),
            gather=self._gather,
        )
        with guarded_logs(all_secrets(targets)) as guard:
            deliveries = [
                (target.name, Delivery(target.name, channel, desk, target.route))
                for target in active
                if (channel := self._channels(target, guard, desk)) is not None
            ]
            if not deliveries:
                memory.put(READ_TO, None)  # nobody reads the journal
            async with asyncio.TaskGroup() as group:
                for name, delivery in deliveries:
                    group.create_task(self._keep_delivering(name, delivery), name=f"notify {name}")
                await asyncio.Event().wait()

    def _apprise(self, target: Target, guard: RedactingFilter, desk: Desk) -> Channel | None:
        service = make_service(target)
        if service is None:
            _LOG.error("Notification target '%s' left out: its URL is not an apprise URL.", target.name)
            return None
        return AppriseChannel(Sender(service, guard, limit=self._send_limit), lambda: desk.now, desk.zone)

    async def _keep_delivering(self, name: str, delivery: Delivery) -> None:
        while True:
            try:
                await delivery.run()
            except Exception:  # noqa: BLE001 - a task's outermost frame
                # A full disk or a bug must not end the only voice that the daemon has.
                _LOG.exception("Notification target '%s' stumbled; it goes on in %d s.", name, RESTART_PAUSE)
            await self._sleep(RESTART_PAUSE)


def url_problems(targets: Iterable[Target]) -> list[Problem]:
    """The targets whose URL apprise does not understand, told without the URL."""
    found = []
    with guarded_logs(all_secrets(targets)):
        for target in targets:
            if make_service(target) is None:
                scheme = known_scheme(target.url)
                shown = f"{scheme}://… (the rest is not shown)" if scheme else "(not shown)"
                allowed = "an apprise URL with all its parts, like mailtos://user:password@host?to=admin@example.org"
                found.append(Problem(target.key, shown, allowed))
    return found


def all_secrets(targets: Iterable[Target]) -> frozenset[str]:
    """Every part of every URL that must not be shown."""
    return frozenset().union(*(secrets_of(target.url) for target in targets))
