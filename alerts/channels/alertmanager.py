"""Carry notices to Alertmanager's API v2: alerts that last until the all-clear, renewed meanwhile.

Alertmanager forgets an alert that nobody renews and, when it is begun anew, all of them. So the alerts that last are
noted in ``state.db`` and posted again every minute; a daemon that is down for less than `ALERT_LIFETIME_SECONDS`
resolves nothing. The labels of an alert do not change while it lasts: they are what Alertmanager knows it by.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from alerts.channels.base import SEND_TIMEOUT_SECONDS, SendStatus, Sent
from alerts.channels.http import Request, exchange
from alerts.notice import Notice, NoticeKind, Subject
from alerts.render.json_document import moment
from alerts.render.renderer import Form, MessageWriter
from alerts.secrets import Secret, all_derived
from replicator.api.plugin import PluginStore
from replicator.api.status import Status
from replicator.models import JobId

PATH = "/api/v2/alerts"
RENEW_INTERVAL_SECONDS = 60.0
"""Seconds between two renewals."""
ALERT_LIFETIME_SECONDS = 3600.0
"""Seconds for which an alert lasts without being renewed."""
TEST_ALERT_LIFETIME_SECONDS = 300.0
ORIGIN = ("sender", "zsr")
"""The label by which the receiver recognises alerts that zsr posted itself."""
_FAILING = NoticeKind.FAILED.facts.alertname


@dataclass(frozen=True, slots=True)
class AlertmanagerSettings:
    """Where Alertmanager is: its URL without `PATH`; user and password in it, or a token."""

    url: Secret
    token: Secret | None = None

    @property
    def secrets(self) -> frozenset[str]:
        """All that must not be shown."""
        return all_derived([self.url, *([self.token] if self.token else [])])


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. Times are unix times; ``thread`` is that of the notice that raised it, ``job`` empty or a job's id."""

    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]
    begins: float
    thread: str
    job: str = ""

    def post(self, ends: float) -> dict[str, object]:
        """As the API takes it."""
        return {
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "startsAt": moment(min(self.begins, ends)),
            "endsAt": moment(ends),
        }


def alerts_of(notice: Notice, title: str, text: str) -> list[Alert]:
    """The alerts that a notice raises or ends: one for a node, or one for each job. Pure."""
    of_target = notice.kind is NoticeKind.UNDELIVERED or (notice.kind is NoticeKind.RECOVERED and not notice.subjects)
    kind = NoticeKind.UNDELIVERED if of_target else notice.kind.facts.ends or notice.kind
    name, severity = kind.facts.alertname, kind.facts.alert_severity or kind.facts.severity
    if not name:
        return []
    if notice.subjects and all(subject.removing for subject in notice.subjects) and kind.facts.alertname == _FAILING:
        name = NoticeKind.REMOVAL_STUCK.facts.alertname
    labels = {"alertname": name, "severity": str(severity), "instance": notice.node, ORIGIN[0]: ORIGIN[1]}
    annotations = tuple({"summary": title, "description": text}.items())
    if notice.kind.facts.is_of_node:
        labels |= {"target": notice.about, "node": notice.about}
        return [Alert(tuple(labels.items()), annotations, notice.time, notice.thread)]
    if not notice.subjects:
        if of_target:
            labels["target"] = notice.about
        return [Alert(tuple(labels.items()), annotations, notice.time, notice.thread)]
    return [_of_job(subject, labels, annotations, notice) for subject in notice.subjects]


def _of_job(
    subject: Subject, labels: Mapping[str, str], annotations: tuple[tuple[str, str], ...], notice: Notice
) -> Alert:
    own = {"zsr_job": str(subject.job), "guest": str(subject.guest), "source": subject.source, "target": subject.target}
    begins = subject.failing_since or notice.time
    return Alert(tuple({**labels, **own}.items()), annotations, begins, notice.thread, str(subject.job))


@dataclass
class Lasting:
    """The alerts that last, kept in a plugin's notes under a key."""

    memory: PluginStore
    key: str
    alerts: dict[tuple[tuple[str, str], ...], Alert] = field(default_factory=dict)

    def load(self) -> None:
        """Read them; notes that are damaged are none."""
        try:
            read = [
                Alert(_pairs(each["labels"]), _pairs(each["annotations"]), each["begins"], each["thread"], each["job"])
                for each in json.loads(self.memory.get(self.key) or "[]")
            ]
        except (ValueError, TypeError, KeyError, AttributeError):
            read = []
        self.alerts = {alert.labels: alert for alert in read}

    def save(self) -> None:
        """Write them; durable when this returns."""
        kept = [
            {
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "begins": alert.begins,
                "thread": alert.thread,
                "job": alert.job,
            }
            for alert in self.alerts.values()
        ]
        self.memory.put(self.key, json.dumps(kept) if kept else None)


class AlertmanagerChannel:
    """One Alertmanager. `renew` has to be awaited beside `send`, or alerts end `ALERT_LIFETIME_SECONDS` seconds after
    their notice.
    """

    def __init__(
        self,
        settings: AlertmanagerSettings,
        writer: MessageWriter,
        lasting: Lasting,
        *,
        limit: float = SEND_TIMEOUT_SECONDS,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._lasting = lasting
        self._limit = limit
        self._one_by_one = asyncio.Lock()
        lasting.load()

    async def send(self, notice: Notice) -> Sent:
        """Raise or end the alerts of a notice. What is no state (a digest) or came from Alertmanager is not sent."""
        async with self._one_by_one:  # a renewal that is on its way would raise anew what ends now
            return await self._tell(notice)

    async def _tell(self, notice: Notice) -> Sent:
        words = self._writer.write(notice, Form.TEXT)
        alerts = alerts_of(notice, words.title, words.body)
        if not alerts:
            return Sent(SendStatus.DELIVERED, "", 0.0)
        now = self._writer.clock()
        if notice.closes or notice.kind.is_all_clear:
            known = self._lasting.alerts
            ending = {
                alert.labels: alert for alert in known.values() if notice.closes and alert.thread == notice.thread
            }
            for alert in alerts:
                ending[alert.labels] = replace(alert, begins=known.get(alert.labels, alert).begins)
            return await self._end(ending.values(), now)
        lasts = TEST_ALERT_LIFETIME_SECONDS if notice.kind is NoticeKind.TEST else ALERT_LIFETIME_SECONDS
        sent = await self._post([alert.post(now + lasts) for alert in alerts])
        if sent.ok and notice.kind is not NoticeKind.TEST:
            for alert in alerts:
                self._lasting.alerts[alert.labels] = alert
            self._lasting.save()
        return sent

    async def renew(
        self, status: Callable[[], Status], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        """Keep alerts alive until cancelled, and end those that are over though no notice says so."""
        while True:
            await self.renew_once(status())
            await sleep(RENEW_INTERVAL_SECONDS)

    async def renew_once(self, status: Status) -> Sent | None:
        """Post what lasts once more; None if nothing does."""
        async with self._one_by_one:
            return await self._renew(status)

    async def _renew(self, status: Status) -> Sent | None:
        over = [alert for alert in self._lasting.alerts.values() if status.ready and _is_over(alert, status)]
        if over:
            await self._end(over, self._writer.clock())
        ends = self._writer.clock() + ALERT_LIFETIME_SECONDS
        posts = [alert.post(ends) for alert in self._lasting.alerts.values()]
        return await self._post(posts) if posts else None

    async def _end(self, alerts: Iterable[Alert], now: float) -> Sent:
        ending = list(alerts)
        sent = await self._post([alert.post(now) for alert in ending])
        if sent.ok:
            for alert in ending:
                self._lasting.alerts.pop(alert.labels, None)
            self._lasting.save()
        return sent

    async def _post(self, alerts: list[dict[str, object]]) -> Sent:
        headers = {"Content-Type": "application/json"}
        if self._settings.token is not None:
            headers["Authorization"] = f"Bearer {self._settings.token.text}"
        url = self._settings.url.text.rstrip("/") + PATH
        return await exchange(Request(url, json.dumps(alerts).encode(), headers), self._settings.secrets, self._limit)


def _is_over(alert: Alert, status: Status) -> bool:
    """Whether an alert is over though no notice says so.

    Its job is gone; or it keeps its promise again, which the all-clear of its failure says too; or no replica is kept
    any more whose volume is gone, of which there is no all-clear.
    """
    if not alert.job:
        return False
    job = status.job(JobId.parse(alert.job))
    if job is None:
        return True
    name = dict(alert.labels).get("alertname")
    if name == NoticeKind.VOLUMES_VANISHED.facts.alertname:
        return not job.state.vanished
    return name == NoticeKind.RPO_BREACHED.facts.alertname and not job.is_promise_broken(status.time)


def _pairs(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in labels.items())
