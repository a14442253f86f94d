"""Sends notices to Alertmanager's API v2 as alerts, and renews them until the all-clear.

Alertmanager drops an alert that is not renewed and, when it is restarted, all of them. So the active alerts are stored
in ``state.db`` and posted again every minute; a daemon that is down for less than `ALERT_LIFETIME_SECONDS` resolves
none. The labels of an alert do not change while it is active: Alertmanager identifies it by them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from alerts.channels.base import SEND_TIMEOUT_SECONDS, SendStatus, Sent
from alerts.channels.http import Request, exchange
from alerts.notice import Notice, NoticeKind
from alerts.render.json_document import moment
from alerts.render.renderer import Form, MessageWriter
from alerts.secrets import Secret, all_derived
from alerts.subject import Subject
from replicator.api.plugin import PluginStore
from replicator.api.status import Status
from replicator.models import JobId
from replicator.schedule.grace import DAY_SECONDS

PATH, STATUS_PATH = "/api/v2/alerts", "/api/v2/status"
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
    """The URL of Alertmanager without `PATH`, with user and password in it or a token."""

    url: Secret
    token: Secret | None = None

    @property
    def authorization(self) -> dict[str, str]:
        """The header with the token, if there is one."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token.text}"}

    @property
    def secrets(self) -> frozenset[str]:
        """All texts that must not be shown."""
        return all_derived([self.url, *([self.token] if self.token else [])])


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. Times are unix times; ``thread`` is that of the notice that raised it, ``job`` a job id or empty."""

    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]
    begins: float
    thread: str
    job: str = ""

    @property
    def cause(self) -> frozenset[tuple[str, str]]:
        """What it is about: its labels without the severity, which may change while it lasts."""
        return frozenset(label for label in self.labels if label[0] != "severity")

    def post(self, ends: float) -> dict[str, object]:
        """The alert as the API expects it."""
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
    name, severity = kind.facts.alertname, notice.severity if kind is notice.kind else kind.facts.severity
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
class ActiveAlerts:
    """The active alerts, stored in the plugin's store under a key."""

    store: PluginStore
    key: str
    alerts: dict[tuple[tuple[str, str], ...], Alert] = field(default_factory=dict)

    def load(self) -> None:
        """Load them; damaged values count as none."""
        try:
            read = [
                Alert(_pairs(each["labels"]), _pairs(each["annotations"]), each["begins"], each["thread"], each["job"])
                for each in json.loads(self.store.get(self.key) or "[]")
            ]
        except (ValueError, TypeError, KeyError, AttributeError):
            read = []
        self.alerts = {alert.labels: alert for alert in read}

    def about(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Those with the cause of some alerts, whatever their severity."""
        causes = {alert.cause for alert in alerts}
        return [alert for alert in self.alerts.values() if alert.cause in causes]

    def change(self, raised: Iterable[Alert], ended: Iterable[Alert]) -> None:
        """Add and remove some, and write them."""
        for alert in ended:
            self.alerts.pop(alert.labels, None)
        self.alerts |= {alert.labels: alert for alert in raised}
        self.save()

    def save(self) -> None:
        """Write them; durable when this returns."""
        values = [
            {
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "begins": alert.begins,
                "thread": alert.thread,
                "job": alert.job,
            }
            for alert in self.alerts.values()
        ]
        self.store.put(self.key, json.dumps(values) if values else None)


class AlertmanagerChannel:
    """One Alertmanager. Run `renew` together with it, or alerts end `ALERT_LIFETIME_SECONDS` after their notice."""

    def __init__(
        self,
        settings: AlertmanagerSettings,
        writer: MessageWriter,
        active: ActiveAlerts,
        *,
        limit: float = SEND_TIMEOUT_SECONDS,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._active = active
        self._limit = limit
        self._lock = asyncio.Lock()
        active.load()

    async def send(self, notice: Notice) -> Sent:
        """Raise or end the alerts of a notice. Digests and notices from Alertmanager are not sent."""
        async with self._lock:  # a renewal in flight would raise again what ends now
            return await self._send(notice)

    async def _send(self, notice: Notice) -> Sent:
        words = self._writer.write(notice, Form.TEXT)
        alerts = alerts_of(notice, words.title, words.body)
        if not alerts:
            return Sent(SendStatus.DELIVERED, "", 0.0)
        now = self._writer.clock()
        if notice.closes or notice.kind.is_all_clear:
            return await self._end(self._ended_by(notice, alerts), now)
        lifetime = TEST_ALERT_LIFETIME_SECONDS if notice.kind is NoticeKind.TEST else ALERT_LIFETIME_SECONDS
        # Alertmanager knows an alert by its labels: with another severity it is another alert.
        new = {alert.labels for alert in alerts}
        old = [alert for alert in self._active.about(alerts) if alert.labels not in new]
        sent = await self._post(
            [*(alert.post(now + lifetime) for alert in alerts), *(alert.post(now) for alert in old)]
        )
        if sent.ok and notice.kind is not NoticeKind.TEST:
            self._active.change(alerts, old)
        return sent

    def _ended_by(self, notice: Notice, alerts: Iterable[Alert]) -> list[Alert]:
        """The alerts that an all-clear ends: those of its thread if it closes it, and those of its jobs."""
        known = self._active
        closed = [each for each in known.alerts.values() if notice.closes and each.thread == notice.thread]
        of_jobs = [each for alert in alerts for each in (known.about([alert]) or [alert])]
        return list({alert.labels: alert for alert in (*closed, *of_jobs)}.values())

    async def renew(
        self, status: Callable[[], Status], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        """Renew the active alerts until cancelled, and end those that are over without an all-clear."""
        while True:
            await self.renew_once(status())
            await sleep(RENEW_INTERVAL_SECONDS)

    async def renew_once(self, status: Status) -> Sent | None:
        """Post the active alerts once more; None if there are none."""
        async with self._lock:
            return await self._renew(status)

    async def _renew(self, status: Status) -> Sent | None:
        over = [alert for alert in self._active.alerts.values() if status.ready and _is_over(alert, status)]
        if over:
            await self._end(over, self._writer.clock())
        ends = self._writer.clock() + ALERT_LIFETIME_SECONDS
        posts = [alert.post(ends) for alert in self._active.alerts.values()]
        return await self._post(posts) if posts else None

    async def _end(self, alerts: Iterable[Alert], now: float) -> Sent:
        ending = list(alerts)
        sent = await self._post([alert.post(now) for alert in ending])
        if sent.ok:
            self._active.change((), ending)
        return sent

    async def _post(self, alerts: list[dict[str, object]]) -> Sent:
        headers = {"Content-Type": "application/json", **self._settings.authorization}
        url = self._settings.url.text.rstrip("/") + PATH
        return await exchange(Request(url, json.dumps(alerts).encode(), headers), self._settings.secrets, self._limit)


def _is_over(alert: Alert, status: Status) -> bool:
    """Whether an alert is over without an all-clear.

    Its job is gone; or the promise is kept again, which the all-clear of the failure reports too; or the job keeps no
    replica of a vanished volume any more, or none whose grace ends soon; or it was replaced a day ago. Those have no
    all-clear.
    """
    if not alert.job:
        return False
    job = status.job(JobId.from_text(alert.job))
    if job is None:
        return True
    name = dict(alert.labels).get("alertname")
    if name == NoticeKind.VOLUMES_VANISHED.facts.alertname:
        return not job.state.vanished
    if name == NoticeKind.GRACE_ENDING.facts.alertname:
        return job.grace_end is None or job.grace_end - status.time > 2 * DAY_SECONDS
    if name == NoticeKind.GUEST_REPLACED.facts.alertname:
        return status.time - alert.begins > DAY_SECONDS
    return name == NoticeKind.RPO_BREACHED.facts.alertname and not job.is_promise_broken(status.time)


def _pairs(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in labels.items())
