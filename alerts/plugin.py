"""The plugin ``notify``: notifies people of failing and recovered jobs through the targets of ``[[notify]]``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial

from alerts.channels.alertmanager import AlertmanagerChannel
from alerts.channels.apprise import known_scheme, known_schemes, make_service
from alerts.channels.base import SEND_TIMEOUT_SECONDS, Channel
from alerts.channels.factory import ChannelContext, create_channel
from alerts.channels.healthchecks import Pinger
from alerts.channels.settings import PingSettings, ServiceSettings
from alerts.channels.smtp import RFC_WAITS, Waits
from alerts.channels.url_fault import names_no_recipient, url_fault
from alerts.channels.verify import Verified, can_be_verified, verify_channel
from alerts.delivery.context import DeliveryContext, Sleep
from alerts.delivery.daily_check import DailyCheck
from alerts.delivery.notifier import Notifier
from alerts.delivery.store import Counters, forget_absent_targets
from alerts.delivery.target_worker import GROUP_WAIT_SECONDS
from alerts.doctor import CHECKS, examine
from alerts.inbound.alertmanager_webhook import Receiver, ReceiverSettings, receive
from alerts.messages import message_writer
from alerts.redaction import guarded_logs, redact
from alerts.render import settings as message_settings
from alerts.render.template_check import template_problems
from alerts.routing.route_gaps import route_gaps, unreported
from alerts.routing.routes import Route
from alerts.settings import SECTION, SECTIONS, AlertsSettings, placed, read_settings
from alerts.targets import Target
from replicator.api.counters import USABLE_KEY
from replicator.api.doctor import Line, Visit
from replicator.api.plugin import READ_TO, Core
from replicator.api.problem import Problem
from replicator.common.timezones import local_zone
from replicator.models import Job, JobId

VERIFY_TIMEOUT_SECONDS = 900.0
"""Seconds that the daily check of a target may take; a mail server may take minutes for its greeting."""
UNREPORTED_SECONDS = 60.0
"""Seconds between two searches for jobs whose broken promise would reach nobody."""
RESTART_DELAY_SECONDS = 60.0
"""Seconds until a task is started again after an unexpected error."""

Channels = Callable[[Target, ChannelContext], Channel | None]
Task = Callable[[], Awaitable[None]]
Tasks = dict[str, Task]
"""What runs until the end, by its name in the log."""

_log = logging.getLogger("zsr.alerts")


def _channel(target: Target, channel_context: ChannelContext) -> Channel | None:
    return create_channel(target.name, target.channel, channel_context)


@dataclass(frozen=True, slots=True)
class AlertsPlugin:
    """Runs a worker for each target; see ``docs/notifications.md``.

    Attributes:
        sleep: how to wait between attempts (tests wait by their own clock).
        idle: how to wait between the daily checks of targets.
        clock: unix time, asked from any thread.
        send_limit: seconds one attempt may take; that of a mail takes as long as its steps may.
        waits: seconds of each step of a mail.
        gather: seconds after a failure in which others with the same cause join the same message.
        zone: timezone of messages; None is this node's.
        environ: where ``env:`` and ``credential:`` are looked up; None is the process's environment.
        channels: creates the channel of a target, or None where there is none.
    """

    sleep: Sleep = asyncio.sleep
    idle: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.time
    send_limit: float = SEND_TIMEOUT_SECONDS
    waits: Waits = RFC_WAITS
    gather: float = GROUP_WAIT_SECONDS
    zone: tzinfo | None = None
    environ: Mapping[str, str] | None = None
    channels: Channels = _channel
    sections = SECTIONS
    doctor_checks = CHECKS

    def check(self, sections: Mapping[str, object]) -> list[Problem]:
        """All problems of the sections; shows of a URL at most its scheme. Reads files, sends nothing."""
        settings, problems = self._read(sections)
        return [*problems, *url_problems(settings)]

    def inspect(self, sections: Mapping[str, object]) -> list[Problem]:
        """The problems of the user's templates, in whose place the built-in ones are used."""
        folder = self._read(sections)[0].messages.templates
        return [] if folder is None else list(placed(message_settings.SECTION, template_problems(folder)))

    def notes(self, sections: Mapping[str, object], jobs: Sequence[Job]) -> list[str]:
        """What no target reports."""
        targets = [each for each in self._read(sections)[0].targets if each.enabled and each.gets_messages]
        gaps = route_gaps({each.name: each.route for each in targets}, jobs)
        return [*gaps, *(note for each in targets if (note := _without_recipient(each)))]

    async def examine(self, check: str, sections: Mapping[str, object], visit: Visit) -> list[Line]:
        """See `replicator.api.plugin.DoctorPlugin`."""
        return await examine(check, self._read(sections)[0], visit)

    async def run(self, core: Core, sections: Mapping[str, object]) -> None:
        """Deliver until cancelled. A target that became unusable since ``check`` is logged and left out."""
        settings, problems = self._read(sections)
        for problem in problems:
            _log.error("A wrong setting of notifications is not used: %s", problem)
        active = [target for target in settings.targets if target.enabled]
        store = core.memory(SECTION)
        forget_absent_targets(store, [target.name for target in active])
        counters = Counters(store, [target.name for target in settings.targets])
        status = core.status()
        zone = self.zone or status.timezone or local_zone()
        context = DeliveryContext(core, status.node, store, counters, self.clock, self.sleep, zone, self.gather)
        notifier = Notifier(context)
        with guarded_logs(settings.secrets) as guard:
            writer = message_writer(settings, self.clock, zone)
            channel_context = ChannelContext(writer, guard, store, self.send_limit, waits=self.waits)
            tasks: Tasks = {}
            usable = {problem.key: False for problem in problems}
            for target in active:
                of_target = self._tasks_of(target, notifier, context, channel_context)
                usable[target.name] = bool(of_target)
                tasks |= {name: _counted(task, target.name, context) for name, task in of_target.items()}
            store.put(USABLE_KEY, json.dumps(usable))
            routes = [each.route for each in active if usable[each.name]]
            core.show_unreported(None)
            if active:
                tasks["search for jobs without a message"] = lambda: _keep_showing_unreported(core, routes)
            if settings.receiver is not None:
                tasks["receiver of Alertmanager's posts"] = _receiving(settings.receiver, notifier, context)
            if not notifier.workers:
                store.put(READ_TO, None)  # no target reads the journal
            async with asyncio.TaskGroup() as group:
                for name, task in tasks.items():
                    group.create_task(self._keep_running(name, task, settings.secrets), name=f"notify {name}")
                await asyncio.Event().wait()

    def _read(self, sections: Mapping[str, object]) -> tuple[AlertsSettings, list[Problem]]:
        return read_settings(sections, os.environ if self.environ is None else self.environ)

    def _tasks_of(
        self, target: Target, notifier: Notifier, context: DeliveryContext, channel_context: ChannelContext
    ) -> Tasks:
        """The tasks of a target."""
        name = f"notification target '{target.name}'"
        if isinstance(target.channel, PingSettings):
            pinger = self._pinger(target, target.channel, context)
            return {name: lambda: pinger.run(context.core)}
        channel = self.channels(target, channel_context)
        if channel is None:
            _log.error("Notification target '%s' left out: its URL is not an apprise URL.", target.name)
            return {}
        tasks: Tasks = {name: notifier.add(target.name, channel, target.route).run}
        if can_be_verified(target.channel):
            tasks[f"daily check of {name}"] = self._daily_check(target, notifier, context).run
        if isinstance(channel, AlertmanagerChannel):
            tasks[f"alerts of {name}"] = lambda: channel.renew(context.core.status, self.sleep)
        return tasks

    def _daily_check(self, target: Target, notifier: Notifier, context: DeliveryContext) -> DailyCheck:
        def verify() -> Awaitable[Verified]:
            return verify_channel(target.channel, VERIFY_TIMEOUT_SECONDS)

        broadcast = partial(notifier.broadcast, target.name)
        return DailyCheck(target.name, verify, context, broadcast=broadcast, sleep=self.idle)

    def _pinger(self, target: Target, settings: PingSettings, context: DeliveryContext) -> Pinger:
        def count(delivered: bool) -> None:
            context.store.put_all(context.counters.add(target.name, "success" if delivered else "failure"))

        def wants(job_id: JobId) -> bool:
            job = context.core.status().job(job_id)
            return target.route.match.wants_job(job_id, "" if job is None else job.job.target)

        return Pinger(target.name, settings.url, count, wants=wants, sleep=self.sleep)

    async def _keep_running(self, name: str, task: Task, secrets: frozenset[str]) -> None:
        while True:
            try:
                await task()
            except Exception as error:  # noqa: BLE001 - a task's outermost frame
                # A full disk or a bug must not end the notifications.
                text = redact("".join(traceback.format_exception(error)), secrets)
                words = "The %s failed unexpectedly; restarting in %d s.\n%s"
                _log.error(words, name, RESTART_DELAY_SECONDS, text)
            await self.sleep(RESTART_DELAY_SECONDS)


def _without_recipient(target: Target) -> str | None:
    """Return a sentence about a mail URL that names no recipient; apprise sends to the sender then."""
    if not isinstance(target.channel, ServiceSettings) or not names_no_recipient(target.channel.url.text):
        return None
    return f"The URL of [[notify]] '{target.name}' names no recipient (?to=): its mails go to the sender's own address."


async def _keep_showing_unreported(core: Core, routes: Sequence[Route]) -> None:
    """Show the jobs whose broken promise would reach nobody, until cancelled."""
    while True:
        jobs = [each.job for each in core.status().jobs if each.is_promised]
        core.show_unreported(unreported(routes, jobs))
        await asyncio.sleep(UNREPORTED_SECONDS)


def _counted(task: Task, target: str, context: DeliveryContext) -> Task:
    """A task of a target whose unexpected end counts as a failure of the target."""

    async def run() -> None:
        try:
            await task()
        except Exception:
            context.store.put_all(context.counters.add(target, "failure"))
            raise

    return run


def _receiving(settings: ReceiverSettings, notifier: Notifier, context: DeliveryContext) -> Task:
    receiver = Receiver(context.node, settings.token, notifier.accept, context.clock)
    return lambda: receive(settings, receiver)


def url_problems(settings: AlertsSettings) -> list[Problem]:
    """The targets whose URL apprise does not understand; the URL is not shown."""
    found = []
    with guarded_logs(settings.secrets):
        for target in settings.targets:
            if isinstance(target.channel, ServiceSettings) and make_service(target.channel.url.text) is None:
                scheme = known_scheme(target.channel.url.text)
                shown = f"{scheme}://… (the rest is not shown)" if scheme else "(not shown)"
                allowed = url_fault(target.channel.url.text, known_schemes())
                found.append(Problem(f"{SECTION}.{target.key}", shown, allowed))
    return found
