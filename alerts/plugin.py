"""The plugin ``notify``: tells people of failing and recovered jobs through the targets of ``[[notify]]``."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from alerts.channel import SEND_LIMIT, Channel
from alerts.channels.alertmanager import AlertmanagerChannel
from alerts.channels.make import Office, make_channel
from alerts.channels.settings import PingSettings, ServiceSettings
from alerts.delivery import GATHER, Delivery
from alerts.desk import Desk, Sleep
from alerts.notes import Counters, forget_absent_targets
from alerts.offering import offer
from alerts.pings import Pinger
from alerts.receiver import Receiver, ReceiverSettings, receive
from alerts.redaction import guarded_logs, redact
from alerts.sender import known_scheme, make_service
from alerts.settings import SECTION, SECTIONS, AlertsSettings, placed, read_settings
from alerts.targets import Target
from alerts.words import settings as words
from alerts.words.overrides import template_problems
from alerts.words.render import Renderer
from alerts.words.scribe import Scribe
from replicator.jobs import JobId
from replicator.notes import READ_TO
from replicator.plugins import Core, Problem
from replicator.zones import local_zone

RESTART_PAUSE = 60.0
"""Seconds until something is taken up again after an unexpected error."""

Channels = Callable[[Target, Office], Channel | None]
Works = dict[str, Callable[[], Awaitable[None]]]
"""What is to go on until the end, by what the log calls it."""

_LOG = logging.getLogger(__name__)


def _channel(target: Target, office: Office) -> Channel | None:
    return make_channel(target.name, target.way, office)


@dataclass(frozen=True, slots=True)
class AlertsPlugin:
    """Sink for events that people must hear of; see ``docs/notifications.md``.

    Attributes:
        sleep: how to wait between attempts (tests wait by their own clock).
        clock: unix time, asked from any thread.
        send_limit: seconds one attempt may take.
        gather: seconds after a failure in which others with the same cause come into the same message.
        zone: zone of the times in messages; None is this node's.
        environ: where ``env:`` and ``credential:`` are looked up; None is the process's environment.
        channels: makes the way to a target, or None where there is none.
    """

    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.time
    send_limit: float = SEND_LIMIT
    gather: float = GATHER
    zone: tzinfo | None = None
    environ: Mapping[str, str] | None = None
    channels: Channels = _channel
    sections = SECTIONS

    def check(self, sections: Mapping[str, object]) -> list[Problem]:
        """All that is wrong with the sections; shows of a URL at most its scheme. Reads files, sends nothing."""
        settings, problems = self._read(sections)
        return [*problems, *url_problems(settings)]

    def inspect(self, sections: Mapping[str, object]) -> list[Problem]:
        """What is wrong with the user's templates; messages go out in the built-in words instead."""
        folder = self._read(sections)[0].words.templates
        return [] if folder is None else list(placed(words.SECTION, template_problems(folder)))

    async def run(self, core: Core, sections: Mapping[str, object]) -> None:
        """Deliver until cancelled. A target that became unusable since ``check`` is said in the log and left out."""
        settings, problems = self._read(sections)
        for problem in problems:
            _LOG.error("Left out of the notifications: %s", problem)
        active = [target for target in settings.targets if target.enabled]
        memory = core.memory(SECTION)
        forget_absent_targets(memory, [target.name for target in active])
        zone = self.zone or core.status().timezone or local_zone()
        counters = Counters(memory, [target.name for target in settings.targets])
        desk = Desk(core, memory, counters, self.sleep, zone, self.gather)
        with guarded_logs(settings.secrets) as guard:
            office = Office(scribe_of(settings, self.clock, zone), guard, memory, self.send_limit)
            works: Works = {}
            for target in active:
                works |= self._works_of(target, desk, office)
            if settings.receiver is not None:
                works["receiver of Alertmanager's posts"] = self._receiving(settings.receiver, desk)
            if not desk.deliveries:
                memory.put(READ_TO, None)  # nobody reads the journal
            async with asyncio.TaskGroup() as group:
                for name, work in works.items():
                    group.create_task(self._keep_going(name, work, settings.secrets), name=f"notify {name}")
                await asyncio.Event().wait()

    def _read(self, sections: Mapping[str, object]) -> tuple[AlertsSettings, list[Problem]]:
        return read_settings(sections, os.environ if self.environ is None else self.environ)

    def _works_of(self, target: Target, desk: Desk, office: Office) -> Works:
        """What has to be done for a target."""
        what = f"notification target '{target.name}'"
        if isinstance(target.way, PingSettings):
            pinger = self._pinger(target, target.way, desk)
            return {what: lambda: pinger.run(desk.core)}
        channel = self.channels(target, office)
        if channel is None:
            _LOG.error("Notification target '%s' left out: its URL is not an apprise URL.", target.name)
            return {}
        works: Works = {what: Delivery(target.name, channel, desk, target.route).run}
        if isinstance(channel, AlertmanagerChannel):
            works[f"alerts of {what}"] = lambda: channel.renew(desk.core.status, self.sleep)
        return works

    def _pinger(self, target: Target, way: PingSettings, desk: Desk) -> Pinger:
        def counted(taken: bool) -> None:
            desk.memory.put_all(desk.counters.add(target.name, "success" if taken else "failure"))

        def wanted(job_id: JobId) -> bool:
            job = desk.core.status().job(job_id)
            return target.route.match.wants_job(job_id, "" if job is None else job.job.target)

        return Pinger(target.name, way.url, counted, wanted=wanted, sleep=self.sleep)

    def _receiving(self, settings: ReceiverSettings, desk: Desk) -> Callable[[], Awaitable[None]]:
        node = desk.core.status().node
        receiver = Receiver(node, settings.token, lambda notice: offer(notice, desk), lambda: desk.now)
        return lambda: receive(settings, receiver)

    async def _keep_going(self, name: str, work: Callable[[], Awaitable[None]], secrets: frozenset[str]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - a task's outermost frame
                # A full disk or a bug must not end the only voice that the daemon has.
                told = redact("".join(traceback.format_exception(error)), secrets)
                _LOG.error("The %s stumbled; it goes on in %d s.\n%s", name, RESTART_PAUSE, told)
            await self.sleep(RESTART_PAUSE)


def scribe_of(settings: AlertsSettings, clock: Callable[[], float], zone: tzinfo) -> Scribe:
    """Who writes the messages."""
    said = settings.words
    return Scribe(Renderer(said.templates), clock, zone, said.page, said.dashboard)


def url_problems(settings: AlertsSettings) -> list[Problem]:
    """The targets whose URL apprise does not understand, told without the URL."""
    found = []
    with guarded_logs(settings.secrets):
        for target in settings.targets:
            if isinstance(target.way, ServiceSettings) and make_service(target.way.url.text) is None:
                scheme = known_scheme(target.way.url.text)
                shown = f"{scheme}://… (the rest is not shown)" if scheme else "(not shown)"
                allowed = "an apprise URL with all its parts, like mailtos://user:password@host?to=admin@example.org"
                found.append(Problem(f"{SECTION}.{target.key}", shown, allowed))
    return found
