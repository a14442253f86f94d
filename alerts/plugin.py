"""The plugin ``notify``: tells people of failing and recovered jobs through the targets of ``[[notify]]``."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping
from datetime import tzinfo

from alerts.delivery import GATHER, Delivery, Desk, Sleep
from alerts.notes import Counters, forget_absent_targets
from alerts.redaction import guarded_logs, secrets_of
from alerts.sender import SEND_LIMIT, Sender, known_scheme, make_service
from alerts.targets import Target, read_targets
from replicator.plugins import Core, Problem

RESTART_PAUSE = 60.0
"""Seconds until a target's delivery is taken up again after an unexpected error."""

_LOG = logging.getLogger(__name__)


class AlertsPlugin:
    """Sink for events that people must hear of; see ``docs/notifications.md``.

    Args:
        sleep: how to wait between attempts (tests wait by their own clock).
        send_limit: seconds one attempt may take.
        gather: seconds after a failure in which others with the same cause come into the same message.
        zone: zone of the times in messages; None is this machine's.
        environ: where ``url_env`` is looked up; None is the process's environment.
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
    ) -> None:
        self._sleep = sleep
        self._send_limit = send_limit
        self._gather = gather
        self._zone = zone
        self._environ = os.environ if environ is None else environ

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
            zone=self._zone,
            gather=self._gather,
        )
        with guarded_logs(all_secrets(targets)) as guard:
            async with asyncio.TaskGroup() as group:
                for target in active:
                    service = make_service(target)
                    if service is None:
                        _LOG.error("Notification target '%s' left out: its URL is not an apprise URL.", target.name)
                        continue
                    sender = Sender(service, guard, limit=self._send_limit)
                    delivery = Delivery(target.name, sender, desk)
                    group.create_task(self._keep_delivering(target.name, delivery), name=f"notify {target.name}")
                await asyncio.Event().wait()

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
