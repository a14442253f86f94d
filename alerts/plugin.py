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

from alerts.channels.alertmanager import AlertmanagerChannel
from alerts.channels.apprise import known_scheme, make_service
from alerts.channels.base import SEND_TIMEOUT_SECONDS, Channel
from alerts.channels.factory import ChannelContext, create_channel
from alerts.channels.healthchecks import Pinger
from alerts.channels.settings import PingSettings, ServiceSettings
from alerts.delivery.shared import DeliveryContext, Sleep, broadcast
from alerts.delivery.store import Counters, forget_absent_targets
from alerts.delivery.target_worker import GROUP_WAIT_SECONDS, TargetWorker
from alerts.inbound.alertmanager_webhook import Receiver, ReceiverSettings, receive
from alerts.redaction import guarded_logs, redact
from alerts.render import settings as words
from alerts.render.renderer import Renderer, Scribe
from alerts.render.template_check import template_problems
from alerts.settings import SECTION, SECTIONS, AlertsSettings, placed, read_settings
from alerts.targets import Target
from replicator.api.plugin import READ_TO, Core
from replicator.api.problem import Problem
from replicator.common.timezones import local_zone
from replicator.models import JobId

RESTART_DELAY_SECONDS = 60.0
"""Seconds until something is taken up again after an unexpected error."""

Channels = Callable[[Target, ChannelContext], Channel | None]
Works = dict[str, Callable[[], Awaitable[None]]]
"""What is to go on until the end, by what the log calls it."""

_log = logging.getLogger("zsr.alerts")


def _channel(target: Target, channel_context: ChannelContext) -> Channel | None:
    return create_channel(target.name, target.way, channel_context)


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
    send_limit: float = SEND_TIMEOUT_SECONDS
    gather: float = GROUP_WAIT_SECONDS
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
            _log.error("Left out of the notifications: %s", problem)
        active = [target for target in settings.targets if target.enabled]
        memory = core.memory(SECTION)
        forget_absent_targets(memory, [target.name for target in active])
        zone = self.zone or core.status().timezone or local_zone()
        counters = Counters(memory, [target.name for target in settings.targets])
        context = DeliveryContext(core, memory, counters, self.sleep, zone, self.gather)
        with guarded_logs(settings.secrets) as guard:
            channel_context = ChannelContext(scribe_of(settings, self.clock, zone), guard, memory, self.send_limit)
            works: Works = {}
            for target in active:
                works |= self._works_of(target, context, channel_context)
            if settings.receiver is not None:
                works["receiver of Alertmanager's posts"] = self._receiving(settings.receiver, context)
            if not context.deliveries:
                memory.put(READ_TO, None)  # nobody reads the journal
            async with asyncio.TaskGroup() as group:
                for name, work in works.items():
                    group.create_task(self._keep_going(name, work, settings.secrets), name=f"notify {name}")
                await asyncio.Event().wait()

    def _read(self, sections: Mapping[str, object]) -> tuple[AlertsSettings, list[Problem]]:
        return read_settings(sections, os.environ if self.environ is None else self.environ)

    def _works_of(self, target: Target, context: DeliveryContext, channel_context: ChannelContext) -> Works:
        """What has to be done for a target."""
        what = f"notification target '{target.name}'"
        if isinstance(target.way, PingSettings):
            pinger = self._pinger(target, target.way, context)
            return {what: lambda: pinger.run(context.core)}
        channel = self.channels(target, channel_context)
        if channel is None:
            _log.error("Notification target '%s' left out: its URL is not an apprise URL.", target.name)
            return {}
        works: Works = {what: TargetWorker(target.name, channel, context, target.route).run}
        if isinstance(channel, AlertmanagerChannel):
            works[f"alerts of {what}"] = lambda: channel.renew(context.core.status, self.sleep)
        return works

    def _pinger(self, target: Target, way: PingSettings, context: DeliveryContext) -> Pinger:
        def counted(taken: bool) -> None:
            context.memory.put_all(context.counters.add(target.name, "success" if taken else "failure"))

        def wanted(job_id: JobId) -> bool:
            job = context.core.status().job(job_id)
            return target.route.match.wants_job(job_id, "" if job is None else job.job.target)

        return Pinger(target.name, way.url, counted, wanted=wanted, sleep=self.sleep)

    def _receiving(self, settings: ReceiverSettings, context: DeliveryContext) -> Callable[[], Awaitable[None]]:
        node = context.core.status().node
        receiver = Receiver(node, settings.token, lambda notice: broadcast(notice, context), lambda: context.now)
        return lambda: receive(settings, receiver)

    async def _keep_going(self, name: str, work: Callable[[], Awaitable[None]], secrets: frozenset[str]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - a task's outermost frame
                # A full disk or a bug must not end the only voice that the daemon has.
                told = redact("".join(traceback.format_exception(error)), secrets)
                _log.error("The %s stumbled; it goes on in %d s.\n%s", name, RESTART_DELAY_SECONDS, told)
            await self.sleep(RESTART_DELAY_SECONDS)


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
